"""Terms that are spelled to be missed: a second look at the few words of a text that look like it.

Cheap evidence comes first, in the pass that looks for terms: signs between letters (`sh1t`, `f*ck`), a letter three times
(`fuuuck`), letters of two scripts in a word (a Cyrillic `а` in a Latin one), four single letters in a row (`f u c k`). Only such
words are read as they look, and only those that then begin like a term become strings here:
300 in 26 MB of text in many languages, one of which was a term.

Rejected: reading every word so. Digits for letters and doubled letters make innocent words of each other, and most of what such a
filter finds is numbers, names and laughter. Not read: accents as a disguise (they are letters of most languages), swapped and
missing letters, sound-alikes, several disguises at once where signs and scripts mix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from corpusmill.stages.kernels import term_symbols
from corpusmill.stages.kernels import terms as kernels
from corpusmill.stages.term_table import SymbolText, characters

__all__ = ["DisguisedTerms"]

_SHORTEST, _LONGEST = 4, 32
_SIGNS = dict(zip("01345789@$!|+", "oieastbgasiit", strict=True))
_LOOKALIKES = dict(zip("аеёорсухіјѕкмтнвһԁαοεικνρτυχη", "aeeopcyxijskmthbhdaoeikvptuxn", strict=True))
_ANY = 1  # a star
_SIGNED = re.compile(r"[A-Za-z0-9@$!|+*]+")
_EVIDENCE = re.compile(r"[A-Za-z][0-9@$!|+*]{1,3}[A-Za-z]")
_THRICE = re.compile(r"([^\W\d_w])\1\1")  # but not www
_REPEATED = re.compile(r"([^\W\d])\1\1+")
_REPEATED_ANY = re.compile(r"(.)\1+")
_READ_AS = str.maketrans({**_SIGNS, **_LOOKALIKES, "l": "i"})
"""What a character is read as; l and i are one letter, because 1 stands for both."""


class DisguisedTerms:
    """Single words of at least four different letters in a row; looked for as whole words, or as beginnings where a term is open.

    *terms* are folded words, each with a number by which it is reported and whether any rest of the word may follow.
    """

    def __init__(self, terms: Iterable[tuple[str, int, bool]], innocent: Iterable[str]) -> None:
        self._closed: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._by_shape: dict[tuple[int, str], list[tuple[str, int]]] = {}
        self._innocent = {word.translate(_READ_AS) for word in innocent}
        bits = np.zeros((1 << 16) // 64, np.uint64)
        for term, number, is_open in terms:
            read = term.translate(_READ_AS)
            once = _REPEATED_ANY.sub(r"\1", read)
            if not term.isalpha() or len(once) < _SHORTEST or len(term) > _LONGEST:
                continue
            (self._open if is_open else self._closed).setdefault(read, number)
            self._by_shape.setdefault((len(term), term[0]), []).append((term, number))
            four = 0
            for letter in once[:_SHORTEST]:
                four = four << 8 | _byte(ord(letter))
            place = (four * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 48
            bits[place >> 6] |= np.uint64(1 << (place & 63))
        of_bytes = np.zeros(128, np.uint8)
        for code in range(128):
            letter = chr(code).lower().translate(_READ_AS)
            of_bytes[code] = ord(letter) if letter.isalpha() else 0
        of_bytes[ord("*")] = _ANY
        of_symbols = np.array([_byte(code) for code in range(0x10000)], np.uint8)
        for written in (*_SIGNS, *_LOOKALIKES, "l"):
            of_symbols[ord(written)] = ord(written.translate(_READ_AS))
        for array in (of_bytes, of_symbols, bits):
            array.flags.writeable = False
        self.tables = kernels.Disguises(of_bytes, of_symbols, bits)

    def find(self, text: SymbolText, odd: Sequence[int]) -> list[tuple[int, int, int]]:
        """Return start and end in bytes and the number of each term that an *odd* word of the text reads like, in order."""
        found: dict[tuple[int, int], int] = {}
        for sight in odd:
            at = sight & kernels.WRITTEN - 1
            spans = self._spread(text, at) if sight & kernels.SPREAD else self._words(text, at)
            found.update({(start, end): number for start, end, number in spans})
        return [(start, end, number) for (start, end), number in sorted(found.items())]

    def _words(self, text: SymbolText, at: int) -> Iterator[tuple[int, int, int]]:
        """Yield the term that the word at a symbol reads like: as signs and letters, or as letters of any script."""
        number = self._signed(text, int(text.room.offsets[at]))
        if number is None:
            number = self._written(text, at)
        if number is not None:
            yield number

    def _signed(self, text: SymbolText, byte: int) -> tuple[int, int, int] | None:
        data = text.data
        left, right = max(byte - _LONGEST - 1, 0), byte + _LONGEST + 1
        around = data[left:right].tobytes().decode("latin-1")
        word = next((m for m in _SIGNED.finditer(around) if m.start() <= byte - left < m.end()), None)
        if word is None or not _EVIDENCE.search(word[0]):
            return None
        start, end = left + word.start(), left + word.end()
        written = word[0].rstrip("!|+*@$").lower()
        end -= len(word[0]) - len(written)
        if not _SHORTEST <= len(written) <= _LONGEST or _next_to_a_letter(data, start, end):
            return None
        number = self._any_letter(written) if "*" in written else self._read(written)
        return None if number is None else (start, end, number)

    def _written(self, text: SymbolText, at: int) -> tuple[int, int, int] | None:
        symbols, kinds = text.room.symbols, characters().kinds
        start = end = at
        while (
            start > 0 and kinds[symbols[start - 1]] & term_symbols.CLASS == term_symbols.WORD and at - start <= _LONGEST
        ):
            start -= 1
        while (
            end < text.size
            and kinds[symbols[end]] & term_symbols.CLASS == term_symbols.WORD
            and end - start <= _LONGEST
        ):
            end += 1
        word = "".join(map(chr, symbols[start:end].tolist()))
        scripts = {c.isascii() for c in word if c in _LOOKALIKES or (c.isascii() and c.isalpha())}
        if len(word) > _LONGEST:
            return None
        first, last = _bytes(text, start, end - 1)
        if len(scripts) < 2 and not _THRICE.search(text.data[first:last].tobytes().decode().lower()):
            return None
        number = self._read(word)
        return None if number is None else (first, last, number)

    def _spread(self, text: SymbolText, at: int) -> Iterator[tuple[int, int, int]]:
        """Yield the terms that single letters from a symbol on spell, each with a blank behind it."""
        symbols, kinds = text.room.symbols, characters().kinds
        word = ""
        for place in range(at, min(at + 2 * _LONGEST, text.size), 2):
            alone = kinds[symbols[place + 1]] & term_symbols.CLASS == 0
            if kinds[symbols[place]] & term_symbols.CLASS != term_symbols.WORD or not alone:
                break
            word += chr(symbols[place])
            number = self._closed.get(word.translate(_READ_AS), self._open.get(word.translate(_READ_AS)))
            if number is not None:
                yield (*_bytes(text, at, place), number)

    def _any_letter(self, written: str) -> int | None:
        """Return the term that a word with stars inside stands for, one letter each."""
        letters = written.replace("*", "")
        if not letters.isalpha() or len(letters) < 2 or len(written) - len(letters) > 3:
            return None
        for term, number in self._by_shape.get((len(written), written[0]), ()):
            if all(mine in ("*", its) for mine, its in zip(written, term, strict=True)):
                return number
        return None

    def _read(self, word: str) -> int | None:
        """Return the term that *word* reads like: as it is, or with repeated letters once or twice."""
        for times in (r"\1\1\1", r"\1", r"\1\1"):
            read = _REPEATED.sub(times, word).translate(_READ_AS)
            if read in self._innocent:
                return None
            if read in self._closed:
                return self._closed[read]
            for length in range(_SHORTEST, len(read) + 1):
                if read[:length] in self._open:
                    return self._open[read[:length]]
        return None


def _byte(code: int) -> int:
    """Return what stands for a letter in the tables of the kernels."""
    return code if code < 128 else code & 127 | 128


def _next_to_a_letter(data: np.ndarray[tuple[int], np.dtype[np.uint8]], start: int, end: int) -> bool:
    """Return whether a character of another script is written together with a span."""
    return bool((start > 0 and data[start - 1] >= 128) or (end < len(data) and data[end] >= 128))


def _bytes(text: SymbolText, first: int, last: int) -> tuple[int, int]:
    """Return where the characters of symbols begin and end."""
    start, end = int(text.room.offsets[first]), int(text.room.offsets[last]) + 1
    while end < len(text.data) and text.data[end] & 0xC0 == 0x80:
        end += 1
    return start, end
