"""Repair of broken encodings, Unicode form, invisible characters and white space: the first stage after extraction.

Every later stage counts, compares or hashes characters, so what looks the same has to be the same here. Repairs can enable each
other: removing an invisible character can complete a broken sequence. The steps are therefore repeated until nothing changes,
which makes the stage idempotent but for what somebody has nested deeper than `_ROUNDS`.

Most texts are as they should be: 76 % of 6,433 from many sources, 93 % of a thousand that `strip_html` had extracted. A scan
over the bytes of a batch finds those, at 600 MB/s (text_scan.py), and no string is made of them; of the others ftfy sees the
lines that its own heuristic stops at (encoding_repair.py), and kernels do the plain steps. All steps on strings, one after the
other (text_cleaning.py), took thirty times as long.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop
from corpusmill.stages import text_cleaning as cleaning
from corpusmill.stages.base import Apply, DocumentStage, Guard
from corpusmill.stages.compile_ahead import compile_ahead
from corpusmill.stages.encoding_repair import line_repair, lines_of
from corpusmill.stages.text_cleaning import Step, normalize_blanks, remove_invisible, unescape_entities
from corpusmill.stages.text_scan import TextScan, text_scan

__all__ = ["NormalizeText", "normalize_blanks", "remove_invisible", "unescape_entities"]

_ROUNDS = 16
"""Each round undoes a layer of damage; layers of mojibake double in size, so real text needs two or three. As many as a text asks
for would be quadratic: a layer takes twenty bytes where references spell mojibake that is itself in references."""


class NormalizeText(DocumentStage, frozen=True, kw_only=True):
    """Repair broken encodings and make characters, white space and lines uniform; drop what is then `empty`.

    Normalising twice gives what normalising once gives, unless repairs that each make the next one possible are more than 16
    deep: references spelled in mojibake within each other, or with `repeated_punctuation` in marks that are cut. Quotes,
    ligatures, full-width letters and case are left as they are. Signals: `repaired` says whether the encoding repair changed
    the text, `replacement_share` is the share of U+FFFD among the characters of the result.
    """

    reasons: ClassVar[frozenset[str]] = frozenset({"empty"})
    version: ClassVar[int] = 3
    signals: ClassVar[dict[str, pa.DataType]] = {"repaired": pa.bool_(), "replacement_share": pa.float32()}
    idle_signals: ClassVar[Mapping[str, Any]] = {"repaired": False, "replacement_share": 0.0}

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
    soft_hyphens: bool = True
    """Of what `zero_width` removes, soft hyphens too. Risk of True: where a word may be broken is no longer known; of False: a
    word with one is another word to filters, deduplication and the tokenizer."""
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

    @property
    def kernels(self) -> tuple[str, ...]:
        """The parts of `compile_ahead` that it runs."""
        return ("normalize",)

    def guard(self) -> Guard:
        """Return the scan for what the steps would change."""
        compile_ahead(*self.kernels)
        return text_scan(self).busy

    def build(self) -> Apply:
        """Bind the steps that the settings ask for."""
        compile_ahead(*self.kernels)
        scan = text_scan(self)

        plainly = self.plainly()

        def apply(document: Document) -> Document | Drop:
            try:
                data, repaired = self._normalized(document.text.encode(), scan)
                text = data.decode()
            except UnicodeEncodeError:  # surrogates, which a text of a batch cannot have
                text, repaired = plainly(document.text)
            document.text = text
            document.signals["repaired"] = repaired
            document.signals["replacement_share"] = text.count("\ufffd") / max(len(text), 1)
            return document if text and not text.isspace() else Drop("empty", 0.0)

        return apply

    def plainly(self) -> Callable[[str], tuple[str, bool]]:
        """Return the stage as steps on strings, without guard and kernels: what those are measured by, in tests too.

        It gives a text as the steps leave it, and whether the repair of encodings changed it.
        """
        repair_line = line_repair() if self.repair_encoding else None
        steps = list(self._plain_steps())

        def normalized(text: str) -> tuple[str, bool]:
            repaired = False
            for _ in range(_ROUNDS):
                before = text
                if repair_line is not None:
                    text = "".join(map(repair_line, lines_of(text)))
                    repaired = repaired or text != before
                for step in steps:
                    text = step(text)
                if text == before:
                    break
            return text, repaired

        return normalized

    def _normalized(self, data: bytes, scan: TextScan) -> tuple[bytes, bool]:
        """Return a text as the steps leave it, and whether the repair of encodings changed it."""
        repaired = False
        for _ in range(_ROUNDS):
            before = data
            if scan.repair is not None:
                data = scan.repair(data)
                repaired = repaired or data != before
            if self.unescape_html != "never" and b"&" in data and b";" in data:
                data = self._unescape(data.decode()).encode()
            if scan.is_done(data):
                break
            data = scan.clean(data)
            if self.repeated_punctuation is not None:
                data = cleaning.cut_punctuation(self.repeated_punctuation)(data.decode()).encode()
            if data == before or scan.is_done(data):
                break
        return data, repaired

    def _unescape(self, text: str) -> str:
        """Return *text* without the references that `unescape_html` means."""
        fate = cleaning.fate_of_values(
            self.unicode_form,
            control_characters=self.control_characters,
            zero_width=self.zero_width,
            soft_hyphens=self.soft_hyphens,
        )
        return unescape_entities(text, keep_markup=self.unescape_html == "auto", fate=fate)

    def _plain_steps(self) -> Iterator[Step]:
        """Yield the steps after the repair of encodings, in order, as functions of strings."""
        if self.unescape_html != "never":
            yield self._unescape
        if self.line_separators:
            yield cleaning.break_lines
        if self.control_characters:
            yield cleaning.remove_controls
        if self.zero_width:
            yield functools.partial(remove_invisible, soft_hyphens=self.soft_hyphens)
        if self.unicode_form != "none":
            yield cleaning.unicode_form(self.unicode_form)
        if self.white_space:
            yield lambda text: normalize_blanks(text, self.keep_indentation, self.keep_tabs)
        if self.blank_lines is not None:
            yield cleaning.cut_blank_lines(self.blank_lines)
        if self.repeated_punctuation is not None:
            yield cleaning.cut_punctuation(self.repeated_punctuation)
