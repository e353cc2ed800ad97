"""Heuristic quality rules: the thresholds of Gopher, C4 and FineWeb, measured so that they hold outside English too.

The published rules were made for English. With words split at spaces, 276 of 280 clean news documents in Chinese,
Japanese, Thai, Lao, Khmer, Burmese and Tibetan are too short or have "words" that are too long, and whatever has no
English "the" or "of" is dropped in any language. Here the thresholds are the published ones and the measuring is not:
see `text_units` for words and `function_words` for those of 72 languages.

All values are measured in one pass by kernels over the bytes of a batch, whether or not a cheap rule has already decided:
thresholds can then be tuned on stored values without reading the text again. Measured in Python, a document at a time, the
same values took some twenty times as long (tests/plain_quality.py, benchmarks/results/stages_quality.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Meta

from corpusmill.schemas import Drop, RecipeError, signal_column, verdict_array
from corpusmill.stages.base import BatchFunction, Stage, with_columns
from corpusmill.stages.quality_measures import edit_texts, measure_texts
from corpusmill.stages.quality_rules import ALL_LINE_RULES, RULES, LineRule, Preset, Rule
from corpusmill.stages.text_buffers import text_buffers

__all__ = ["FilterQuality", "Limit"]

_Number = Annotated[float, Meta(ge=0)]
Limit = _Number | Literal["preset", "off"] | None
"""A threshold: a number, `preset` (what the chosen presets say, off where none has the rule), or `off` (None in
Python)."""

_COUNTS = {"words": pa.int64(), "stop_words": pa.int32(), "sentences": pa.int64()}
_COUNTS |= {"curly_brackets": pa.int64(), "lorem_ipsum": pa.int64()}


class FilterQuality(Stage, frozen=True, kw_only=True):
    """Drop documents that break a rule of the chosen presets; the first broken rule in declared order is the reason.

    `value` is what was measured and `limit` the threshold it broke. Each threshold is a setting named after its side
    and its signal; it overrides every preset, or switches on a rule that no chosen preset has. Signals are measured
    by family: words, lines, page, repetition; a family without a rule in force is not measured and its signals are
    null. So is a value where there is nothing to measure, and a null breaks no rule.

    With the preset `c4` the text is edited before anything is measured: see `remove_lines` and `citations`.
    """

    reasons: ClassVar[frozenset[str]] = frozenset(rule.reason for rule in RULES)
    signals: ClassVar[dict[str, pa.DataType]] = {
        **{rule.signal: _COUNTS.get(rule.signal, pa.float32()) for rule in RULES},
        "removed_lines": pa.int64(),
    }
    version: ClassVar[int] = 2

    presets: tuple[Preset, ...] = ("gopher_quality", "gopher_repetition")
    """Whose rules to apply: `gopher_quality` and `gopher_repetition` (Rae et al. 2021), `c4` (Raffel et al. 2020),
    `fineweb` (Penedo et al. 2024). Where two limit the same value, the stricter limit holds. `c4` and `fineweb` were
    tuned on English web pages and remove much else."""

    minimum_words: Limit = "preset"
    """Words in the document. Gopher: 50; every short good answer goes too."""
    maximum_words: Limit = "preset"
    """Words in the document. Gopher: 100,000. Risk: long books go, and most of what is bound in one file."""
    minimum_mean_word_length: Limit = "preset"
    """Characters per word, punctuation left out. Gopher: 3. Not measured where most of the text has no spaces; Hangul
    blocks count two. Risk: word lists, rhymes for children and tables of short codes go."""
    maximum_mean_word_length: Limit = "preset"
    """The same from above. Gopher: 10. Risk: chemistry, law and languages that build long words come near it; URLs count as
    words."""
    maximum_hash_ratio: Limit = "preset"
    """`#` per word. Gopher: 0.1. Risk: posts with a hashtag in every line go, and short Markdown with many headings."""
    maximum_ellipsis_ratio: Limit = "preset"
    """Ellipses per word, `...` and `…` alike. Gopher: 0.1. Risk: dialogue and
    transcripts with pauses go."""
    maximum_bullet_lines: Limit = "preset"
    """Share of lines that begin with a bullet. Gopher: 0.9. Risk: recipes, indexes and changelogs that are nothing but a
    list go, and dialogue whose speeches begin with a dash."""
    maximum_ellipsis_lines: Limit = "preset"
    """Share of lines that end with an ellipsis. Gopher: 0.3. Risk: verse and dialogue that trail off go with the teasers
    that are meant."""
    minimum_alphabetic_words: Limit = "preset"
    """Share of words with a letter, among all runs of non-white space. Gopher: 0.8; tables of figures go."""
    minimum_stop_words: Limit = "preset"
    """Distinct function words of one language. Gopher: 2 of the English `the be to of and that have with`. Here the
    function words of any of 72 languages in Latin script will do. Other scripts are not asked; other languages in
    Latin script should set this to `off`."""
    maximum_curly_brackets: Limit = "preset"
    """`{` in the text. C4: 0; prose about programming goes with the code."""
    maximum_lorem_ipsum: Limit = "preset"
    """Times that "lorem ipsum" is in the text. C4: 0. Risk: articles about typesetting and web design go."""
    minimum_sentences: Limit = "preset"
    """Sentences after the line rules. C4: 5 in the paper; its released code has 3. Risk: lists, verse and
    definitions go; full stops of abbreviations count as ends."""
    minimum_lines_ending_with_punctuation: Limit = "preset"
    """Share of lines that end with a full stop, mark or quote. FineWeb: 0.12; verse and Thai have hardly any."""
    maximum_short_lines: Limit = "preset"
    """Share of lines of at most 30 characters. FineWeb: 0.67; verse and dialogue go, and Chinese lines are shorter."""
    maximum_newlines_per_word: Limit = "preset"
    """Line ends per word. FineWeb: 0.3. Risk: lists, verse, tables and code go."""
    maximum_duplicate_lines: Limit = "preset"
    """Share of lines that repeat an earlier line. Gopher: 0.3. Risk: songs with a refrain and forms go."""
    maximum_duplicate_paragraphs: Limit = "preset"
    """Share of paragraphs that repeat an earlier one. Gopher: 0.3. Risk: litanies and contracts whose clauses recur go."""
    maximum_duplicate_line_characters: Limit = "preset"
    """Share of characters in lines that repeat an earlier one. Gopher: 0.2, FineWeb: 0.1 (its released code: 0.01).
    Risk: at 0.01 one menu line that is there twice is enough in a short page."""
    maximum_duplicate_paragraph_characters: Limit = "preset"
    """Share of characters in paragraphs that repeat an earlier one. Gopher: 0.2. Risk: a page that shows its
    article twice goes whole, with the only copy of it."""
    maximum_top_2_gram: Limit = "preset"
    """Share of characters in the most frequent sequence of two words. Gopher: 0.20. Risk: short texts about one name go."""
    maximum_top_3_gram: Limit = "preset"
    """The same for three words. Gopher: 0.18. Risk: as for two, with names of institutions."""
    maximum_top_4_gram: Limit = "preset"
    """The same for four words. Gopher: 0.16. Risk: as for two, with titles and formulas of address."""
    maximum_duplicate_5_grams: Limit = "preset"
    """Share of characters in sequences of five words that occurred before. Gopher: 0.15. Risk, of this and of the
    longer ones: statutes, liturgy, songs and fairy tales repeat more, and raising one of the six limits leaves the others."""
    maximum_duplicate_6_grams: Limit = "preset"
    """The same for six words, with the same risk. Gopher: 0.14."""
    maximum_duplicate_7_grams: Limit = "preset"
    """The same for seven words, with the same risk. Gopher: 0.13."""
    maximum_duplicate_8_grams: Limit = "preset"
    """The same for eight words, with the same risk. Gopher: 0.12."""
    maximum_duplicate_9_grams: Limit = "preset"
    """The same for nine words, with the same risk. Gopher: 0.11."""
    maximum_duplicate_10_grams: Limit = "preset"
    """The same for ten words, with the same risk. Gopher: 0.10."""

    remove_lines: tuple[LineRule, ...] | Literal["preset"] = "preset"
    """Lines to take out first. `preset` is all five with `c4`, else none: `no_terminal_punctuation` (an ellipsis is
    none), `few_words` (below 3), `long_word` (above 1,000 characters), `javascript`, `policy` (terms of use,
    cookies). The first alone cost FineWeb 30 % of its tokens, which is why it left it out."""
    citations: Literal["preset", "keep", "remove"] = "preset"
    """Whether to `remove` marks such as `[12]`, `[edit]` and `[citation needed]`; `preset` does so with `c4`."""

    def limits(self) -> tuple[tuple[Rule, float], ...]:
        """Return the rules in force, in the order in which they are asked, with their limits."""
        return tuple((rule, limit) for rule in RULES if (limit := self._limit(rule)) is not None)

    def _limit(self, rule: Rule) -> float | None:
        given: Limit = getattr(self, rule.setting)
        if given is None or given == "off":
            return None
        if not isinstance(given, str):
            return float(given)
        published = [rule.limits[preset] for preset in self.presets if preset in rule.limits]
        strictest = max if rule.side == "minimum" else min
        return strictest(published, default=None)

    def line_rules(self) -> tuple[LineRule, ...]:
        """Return the rules by which lines are removed before anything is measured."""
        if self.remove_lines != "preset":
            return self.remove_lines
        return ALL_LINE_RULES if "c4" in self.presets else ()

    @property
    def rewrites(self) -> tuple[str, ...]:
        """Columns that change: the text, if lines or reference marks are taken out."""
        return ("text",) if self.line_rules() or self.removes_citations else ()

    @property
    def removes_citations(self) -> bool:
        """Whether reference marks are taken out before anything is measured."""
        return self.citations == "remove" or (self.citations == "preset" and "c4" in self.presets)

    @property
    def kernels(self) -> tuple[str, ...]:
        """The one that measures, and the one that edits if anything is edited."""
        return ("quality_measure", "quality_edit") if self.rewrites else ("quality_measure",)

    def open(self) -> BatchFunction:
        """Return the function that edits, measures and judges a batch."""
        from corpusmill.stages.compile_ahead import compile_ahead

        compile_ahead(*self.kernels)
        limits, line_rules, uncite = self.limits(), self.line_rules(), self.removes_citations
        families = frozenset(rule.family for rule, _ in limits)

        def run(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.StructArray]:
            names = batch.schema.names
            if "text" not in names:
                raise RecipeError(f"{self.kind}: the table has no column 'text' (it has: {', '.join(names)})")
            texts = text_buffers(batch.column("text"))
            columns: dict[str, pa.Array] = {}
            if line_rules or uncite:
                edited = edit_texts(texts, line_rules, uncite=uncite)
                texts = text_buffers(edited.texts)
                columns["text"] = edited.texts.cast(batch.column("text").type)
            values = measure_texts(texts, families)
            signals = {name: pa.array(given, from_pandas=True) for name, given in values.items()}
            if line_rules:
                signals["removed_lines"] = pa.array(edited.removed)
            for name, type_ in self.signals.items():
                measured = signals[name].cast(type_) if name in signals else pa.nulls(batch.num_rows, type_)
                column = signal_column(name)
                # Measured by an earlier stage of this kind: what is new wins.
                columns[column] = pc.coalesce(measured, batch.column(column)) if column in names else measured
            return with_columns(batch, columns), verdict_array(_verdicts(values, limits, batch.num_rows))

        return run


def _verdicts(
    values: Mapping[str, npt.NDArray[np.float64]], limits: Sequence[tuple[Rule, float]], rows: int
) -> list[Drop | None]:
    """Return for each row the first rule that it breaks; NaN breaks none."""
    drops: list[Drop | None] = [None] * rows
    open_ = np.ones(rows, np.bool_)
    for rule, limit in limits:
        measured = values[rule.signal]
        broken = rule.broken_by(measured, limit) & open_
        for row in np.flatnonzero(broken).tolist():
            drops[row] = Drop(rule.reason, float(measured[row]), limit)
        open_ &= ~broken
    return drops
