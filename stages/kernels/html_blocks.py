"""Blocks of text while they are read: what is counted in them, where they end, which of their words are in the title."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpusmill.stages.kernels import inner
from corpusmill.stages.kernels.html_characters import next_character, wide_character
from corpusmill.stages.kernels.html_layout import (
    B_BREAKS,
    B_BYTES,
    B_CHARACTERS,
    B_CONTAINER,
    B_DIGITS,
    B_FIRST,
    B_HASH,
    B_LAST,
    B_LINKED,
    B_LINKS,
    B_PIECE,
    B_PIECES,
    B_PUNCTUATION,
    B_TITLE,
    B_UPPER,
    B_WIDE,
    B_WORDS,
    BLOCK_STATE,
    LINK,
    P_BEGIN,
    P_END,
    P_KIND,
    RAW_TEXT,
    S_BLOCKS,
    S_BREAKS,
    S_BYTES,
    S_CHARACTERS,
    S_CURRENT,
    S_DIGITS,
    S_FIRST,
    S_HASH,
    S_HREF,
    S_HREF_END,
    S_LAST,
    S_LINK,
    S_LINK_NOTED,
    S_LINKED,
    S_LINKS,
    S_PENDING,
    S_PIECE,
    S_PIECES,
    S_PUNCTUATION,
    S_TITLE_WORDS,
    S_UPPER,
    S_WIDE,
    S_WORDS,
    VERBATIM,
)
from corpusmill.stages.kernels.html_tags import (
    BLANK,
    CLASSES,
    DIGIT,
    HASH_FACTOR,
    HASH_MASK,
    HASH_START,
    LOWER,
    PUNCTUATION,
    UPPER,
)

__all__ = ["MOST_BLOCKS", "add_piece", "add_text", "finish_block", "next_word", "title_words"]

MOST_BLOCKS = 16_384
"""Blocks of a page that are told apart; what comes then is one block, its parts on lines of their own. Of 2,513 real pages the
largest has 2,641, and 100,000 paragraphs of one letter would take longer than a page of 10 MB."""

_STOP, _QUOTE = 46, 34
_TITLE_BYTES = 300  # blocks longer than this are no headline
_COMMAS = np.array(
    [0x60C, 0x3001, 0xFF0C, 0xFF1B, 0xFF1A, 0x964, 0x61F, 0x6D4, 0x3002, 0xFF01, 0xFF1F, 0x2026], np.int64
)
_FIRST_STOP = 5  # of these, the first that ends a sentence


@inner
def add_piece(pieces: Any, state: Any, begin: int, end: int, kind: int) -> None:
    """Append to the pieces of the block that is being read."""
    number = state[S_PIECES]
    if (
        number > state[S_PIECE]
        and pieces[number - 1, P_KIND] == kind <= RAW_TEXT
        and pieces[number - 1, P_END] == begin
    ):
        pieces[number - 1, P_END] = end  # a `<` that begins no tag parts no text
        return
    pieces[number, P_BEGIN], pieces[number, P_END], pieces[number, P_KIND] = begin, end, kind
    state[S_PIECES] = number + 1


@inner
def _count_wide(code: int, state: Any) -> None:
    """Count a character that is not ASCII."""
    state[S_LAST] = 128
    if 0x3000 <= code < 0xE000:
        state[S_WIDE] += 1
    elif code == 0x201D or code == 0x2019 or code == 0xBB:
        state[S_LAST] = _QUOTE
    for place in range(_COMMAS.size):
        if _COMMAS[place] == code:
            state[S_PUNCTUATION] += 1
            if place >= _FIRST_STOP:
                state[S_LAST] = _STOP


@inner
def add_text(page: Any, begin: int, end: int, kind: int, pieces: Any, state: Any, references: Any) -> None:
    """Count a stretch of text into the block that is being read, and keep it as a piece of it if it holds any character."""
    pending, hashed = state[S_PENDING], state[S_HASH]
    characters, words, punctuation, digits, upper = 0, 0, 0, 0, 0
    last = state[S_LAST]
    started = state[S_CHARACTERS] > 0
    at = begin
    while at < end:
        byte = page[at]
        group = CLASSES[byte]
        if group == BLANK:
            at += 1
            if pending == 0:
                pending = 1
            continue
        code, second = np.int64(byte), 0
        if group or (byte > 32 and byte < 127 and byte != 38):
            at += 1
        else:
            if byte >= 128:
                at, code = wide_character(page, at, end)
            else:
                at, code, second = next_character(page, at, end, kind == RAW_TEXT, references)
            if code == 0:
                continue
            if code == 32:
                if pending == 0:
                    pending = 1
                continue
            group = CLASSES[code] if code < 128 else 0
        if not started:
            started = True
            words += 1
            state[S_FIRST] = min(code, 128)
        elif pending:
            words += 1
            hashed = ((hashed ^ 32) * HASH_FACTOR) & HASH_MASK
        pending = 0
        characters += 1
        last = code
        if group == LOWER:
            hashed = ((hashed ^ code) * HASH_FACTOR) & HASH_MASK
        elif group == UPPER:
            upper += 1
            hashed = ((hashed ^ (code + 32)) * HASH_FACTOR) & HASH_MASK
        elif group == PUNCTUATION:
            punctuation += 1
        elif group == DIGIT:
            digits += 1
        elif code >= 128:
            hashed = ((hashed ^ code) * HASH_FACTOR) & HASH_MASK
            _count_wide(code, state)
            last = state[S_LAST]
            characters += second != 0
    state[S_PENDING], state[S_HASH], state[S_LAST] = pending, hashed, last
    if characters:
        if state[S_LINK] and not state[S_LINK_NOTED]:
            # Not where the link begins: it may go over several blocks.
            add_piece(pieces, state, state[S_HREF], state[S_HREF_END], LINK)
            state[S_LINK_NOTED] = 1
        add_piece(pieces, state, begin, end, kind)
        state[S_CHARACTERS] += characters
        state[S_WORDS] += words
        state[S_PUNCTUATION] += punctuation
        state[S_DIGITS] += digits
        state[S_UPPER] += upper
        state[S_BYTES] += end - begin
        if state[S_LINK]:
            state[S_LINKED] += characters
    elif begin < end and (kind == VERBATIM or (started and pending == 1)):
        add_piece(pieces, state, begin, end, kind)


@inner
def next_word(page: Any, at: int, end: int) -> tuple[int, int]:
    """Return (place behind the next word of a stretch of text, its hash in lower case); the hash is 0 where none follows."""
    hashed, letters = HASH_START, 0
    while at < end:
        byte = np.int64(page[at])
        group = CLASSES[byte]
        if (group == DIGIT or group == LOWER or group == UPPER) or byte >= 128:
            hashed = ((hashed ^ (byte | 32 if group == UPPER else byte)) * HASH_FACTOR) & HASH_MASK
            letters += 1
        elif letters:
            return at, hashed
        elif byte == 38:  # a reference counts as a space
            behind = at + 1
            while behind < min(end, at + 32) and page[behind] != 59 and CLASSES[page[behind]] != BLANK:
                behind += 1
            if behind < end and page[behind] == 59:
                at = behind
        at += 1
    return at, hashed if letters else 0


@inner
def title_words(page: Any, at: int, end: int, words: Any) -> int:
    """Write the hashes of the words of a title to *words* and return how many there are."""
    count = 0
    while count < words.size:
        at, hashed = next_word(page, at, end)
        if hashed == 0:
            break
        words[count] = hashed
        count += 1
    return count


@inner
def _title_share(page: Any, pieces: Any, first: int, behind: int, words: Any, count: int) -> int:
    """Return which percentage of a block's words are in the title; a block of one of its many words counts as half."""
    total = found = 0
    for piece in range(first, behind):
        if pieces[piece, P_KIND] > RAW_TEXT:
            continue
        at, end = pieces[piece, P_BEGIN], pieces[piece, P_END]
        while True:
            at, hashed = next_word(page, at, end)
            if hashed == 0:
                break
            total += 1
            for place in range(count):
                if words[place] == hashed:
                    found += 1
                    break
    return 100 * found // max(total, (count + 1) // 2)


@inner
def finish_block(page: Any, blocks: Any, pieces: Any, state: Any, words: Any) -> None:
    """End the block that is being read: a row of *blocks*, if it has any text."""
    if state[S_CHARACTERS]:
        row = blocks[state[S_BLOCKS]]
        row[B_PIECE], row[B_PIECES] = state[S_PIECE], state[S_PIECES]
        row[B_CONTAINER] = state[S_CURRENT]
        row[B_CHARACTERS], row[B_LINKED], row[B_WORDS] = state[S_CHARACTERS], state[S_LINKED], state[S_WORDS]
        row[B_PUNCTUATION], row[B_DIGITS], row[B_UPPER] = state[S_PUNCTUATION], state[S_DIGITS], state[S_UPPER]
        row[B_WIDE], row[B_LINKS], row[B_BREAKS] = state[S_WIDE], state[S_LINKS], state[S_BREAKS]
        row[B_HASH], row[B_FIRST], row[B_LAST] = state[S_HASH], state[S_FIRST], state[S_LAST]
        row[B_BYTES] = state[S_BYTES]
        row[B_TITLE] = 0
        if state[S_TITLE_WORDS] and state[S_BYTES] < _TITLE_BYTES:
            row[B_TITLE] = _title_share(page, pieces, state[S_PIECE], state[S_PIECES], words, state[S_TITLE_WORDS])
        state[S_BLOCKS] += 1
    else:
        state[S_PIECES] = state[S_PIECE]  # nothing but blanks, breaks and empty links
    state[S_PIECE] = state[S_PIECES]
    for column in range(BLOCK_STATE):
        state[column] = 0
    state[S_HASH] = HASH_START
