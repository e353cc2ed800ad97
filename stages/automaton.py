r"""Regular expressions compiled to one automaton that kernels run over UTF-8, with the character classes of this Python.

A guard asks of each text whether any of some dozens of short patterns occurs in it, ftfy's heuristic for mojibake among them.
Python's `re` tries every alternative at every character, at 5 to 8 MB/s for ftfy's; here a character costs two look-ups,
however many patterns there are. Rejected: google-re2 (200 to 400 MB/s, but on strings one by one, and `\w`, `\s` and the
beginning of a line mean something else to it, so its patterns have to be translated as well; one more dependency).

The patterns are read by Python's own parser, so syntax and classes mean what they mean to `re`. Sequences, alternatives, sets,
repetitions, `^`, `\A` and `\Z` are understood, anything else is refused. `\A` and `\Z` are made characters that a text begins
and ends with, and `^` is that or a line feed: inside of a pattern they would match where `re` does not.
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.character_pages import every_character, paged
from corpusmill.stages.text_buffers import TextBuffers
from corpusmill.stages.unicode_forms import FormTables, form_tables

__all__ = ["Automaton", "UnknownSyntaxError", "compile_patterns", "found_in", "members"]

_POINTS: Final = 0x110000
_BEGIN: Final = _POINTS
"""Stands before the first character of a text."""
_END: Final = _POINTS + 1
_LINE_FEED: Final = 10

Ranges = tuple[tuple[int, int], ...]
"""Code points, as ranges that include their ends."""


class UnknownSyntaxError(ValueError):
    """A pattern uses what the compiler does not know."""


class Automaton(NamedTuple):
    """A deterministic automaton, as kernels read it.

    From state `s` a character goes to `transitions[s + pages[page_of[code >> 7], code & 127] & 0xFF]`. State 0 says that a
    pattern was found. The rest of an entry of `pages` is free for whoever scans.
    """

    page_of: npt.NDArray[np.uint16]
    pages: npt.NDArray[np.uint32]
    transitions: npt.NDArray[np.uint32]
    start: int
    """State at the start of a text."""
    end_class: int
    """Class of the character that stands for the end of a text."""

    def with_attributes(self, attributes: npt.NDArray[np.uint32]) -> Automaton:
        """Return it with *attributes*, one number for each code point, in the entries from bit 8 on."""
        page_of, pages = paged(self.classes() | attributes << np.uint32(8))
        return self._replace(page_of=page_of, pages=pages)

    def classes(self) -> npt.NDArray[np.uint32]:
        """Return the class of every code point."""
        classes: npt.NDArray[np.uint32] = self.pages[self.page_of].reshape(-1) & np.uint32(0xFF)
        return classes


def compile_patterns(patterns: Iterable[str], in_lines: Sequence[re.Pattern[str]] = ()) -> Automaton:
    r"""Return the automaton that finds any of *patterns* in a text, or of the compiled ones *in_lines* in one of its lines.

    A line is what `re` would be given of it: it ends with its line feed.

    Raises:
        UnknownSyntaxError: a pattern holds what is not understood.

    """
    positions = _Positions()
    first = 0
    last = 0
    for pattern, flags, within_line in [
        *((pattern, 0, False) for pattern in patterns),
        *((pattern.pattern, pattern.flags & ~re.UNICODE, True) for pattern in in_lines),
    ]:
        if flags & ~re.VERBOSE:
            raise UnknownSyntaxError(f"flags {flags} of a pattern")
        part = positions.of_sequence(_parser().parse(pattern, flags), within_line)
        if part.nullable:
            raise UnknownSyntaxError("a pattern that matches nothing at all")
        first |= part.first
        last |= part.last
    return _determinized(positions, first, last)


def members(characters: str) -> npt.NDArray[np.bool_]:
    """Return of each code point whether it is among *characters*, which are written as between the brackets of a pattern.

    >>> np.flatnonzero(members("a-c\u00e4")).tolist()
    [97, 98, 99, 228]
    """
    found = np.zeros(_POINTS, np.bool_)
    for operator, argument in _parser().parse(f"[{characters}]"):
        for first, last in _ranges_of(str(operator), argument):
            found[first : last + 1] = True
    return found


def found_in(texts: TextBuffers, automaton: Automaton, forms: FormTables | None = None) -> npt.NDArray[np.bool_]:
    """Return of each text whether the automaton finds anything, or it is no UTF-8, or may not be in the form of *forms*.

    The attributes of *forms* are with the automaton already.
    """
    from corpusmill.stages.kernels.text_scan import find_in_texts

    roots, pairs = (forms or form_tables("none"))[1:]
    found = np.empty(len(texts.starts), np.bool_)
    states = np.uint32(automaton.start), np.uint32(automaton.end_class)
    find_in_texts(*texts, automaton.page_of, automaton.pages, automaton.transitions, *states, roots, pairs, found)
    return found


class _Part(NamedTuple):
    """What Glushkov's construction knows of a part of a pattern; sets of positions are bit masks."""

    nullable: bool
    first: int
    last: int


_NOTHING: Final = _Part(nullable=True, first=0, last=0)


class _Positions:
    """The positions of all patterns: what each matches, and which may follow it."""

    def __init__(self) -> None:
        self.sets: list[Ranges] = []
        self.follow: list[int] = []
        self.in_lines = 0
        """Those of patterns of which a line feed can match the end alone."""

    def of_sequence(self, sequence: Any, within_line: bool) -> _Part:
        """Return the part that a parsed sequence makes."""
        whole = _NOTHING
        for operator, argument in sequence:
            whole = self._chained(whole, self._of(str(operator), argument, within_line))
        return whole

    def _of(self, operator: str, argument: Any, within_line: bool) -> _Part:
        if operator == "BRANCH":
            parts = [self.of_sequence(branch, within_line) for branch in argument[1]]
            return _Part(
                any(part.nullable for part in parts),
                functools.reduce(int.__or__, (part.first for part in parts)),
                functools.reduce(int.__or__, (part.last for part in parts)),
            )
        if operator == "SUBPATTERN":
            _, add_flags, del_flags, inner = argument
            if add_flags or del_flags:
                raise UnknownSyntaxError("flags inside of a pattern")
            return self.of_sequence(inner, within_line)
        if operator == "MAX_REPEAT":
            return self._repeated(argument, within_line)
        ranges = _ranges_of(operator, argument)
        bit = 1 << len(self.sets)
        self.sets.append(ranges)
        self.follow.append(0)
        if within_line and operator != "AT":
            self.in_lines |= bit
        return _Part(nullable=False, first=bit, last=bit)

    def _repeated(self, argument: Any, within_line: bool) -> _Part:
        least, most, inner = argument
        whole = _NOTHING
        endless = most == _parser().MAXREPEAT
        for number in range(max(least, 1) if endless else most):
            part = self.of_sequence(inner, within_line)
            if endless and number == max(least, 1) - 1:
                self._link(part.last, part.first)
            whole = self._chained(whole, part._replace(nullable=part.nullable or number >= least))
        return whole

    def _chained(self, before: _Part, after: _Part) -> _Part:
        self._link(before.last, after.first)
        return _Part(
            before.nullable and after.nullable,
            before.first | (after.first if before.nullable else 0),
            after.last | (before.last if after.nullable else 0),
        )

    def _link(self, last: int, first: int) -> None:
        for position in _bits(last):
            self.follow[position] |= first


def _determinized(positions: _Positions, first: int, last: int) -> Automaton:
    """Return the automaton of sets of positions; those that hold one of *last* are state 0."""
    classes, masks = _classes(positions.sets)
    masks[classes[_LINE_FEED]] &= ~positions.in_lines | last
    width = len(masks)
    begin, end = int(classes[_BEGIN]), int(classes[_END])
    numbers: dict[int, int] = {}
    rows: list[list[int]] = []

    def number(state: int) -> int:
        if state & last:
            return 0
        if state not in numbers:
            numbers[state] = (len(numbers) + 1) * width
        return numbers[state]

    start = number(first & masks[begin])
    for state in _growing(numbers):
        open_positions = first
        for position in _bits(state):
            open_positions |= positions.follow[position]
        rows.append([number(open_positions & mask) for mask in masks])
    transitions = np.array([0] * width + [entry for row in rows for entry in row], np.uint32)
    page_of, pages = paged(classes[:_POINTS].astype(np.uint32))
    transitions.flags.writeable = False
    return Automaton(page_of, pages, transitions, start, end)


def _growing(numbers: dict[int, int]) -> Iterator[int]:
    """Yield the keys of *numbers* in order, those too that are added meanwhile."""
    done = 0
    while done < len(numbers):
        fresh = list(numbers)[done:]
        done += len(fresh)
        yield from fresh


def _classes(sets: list[Ranges]) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Return the class of every code point, and for each class the positions that match it, as a bit mask."""
    distinct = list(dict.fromkeys([*sets, ((_LINE_FEED, _LINE_FEED),)]))
    edges = np.unique(
        [0, _BEGIN, _END, _END + 1, *(edge for ranges in distinct for a, b in ranges for edge in (a, b + 1))]
    )
    member = np.zeros((len(distinct), len(edges)), np.bool_)
    for row, ranges in zip(member, distinct, strict=True):
        begins, ends = np.searchsorted(edges, np.add(ranges, (0, 1))).T
        changes = np.zeros(len(edges), np.int8)
        changes[begins] = 1
        changes[ends] -= 1  # a range may begin where another ends
        row[:] = np.cumsum(changes)
    columns, of_segment = np.unique(np.packbits(member[:, :-1], axis=0), axis=1, return_inverse=True)
    if columns.shape[1] > 0xFF:
        raise UnknownSyntaxError("more than 255 classes of characters")
    classes = np.repeat(of_segment.reshape(-1).astype(np.uint8), np.diff(edges))
    bits = np.unpackbits(columns, axis=0, count=len(distinct)).T.astype(bool)
    positions_of: dict[Ranges, int] = {}
    for position, ranges in enumerate(sets):
        positions_of[ranges] = positions_of.get(ranges, 0) | 1 << position
    masks = [sum(positions_of.get(distinct[at], 0) for at in np.flatnonzero(row)) for row in bits]
    return classes, masks


def _ranges_of(operator: str, argument: Any) -> Ranges:
    """Return what matches one item of a parsed pattern."""
    if operator == "LITERAL":
        return ((argument, argument),)
    if operator == "NOT_LITERAL":
        return _complement(((argument, argument),))
    if operator == "ANY":
        return _complement(((_LINE_FEED, _LINE_FEED),))
    if operator == "RANGE":
        return (argument,)
    if operator == "CATEGORY":
        return _category(str(argument))
    if operator == "IN":
        return _set(tuple((str(name), value) for name, value in argument))
    if operator == "AT":
        places = {
            "AT_BEGINNING": ((_LINE_FEED, _LINE_FEED), (_BEGIN, _BEGIN)),
            "AT_BEGINNING_STRING": ((_BEGIN, _BEGIN),),
        }
        places["AT_END_STRING"] = ((_END, _END),)
        if str(argument) in places:
            return places[str(argument)]
    raise UnknownSyntaxError(f"{operator} {argument} in a pattern")


@functools.cache
def _set(items: tuple[tuple[str, Any], ...]) -> Ranges:
    """Return what matches one of *items*, those between brackets: ftfy's pattern has the same few sets over and over."""
    found = _union(_ranges_of(name, value) for name, value in items if name != "NEGATE")
    return _complement(found) if items[0][0] == "NEGATE" else found


@functools.cache
def _category(name: str) -> Ranges:
    r"""Return what `\w`, `\s` or `\d` matches, as `re` itself has it."""
    letters = {"CATEGORY_WORD": "w", "CATEGORY_SPACE": "s", "CATEGORY_DIGIT": "d"}
    letter = letters.get(name.replace("NOT_", ""))
    if letter is None:
        raise UnknownSyntaxError(f"{name} in a pattern")
    found = tuple((match.start(), match.end() - 1) for match in re.finditer(rf"\{letter}+", every_character()))
    return _complement(found) if "NOT_" in name else found


def _union(sets: Iterable[Ranges]) -> Ranges:
    merged: list[tuple[int, int]] = []
    for a, b in sorted(item for ranges in sets for item in ranges):
        if merged and a <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return tuple(merged)


def _complement(ranges: Ranges) -> Ranges:
    """Return the characters that are not in *ranges*."""
    after = [0, *(b + 1 for _, b in ranges)]
    before = [*(a - 1 for a, _ in ranges), _POINTS - 1]
    return tuple((a, b) for a, b in zip(after, before, strict=True) if a <= b)


def _bits(mask: int) -> Iterator[int]:
    """Yield the places of the bits that are set."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _parser() -> Any:
    """Return the parser of `re`."""
    return importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
