"""What `normalize_text` would change, found by one scan, and its plain steps on bytes.

The scan runs one automaton over each text (automaton.py). It is made of patterns, one or a few for each step, that say where the
step would find something to do, and of ftfy's own pattern for mojibake. It may stop at a text that no step changes in the end
(a reference that no entity has, two characters that could combine and do not), which costs time; it never passes over a text that
a step would change.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from corpusmill.stages import text_cleaning as cleaning
from corpusmill.stages.automaton import Automaton, compile_patterns, found_in, members
from corpusmill.stages.character_pages import paged
from corpusmill.stages.encoding_repair import SEGMENT, damage_patterns, has_long_line, text_repair
from corpusmill.stages.text_buffers import TextBuffers
from corpusmill.stages.unicode_forms import form_tables

if TYPE_CHECKING:
    from corpusmill.stages.normalize_text import NormalizeText

__all__ = ["TextScan", "text_scan"]

_LONGEST_RUN: Final = 8
"""Equal marks in a row that are taken for too many, if more are allowed: each takes a state of its own."""
_NOTHING: Final = r"\Z\A"
"""A pattern that is never found."""
_NOT_IDLE: Final = (r"\A\s*\Z", "\ufffd")
"""What no step changes, and is to be dropped or measured all the same."""


@functools.lru_cache(maxsize=8)
def text_scan(settings: NormalizeText) -> TextScan:
    """Return the scan for *settings*, made once in a process: the guard and what it guards have the same."""
    return TextScan(settings)


class TextScan:
    """The tables that the settings of a stage make, and the kernels that run over them."""

    def __init__(self, settings: NormalizeText) -> None:
        damage = damage_patterns() if settings.repair_encoding else []
        self._settings = settings
        self._forms = form_tables(settings.unicode_form)
        changes = list(_patterns(settings))
        self._changes = compile_patterns(changes, damage).with_attributes(self._forms.attributes)
        self._not_idle = compile_patterns([*changes, *_NOT_IDLE], damage).with_attributes(self._forms.attributes)
        self._form_only = compile_patterns([_NOTHING]).with_attributes(self._forms.attributes)
        self._characters = _character_table(settings)
        self._stack = compile_patterns([f"[{cleaning.combining_marks()}]{{{cleaning.MOST_MARKS + 1}}}"])
        self.repair = text_repair(compile_patterns([], damage)) if damage else None
        """ftfy's repair of a text, None if it is not asked for."""

    def busy(self, texts: TextBuffers) -> npt.NDArray[np.bool_]:
        """Return of each text whether a step may change it, or it is empty, or holds U+FFFD, or is not UTF-8."""
        return self._found(texts, self._not_idle)

    def _found(self, texts: TextBuffers, automaton: Automaton) -> npt.NDArray[np.bool_]:
        found = found_in(texts, automaton, self._forms)
        if self._settings.repair_encoding:  # pieces of a line begin as lines do, and the automaton knows of no pieces
            for row in np.flatnonzero(texts.ends - texts.starts > SEGMENT):
                found[row] |= has_long_line(texts.data[texts.starts[row] : texts.ends[row]].tobytes())
        return found

    def is_done(self, data: bytes) -> bool:
        """Return whether no step changes a text, if the scan can tell."""
        return not self._found(_one_text(data), self._changes)[0]

    def clean(self, data: bytes) -> bytes:
        """Return a text as the steps on characters, normalization and the steps on blanks and lines leave it."""
        from corpusmill.stages.kernels.text_cleaning import clean_blanks, clean_characters

        settings = self._settings
        if self._characters is not None:
            out = np.empty(len(data), np.uint8)
            data = out[: clean_characters(np.frombuffer(data, np.uint8), *self._characters, out)].tobytes()
        if settings.unicode_form != "none" and found_in(_one_text(data), self._form_only, self._forms)[0]:
            text = data.decode()
            if found_in(_one_text(data), self._stack, self._forms)[0]:
                text = cleaning.cut_stacks(text)
            data = unicodedata.normalize(settings.unicode_form, text).encode()
        if settings.white_space or settings.blank_lines is not None:
            out = np.empty(len(data), np.uint8)
            blanks = settings.white_space, settings.keep_indentation, settings.keep_tabs
            feeds = -1 if settings.blank_lines is None else settings.blank_lines + 1
            data = out[: clean_blanks(np.frombuffer(data, np.uint8), *blanks, feeds, out)].tobytes()
        return data


def _patterns(settings: NormalizeText) -> Iterator[str]:
    """Yield patterns that say where the steps may find something to do."""
    if settings.unescape_html != "never":
        yield "&[#0-9A-Za-z]+;"
    if settings.line_separators:
        yield f"[{cleaning.LINE_BREAKS}]"
    if settings.control_characters:
        yield f"[{cleaning.CONTROLS}]"
    if settings.zero_width:
        joined, before, after = cleaning.JOINED_SCRIPT, cleaning.EMOJI_BEFORE, cleaning.EMOJI_AFTER
        yield f"[{cleaning.INVISIBLE}]"
        if settings.soft_hyphens:
            yield cleaning.SOFT_HYPHEN
        yield "[\u200c\u200d][\u200c\u200d]"
        yield rf"(?:\A|[^{joined}])\u200c"
        yield rf"\u200c(?:[^{joined}]|\Z)"
        yield rf"(?:\A|[^{joined}{before}])\u200d"
        yield rf"[{before}]\u200d(?:[^{after}]|\Z)"
    if settings.white_space:
        yield f"[{cleaning.EXOTIC_BLANKS}]"
        yield r"[ \t](?:\n|\Z)"
        yield r"[^ \t\n][ \t][ \t]"
        yield r"\A\n|\n\Z"
        if not settings.keep_indentation:
            yield r"^[ \t]"
        if not settings.keep_tabs:
            yield r"[^ \t\n]\t"
    if settings.blank_lines is not None:
        yield rf"\n{{{settings.blank_lines + 2}}}"
    if settings.repeated_punctuation is not None:
        length = min(settings.repeated_punctuation + 1, _LONGEST_RUN)
        yield from (f"{re.escape(mark)}{{{length}}}" for mark in cleaning.PUNCTUATION)


def _character_table(settings: NormalizeText) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
    """Return what `clean_characters` is to do with each character, None if nothing is asked of it."""
    from corpusmill.stages.kernels import text_cleaning as kernel

    kinds = np.zeros(0x110000, np.uint8)
    if settings.line_separators:
        kinds[members(cleaning.LINE_BREAKS)] = kernel.BREAK
        kinds[ord("\r")] = kernel.RETURN
    if settings.control_characters:
        kinds[members(cleaning.CONTROLS)] = kernel.DROP
        kinds[0x1B] = kernel.ESCAPE
    if settings.zero_width:
        kinds[members(cleaning.INVISIBLE)] = kernel.DROP
        if settings.soft_hyphens:
            kinds[ord(cleaning.SOFT_HYPHEN)] = kernel.DROP
        kinds[members("\u200c\u200d")] = kernel.JOINER
        kinds[members(cleaning.JOINED_SCRIPT)] |= kernel.JOINED
        kinds[members(cleaning.EMOJI_BEFORE)] |= kernel.LEADS_JOINER
        kinds[members(cleaning.EMOJI_AFTER)] |= kernel.FOLLOWS_JOINER
    return paged(kinds) if kinds.any() else None


def _one_text(data: bytes) -> TextBuffers:
    """Return the buffers of one text."""
    return TextBuffers(np.frombuffer(data, np.uint8), _START, _frozen(np.array([len(data)])))


def _frozen(array: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    array.flags.writeable = False
    return array


_START: Final = _frozen(np.zeros(1, np.int64))
