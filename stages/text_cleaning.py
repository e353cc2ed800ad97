"""The steps of `normalize_text` after the repair of encodings, each a function from text to text that works on any input.

They are what the stage means. Most texts never get here: a scan finds that no step would change them, or one kernel does what
these do (see text_scan.py); what neither is sure of goes through them.

What is left to ftfy's other fixers elsewhere is not used here:

- curly quotes, ligatures and full-width letters are text, not damage; straightening quotes alone touches a quarter of clean
  English news and more than half of clean West European news;
- entities are replaced by ftfy again and again, one level of `&amp;amp;amp;` per pass over the text, which is quadratic; here a
  stack of open entities takes one pass;
- `unicodedata.normalize` is quadratic in a run of combining marks (80,000 of them take five seconds), so runs are cut first.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from html import unescape
from html.entities import html5
from typing import Final, Literal

__all__ = [
    "BLANKS",
    "CONTROLS",
    "EMOJI_AFTER",
    "EMOJI_BEFORE",
    "EXOTIC_BLANKS",
    "INVISIBLE",
    "JOINED_SCRIPT",
    "LINE_BREAKS",
    "MOST_MARKS",
    "PUNCTUATION",
    "SOFT_HYPHEN",
    "Step",
    "break_lines",
    "combining_marks",
    "cut_blank_lines",
    "cut_punctuation",
    "cut_stacks",
    "fate_of_values",
    "normalize_blanks",
    "remove_controls",
    "remove_invisible",
    "unescape_entities",
    "unicode_form",
]

Step = Callable[[str], str]

MOST_MARKS: Final = 30
"""Combining marks in a row: the limit of the stream-safe text format, UAX #15."""

# The characters of each step, as they stand between the brackets of a pattern.
CONTROLS: Final = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u206a-\u206f\ufff9-\ufffc\ufeff\ufdd0-\ufdef" + "".join(
    f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
)
"""C0 and C1 controls except tab and line breaks, deprecated formatting (U+206A..F), interlinear annotation, object replacement,
byte order mark, noncharacters."""
LINE_BREAKS: Final = "\r\x0b\x0c\x85\u2028\u2029"
SOFT_HYPHEN: Final = "\xad"
INVISIBLE: Final = "\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069"
"""Arabic letter mark, Mongolian vowel separator, zero-width space, left/right marks, embeddings and overrides, word
joiner and invisible operators, isolates."""
JOINED_SCRIPT: Final = (
    "\u0600-\u08ff\u0900-\u109f\u1780-\u18af\u1900-\u1cff\ua840-\uaaff\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00010aff\U00011000-\U00011fff\U0001e900-\U0001e95f"
)
"""Scripts whose spelling uses joiners: Arabic and its neighbours to N'Ko, the Indic scripts to Myanmar, Khmer and Mongolian,
Limbu to Vedic, Phags-pa to Meetei Mayek, Arabic presentation forms, Kharoshthi to Manichaean, Brahmi and its family, Adlam."""
EMOJI_BEFORE: Final = "\xa9\xae\u2122\u2190-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff"
EMOJI_AFTER: Final = "\u2190-\u2bff\U0001f000-\U0001faff"
BLANKS: Final = " \t\xa0"
"""What a line may be indented with."""
EXOTIC_BLANKS: Final = "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
PUNCTUATION: Final = "!?.,:;…。！？、，~*=_#-–—"

_TERMINAL_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CONTROL = re.compile(f"[{CONTROLS}]+")
_LINE_BREAK = re.compile(f"\r\n|[{LINE_BREAKS}]")
_INVISIBLE = re.compile(f"[{INVISIBLE}]+")
_INVISIBLE_OR_HYPHEN = re.compile(f"[{INVISIBLE}{SOFT_HYPHEN}]+")
_JOINERS = re.compile("[\u200c\u200d]+")
_JOINED_SCRIPT = re.compile(f"[{JOINED_SCRIPT}]")
_EMOJI_BEFORE = re.compile(f"[{EMOJI_BEFORE}]")
_EMOJI_AFTER = re.compile(f"[{EMOJI_AFTER}]")
_BLANK_RUN = re.compile(f" [ \t{EXOTIC_BLANKS}]+|[\t{EXOTIC_BLANKS}][ \t{EXOTIC_BLANKS}]*")
_INDENTATION = re.compile(f"[{BLANKS}]*")
_ENTITY_TAIL = re.compile(r"&(#?[0-9A-Za-z]{1,31})\Z")
_REACH: Final = 40  # characters that a reference takes, and more
_STORED: Final = 2048  # characters of a piece that is put aside
_OPEN_REFERENCE = re.compile(r"&#?[0-9A-Za-z]{0,31}\Z")
_OF_REFERENCES = re.compile("[&#;0-9A-Za-z]*")


def break_lines(text: str) -> str:
    r"""Return *text* with `\n` at the end of each line, whatever was there."""
    return _LINE_BREAK.sub("\n", text)


def remove_controls(text: str) -> str:
    """Return *text* without terminal escapes and the characters of CONTROLS."""
    return _CONTROL.sub("", _TERMINAL_ESCAPE.sub("", text) if "\x1b" in text else text)


def unescape_entities(text: str, *, keep_markup: bool = True, fate: Step = str) -> str:
    """Return *text* with HTML character references replaced, however often they were escaped.

    Only references that end in a semicolon count: `AT&T` and `a&b` are text. With *keep_markup* a text that has a `<`,
    or would get one, is returned unchanged. One pass: a reference that a replacement completes is found when its
    semicolon comes. *fate* says what later steps make of a character: one that goes from within another reference, or becomes
    part of one, completes it at once, where a round of all steps would be needed for each (`&#82&#8203;03;`).

    >>> unescape_entities("Tom &amp;amp; Jerry&#8217;s")
    'Tom & Jerry’s'
    >>> unescape_entities("write &lt;b&gt; and &amp;")
    'write &lt;b&gt; and &amp;'
    """
    if "&" not in text or ";" not in text or (keep_markup and "<" in text):
        return text
    pieces = text.split(";")
    done: list[str] = []
    tail = ""  # what a reference could still be open in; `done` holds everything before it
    for piece in pieces[:-1]:
        tail += piece
        if len(tail) > 2 * _STORED:
            behind = len(tail) - _REACH
            done += [tail[at : min(at + _STORED, behind)] for at in range(0, behind, _STORED)]
            tail = tail[behind:]
        while True:
            while len(tail) < _REACH and done:
                tail = done.pop() + tail
            found = _ENTITY_TAIL.search(tail, max(len(tail) - 33, 0))
            value = _entity(found.group(1)) if found else None
            if found is None or value is None:
                tail += ";"
                break
            tail = tail[: found.start()]
            if not value.isascii() and _OF_REFERENCES.fullmatch(late := fate(value)):
                value = late if late or _OPEN_REFERENCE.search(tail, max(len(tail) - 33, 0)) else value
            tail += value
            if not value.endswith(";"):
                break
            tail = tail[:-1]
    result = "".join(done) + tail + pieces[-1]
    return text if keep_markup and "<" in result else result


@functools.cache
def fate_of_values(
    form: Literal["NFC", "NFKC", "none"], *, control_characters: bool, zero_width: bool, soft_hyphens: bool
) -> Step:
    """Return what becomes of a character that a reference stands for, if it is not ASCII, in the steps that are asked for."""
    removed = (CONTROLS if control_characters else "") + (f"{INVISIBLE}\u200c\u200d" if zero_width else "")
    pattern = re.compile(f"[{removed}{SOFT_HYPHEN if zero_width and soft_hyphens else ''}]+") if removed else None

    def fate(value: str) -> str:
        value = pattern.sub("", value) if pattern else value
        return value if form == "none" else unicodedata.normalize(form, value)

    return fate


def _entity(name: str) -> str | None:
    """Return what the reference `&name;` stands for, or None if it is none."""
    if not name.startswith("#"):
        return html5.get(f"{name};")
    value = unescape(f"&{name};")
    return value if len(value) <= 1 else None  # more: only the start of the name was a number


def remove_invisible(text: str, *, soft_hyphens: bool = True) -> str:
    r"""Return *text* without zero-width and direction marks; joiners stay where spelling or an emoji needs them.

    Without *soft_hyphens* these stay.

    >>> remove_invisible("co\u00adop\u200berate"), remove_invisible("Auf\u200clage")
    ('cooperate', 'Auflage')
    >>> remove_invisible("می\u200cخواهم") == "می\u200cخواهم"
    True
    """
    if text.isascii():
        return text
    return _JOINERS.sub(_joiner, (_INVISIBLE_OR_HYPHEN if soft_hyphens else _INVISIBLE).sub("", text))


def _joiner(run: re.Match[str]) -> str:
    """Return what stays of a run of joiners: one of them, or nothing."""
    before, after = run.string[run.start() - 1 : run.start()], run.string[run.end() : run.end() + 1]
    wants_joiner = "\u200d" in run.group()
    if _JOINED_SCRIPT.match(before):
        # At the end of a word the non-joiner does nothing, the joiner still shapes the letter before it (Persian "ه‍").
        if _JOINED_SCRIPT.match(after):
            return run.group()[0]
        return "\u200d" if wants_joiner else ""
    return "\u200d" if wants_joiner and _EMOJI_BEFORE.match(before) and _EMOJI_AFTER.match(after) else ""


def unicode_form(form: Literal["NFC", "NFKC"]) -> Step:
    """Return the normalization to *form*, safe against endless stacks of combining marks."""
    return lambda text: text if text.isascii() else unicodedata.normalize(form, cut_stacks(text))


def cut_stacks(text: str) -> str:
    """Return *text* with no more than MOST_MARKS combining marks in a row."""
    return _stack().sub(r"\1", text)


@functools.cache
def combining_marks() -> str:
    """Return all characters that have a combining class, and the three Tibetan vowels that have none but consist of such."""
    return "".join(filter(_is_mark, map(chr, range(0x300, 0x1F000))))


def _is_mark(character: str) -> bool:
    return unicodedata.combining(unicodedata.normalize("NFD", character)[0]) > 0


@functools.cache
def _stack() -> re.Pattern[str]:
    marks = combining_marks()
    return re.compile(f"([{marks}]{{{MOST_MARKS}}})[{marks}]+")


def normalize_blanks(text: str, keep_indentation: bool = True, keep_tabs: bool = True) -> str:
    r"""Return *text* with one blank between words, none at line ends, and no empty lines at either end.

    >>> normalize_blanks("if x:\n    y  =\u00a01 \n")
    'if x:\n    y = 1'
    """
    lines = []
    for line in text.split("\n"):
        start = _INDENTATION.match(line)
        indentation = start.group().replace("\xa0", " ") if start and keep_indentation else ""
        body = _BLANK_RUN.sub(_keep_tab if keep_tabs else " ", line[start.end() if start else 0 :]).strip(" \t")
        lines.append(indentation + body if body else "")
    return "\n".join(lines).strip("\n")


def _keep_tab(run: re.Match[str]) -> str:
    """Return the one blank that stands for a run: a tab if there was one."""
    return "\t" if "\t" in run.group() else " "


def cut_blank_lines(most: int) -> Step:
    """Return the step that leaves at most so many blank lines in a row."""
    excess, allowed = re.compile(rf"\n{{{most + 2},}}"), "\n" * (most + 1)
    return lambda text: excess.sub(allowed, text)


def cut_punctuation(most: int) -> Step:
    """Return the step that leaves at most so many equal punctuation marks in a row."""
    run = re.compile(rf"(([{re.escape(PUNCTUATION)}])\2{{{most - 1}}})\2+")
    return lambda text: run.sub(r"\1", text)
