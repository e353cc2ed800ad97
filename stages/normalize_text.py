"""Repair of broken encodings, Unicode form, invisible characters and white space: the first stage after extraction.

Every later stage counts, compares or hashes characters, so what looks the same has to be the same here. ftfy does the
hard part, telling mojibake from text. It is called line by line through `fix_encoding_and_explain`, because `fix_text`
with `explain=False` (ftfy 6.3.1) calls its encoding repair without the configuration and so ignores part of it.

What is left to ftfy's other fixers elsewhere is not used here:

- curly quotes, ligatures and full-width letters are text, not damage; straightening quotes alone touches a quarter of
  clean English news and more than half of clean West European news;
- entities are replaced by ftfy again and again, one level of `&amp;amp;amp;` per pass over the text, which is
  quadratic; here a stack of open entities takes one pass;
- `unicodedata.normalize` is quadratic in a run of combining marks (80,000 of them take five seconds), so runs are cut
  first.

Repairs can enable each other: removing an invisible character can complete a broken sequence. The steps are therefore
repeated until nothing changes, which makes the stage idempotent.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from html import unescape
from html.entities import html5
from typing import Annotated, ClassVar, Literal

import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop
from corpusmill.stages.base import Apply, DocumentStage

__all__ = ["NormalizeText", "normalize_blanks", "remove_invisible", "unescape_entities"]

Step = Callable[[str], str]

_ROUNDS = 16  # each round undoes a layer of damage; layers of mojibake double in size, so real text needs two or three
_SEGMENT = 1_000_000  # characters of one line that the encoding repair sees at once: ftfy's own bound
_MARKS = 30  # combining marks in a row: the limit of the stream-safe text format, UAX #15

_TERMINAL_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# C0 and C1 controls except tab and line breaks, deprecated formatting (U+206A..F), interlinear annotation, object
# replacement, byte order mark, noncharacters.
_CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u206a-\u206f\ufff9-\ufffc\ufeff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]+"
)
_LINE_BREAK = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Soft hyphen, Arabic letter mark, Mongolian vowel separator, zero-width space, left/right marks, embeddings and
# overrides, word joiner and invisible operators, isolates.
_INVISIBLE = re.compile("[\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069]+")
_JOINERS = re.compile("[\u200c\u200d]+")
# Scripts whose spelling uses joiners: Arabic and its neighbours to N'Ko, the Indic scripts to Myanmar, Khmer and
# Mongolian, Limbu to Vedic, Phags-pa to Meetei Mayek, Arabic presentation forms, Kharoshthi to Manichaean, Brahmi and
# its family, Adlam.
_JOINED_SCRIPT = re.compile(
    "[\u0600-\u08ff\u0900-\u109f\u1780-\u18af\u1900-\u1cff\ua840-\uaaff\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00010aff\U00011000-\U00011fff\U0001e900-\U0001e95f]"
)
_EMOJI_BEFORE = re.compile("[\xa9\xae\u2122\u2190-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff]")
_EMOJI_AFTER = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")
_EXOTIC_BLANKS = "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_BLANK_RUN = re.compile(f" [ \t{_EXOTIC_BLANKS}]+|[\t{_EXOTIC_BLANKS}][ \t{_EXOTIC_BLANKS}]*")
_INDENTATION = re.compile("[ \t\xa0]*")
_ENTITY_TAIL = re.compile(r"&(#?[0-9A-Za-z]{1,31})\Z")
_PUNCTUATION = r"!?.,:;…。！？、，~*=_#\-–—"


class NormalizeText(DocumentStage, frozen=True, kw_only=True):
    """Repair broken encodings and make characters, white space and lines uniform; drop what is then `empty`.

    Normalising twice gives what normalising once gives. Quotes, ligatures, full-width letters and case are left as they
    are. Signals: `repaired` says whether the encoding repair changed the text, `replacement_share` is the share of
    U+FFFD among the characters of the result.
    """

    reasons: ClassVar[frozenset[str]] = frozenset({"empty"})
    signals: ClassVar[dict[str, pa.DataType]] = {"repaired": pa.bool_(), "replacement_share": pa.float32()}

    repair_encoding: bool = True
    """Undo mojibake with ftfy, with all its repairs of bytes: `schÃ¶n` becomes `schön`, C1 controls become the
    characters of Windows-1252 they stood for. Risk: a text that shows mojibake on purpose loses its examples."""
    unescape_html: Literal["auto", "always", "never"] = "auto"
    """Replace entities that were escaped twice and so survived extraction, such as `&nbsp;`. `auto` leaves a text alone
    if it has a `<`, as itself or as an entity: there, markup is probably the subject. Risk: a tutorial that explains
    `&amp;` and never shows a tag is changed; `always` also turns `&lt;b&gt;` into a tag."""
    unicode_form: Literal["NFC", "NFKC", "none"] = "NFC"
    """Unicode normalization form; runs of more than 30 combining marks are cut to 30. Risk: `NFKC` changes what text
    says (`10³` becomes `103`, `½` becomes `1⁄2`); `none` leaves letters that look equal unequal to every later
    stage."""
    line_separators: bool = True
    r"""Turn `\r\n`, `\r`, vertical tab, form feed, U+0085, U+2028 and U+2029 into `\n`. Risk of False: lines that look
    separate are one line to later stages."""
    control_characters: bool = True
    r"""Remove terminal escapes, control characters except `\n` and `\t`, the byte order mark and noncharacters. Risk:
    none known for text; binary data in a text column becomes shorter, not recognisable as such."""
    zero_width: bool = True
    """Remove zero-width spaces, word joiners, soft hyphens and direction marks; joiners (U+200C, U+200D) stay in
    scripts that spell with them and between emoji. Risk: Khmer and Thai text that marks words with zero-width spaces
    loses the marks."""
    white_space: bool = True
    """Make every run of blanks within a line one blank (U+00A0, U+3000 and the like are blanks), remove blanks at line
    ends and empty lines at both ends of the text. Risk: columns aligned with blanks lose their alignment."""
    keep_indentation: bool = True
    """Keep blanks and tabs at the start of lines, which carry meaning in code and lists. Risk: layout blanks of
    plain-text sources stay too and cost tokens."""
    keep_tabs: bool = True
    """Make a run of blanks that has a tab one tab, not one space: table cells are set apart by tabs. Risk: stray tabs of
    plain-text sources stay."""
    blank_lines: Annotated[int, Meta(ge=0)] | None = 1
    """Most blank lines in a row; None leaves them. Risk: 0 removes the marks between paragraphs."""
    repeated_punctuation: Annotated[int, Meta(ge=1, le=1000)] | None = None
    """Most equal punctuation marks in a row; None (the default) leaves them. Risk: rulers, Markdown tables, code
    (`===`) and ellipses are cut; a value of 3 spares the last and most headings."""

    def build(self) -> Apply:
        """Bind the steps that the settings ask for."""
        repair = _encoding_repair() if self.repair_encoding else None
        steps = self._steps()

        def apply(document: Document) -> Document | Drop:
            text, repaired = document.text, False
            for _ in range(_ROUNDS):
                before = text
                if repair is not None and not text.isascii():
                    text = repair(text)
                    repaired = repaired or text != before
                for step in steps:
                    text = step(text)
                if text == before:
                    break
            document.text = text
            document.signals["repaired"] = repaired
            document.signals["replacement_share"] = text.count("\ufffd") / max(len(text), 1)
            return document if text and not text.isspace() else Drop("empty", 0.0)

        return apply

    def _steps(self) -> list[Step]:
        """Return the text functions after the encoding repair, in order."""
        steps: list[Step] = []
        if self.unescape_html != "never":
            keep_markup = self.unescape_html == "auto"
            steps.append(lambda text: unescape_entities(text, keep_markup=keep_markup))
        if self.line_separators:
            steps.append(lambda text: _LINE_BREAK.sub("\n", text))
        if self.control_characters:
            steps.append(lambda text: _CONTROL.sub("", _TERMINAL_ESCAPE.sub("", text) if "\x1b" in text else text))
        if self.zero_width:
            steps.append(remove_invisible)
        if self.unicode_form != "none":
            steps.append(_unicode_form(self.unicode_form))
        if self.white_space:
            steps.append(lambda text: normalize_blanks(text, self.keep_indentation, self.keep_tabs))
        if self.blank_lines is not None:
            excess, allowed = re.compile(rf"\n{{{self.blank_lines + 2},}}"), "\n" * (self.blank_lines + 1)
            steps.append(lambda text: excess.sub(allowed, text))
        if self.repeated_punctuation is not None:
            run = re.compile(rf"(([{_PUNCTUATION}])\2{{{self.repeated_punctuation - 1}}})\2+")
            steps.append(lambda text: run.sub(r"\1", text))
        return steps


def _encoding_repair() -> Step:
    """Return ftfy's encoding repair, line by line, with every repair of bytes on and nothing else."""
    import ftfy

    config = ftfy.TextFixerConfig(explain=False)

    def fix_line(line: str) -> str:
        return line if line.isascii() else str(ftfy.fix_encoding_and_explain(line, config).text)

    def repair(text: str) -> str:
        lines = ["".join(fix_line(part) for part in _segments(line)) for line in text.split("\n")]
        return str(ftfy.fixes.fix_c1_controls(ftfy.fixes.fix_surrogates("\n".join(lines))))

    return repair


def _segments(line: str) -> list[str]:
    """Return *line* cut into pieces that the repair may see at once."""
    return [line] if len(line) <= _SEGMENT else [line[at : at + _SEGMENT] for at in range(0, len(line), _SEGMENT)]


def unescape_entities(text: str, *, keep_markup: bool = True) -> str:
    """Return *text* with HTML character references replaced, however often they were escaped.

    Only references that end in a semicolon count: `AT&T` and `a&b` are text. With *keep_markup* a text that has a `<`,
    or would get one, is returned unchanged. One pass: a reference that a replacement completes is found when its
    semicolon comes.

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
        if len(tail) > 4096:
            done.append(tail[:-40])
            tail = tail[-40:]
        tail += piece
        while True:
            found = _ENTITY_TAIL.search(tail, max(len(tail) - 33, 0))
            value = _entity(found.group(1)) if found else None
            if found is None or value is None:
                tail += ";"
                break
            tail = tail[: found.start()] + value
            if not value.endswith(";"):
                break
            tail = tail[:-1]
    result = "".join(done) + tail + pieces[-1]
    return text if keep_markup and "<" in result else result


def _entity(name: str) -> str | None:
    """Return what the reference `&name;` stands for, or None if it is none."""
    if not name.startswith("#"):
        return html5.get(f"{name};")
    value = unescape(f"&{name};")
    return value if len(value) <= 1 else None  # more: only the start of the name was a number


def remove_invisible(text: str) -> str:
    r"""Return *text* without zero-width and direction marks; joiners stay where spelling or an emoji needs them.

    >>> remove_invisible("co\u00adop\u200berate"), remove_invisible("Auf\u200clage")
    ('cooperate', 'Auflage')
    >>> remove_invisible("می\u200cخواهم") == "می\u200cخواهم"
    True
    """
    if text.isascii():
        return text
    return _JOINERS.sub(_joiner, _INVISIBLE.sub("", text))


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


def _unicode_form(form: Literal["NFC", "NFKC"]) -> Step:
    """Return the normalization to *form*, safe against endless stacks of combining marks."""
    marks = [point for point in range(0x300, 0x1F000) if unicodedata.combining(chr(point))]
    every = "".join(map(chr, marks))
    stack = re.compile(f"([{every}]{{{_MARKS}}})[{every}]+")
    # Most texts hold no mark at all. A class of few ranges around them is searched 30 times faster than the exact one.
    nearby = re.compile(f"[{_ranges([point for point in marks if point < 0x10000])}\U00010000-\U0001f000]")

    def normalize(text: str) -> str:
        if text.isascii():
            return text
        return unicodedata.normalize(form, stack.sub(r"\1", text) if nearby.search(text) else text)

    return normalize


def _ranges(points: Sequence[int], gap: int = 64) -> str:
    """Return a character class of few ranges that covers *points*, joining those less than *gap* apart.

    >>> _ranges([0x300, 0x301, 0x310, 0x400])
    '\u0300-\u0310\u0400-\u0400'
    """
    ranges: list[list[int]] = []
    for point in points:
        if ranges and point - ranges[-1][1] < gap:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


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
