"""The emoji that the installed `emoji` package knows, as tables for the kernels that look for them."""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.automaton import Automaton, compile_patterns, found_in
from corpusmill.stages.character_pages import paged
from corpusmill.stages.text_buffers import TextBuffers

__all__ = ["STILL_TEXT", "EmojiTable", "Found", "emoji_table"]

Found = tuple[int, int, str]
"""Start, end and name of an emoji; the span includes selectors and joiners around it that belong to nothing else."""

STILL_TEXT: Final = frozenset("©®™")
"""What a selector makes no emoji of: its name is itself."""
_UNQUALIFIED: Final = 4  # status of the emoji package: the sequence lacks the selector that makes it an emoji


class EmojiTable:
    """The known emoji sequences and their names in one language; English where the language has none.

    With *text_symbols* those too that are text unless a selector follows.

    >>> EmojiTable("en").find("so ☺ or ☺\ufe0f")
    [(8, 10, ':smiling_face:')]
    """

    def __init__(self, language: str, *, words: bool = False, text_symbols: bool = False) -> None:
        import emoji

        if language != "en":
            emoji.config.load_language(language)
        self.names: dict[str, str] = {}
        for sequence, data in emoji.EMOJI_DATA.items():
            if len(sequence) == 1 and data["status"] == _UNQUALIFIED and not text_symbols:
                continue
            name = str(data.get(language) or data["en"])
            name = name.strip(":").replace("_", " ") if words else name
            self.names[sequence] = sequence[0] if sequence[0] in STILL_TEXT and not text_symbols else name
        self._trie = _trie(list(self.names))
        self._name_list = list(self.names.values())
        self._first_two = _first_two(list(self.names))
        self._shortest = min(len(sequence.encode()) for sequence in self.names)  # bytes: 3, but 2 where `©` is one

    def may_have_emoji(self, texts: TextBuffers) -> npt.NDArray[np.bool_]:
        """Return of each text whether a known sequence may be in it: a character that is one, or the first two of one."""
        return found_in(texts, self._first_two)

    def find(self, text: str) -> list[Found]:
        """Return the emoji of *text* in order, each the longest known sequence from where it starts, in one pass."""
        from corpusmill.stages.kernels.emoji_search import find_emoji

        # A surrogate, which a text of a batch cannot have, becomes one character that is in no emoji.
        data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
        spans = np.empty((data.size // self._shortest + 1, 3), np.int64)
        count = find_emoji(data, *self._trie, spans)
        return [(start, end, self._name_list[name]) for start, end, name in spans[:count].tolist()]


@functools.lru_cache(maxsize=8)
def emoji_table(language: str, *, words: bool, text_symbols: bool) -> EmojiTable:
    """Return the table, made once in a process."""
    return EmojiTable(language, words=words, text_symbols=text_symbols)


class _Trie(NamedTuple):
    """The tables of `find_emoji`."""

    page_of: npt.NDArray[np.uint16]
    pages: npt.NDArray[np.uint16]
    """`pages[page_of[code >> 7], code & 127]` is the number of a character, with FIRST where a sequence begins with it."""
    edges: npt.NDArray[np.uint64]
    """A hash table of `node << 16 | number of the character`; see `edge_slot`."""
    children: npt.NDArray[np.uint32]
    """The node that the edge in the same slot leads to."""
    names: npt.NDArray[np.int32]
    """For each node the number of the sequence that ends there, -1 where none does."""


def _first_two(sequences: list[str]) -> Automaton:
    """Return the automaton that finds the beginnings of sequences, of two characters where there are two."""
    singles = "".join({sequence for sequence in sequences if len(sequence) == 1})
    seconds: dict[str, set[str]] = {}
    for sequence in sequences:
        if sequence[0] not in singles:
            seconds.setdefault(sequence[0], set()).add(sequence[1])
    firsts: dict[str, str] = {}
    for first, after in seconds.items():
        characters = "".join(sorted(after))
        firsts[characters] = firsts.get(characters, "") + first
    return compile_patterns([f"[{singles}]", *(f"[{first}][{second}]" for second, first in firsts.items())])


def _trie(sequences: list[str]) -> _Trie:
    """Return the trie of *sequences*."""
    from corpusmill.stages.kernels.emoji_search import FIRST, edge_slot

    numbers = {character: number for number, character in enumerate(sorted(set("".join(sequences))), 1)}
    entries = np.zeros(0x110000, np.uint16)
    for character, number in numbers.items():
        entries[ord(character)] = number
    nodes: dict[str, int] = {"": 1}
    for sequence in sequences:
        entries[ord(sequence[0])] |= FIRST
        for size in range(1, len(sequence) + 1):
            nodes.setdefault(sequence[:size], len(nodes) + 1)
    slots = 1 << (2 * len(nodes)).bit_length()
    edges, children = np.zeros(slots, np.uint64), np.zeros(slots, np.uint32)
    for path, node in nodes.items():
        if path:
            edge = nodes[path[:-1]] << 16 | numbers[path[-1]]
            at = edge_slot(edge, slots)
            while edges[at]:
                at = (at + 1) % slots
            edges[at], children[at] = edge, node
    names = np.full(len(nodes) + 1, -1, np.int32)
    names[[nodes[sequence] for sequence in sequences]] = np.arange(len(sequences))
    return _Trie(*paged(entries), edges, children, names)
