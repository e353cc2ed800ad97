"""The quality rules as one table.

A rule names a signal, a side and the threshold that each preset publishes; deciding is a comparison and nothing else,
so a threshold can be tuned on stored signals. Where two projects limit the same value they share the rule, and the
stricter limit of the chosen presets holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["ALL_LINE_RULES", "RULES", "Family", "LineRule", "Preset", "Rule"]

Preset = Literal["gopher_quality", "gopher_repetition", "c4", "fineweb"]
LineRule = Literal["no_terminal_punctuation", "few_words", "long_word", "javascript", "policy"]
Family = Literal["words", "lines", "page", "repetition"]

ALL_LINE_RULES: tuple[LineRule, ...] = ("no_terminal_punctuation", "few_words", "long_word", "javascript", "policy")


class Rule(NamedTuple):
    """One threshold: a document breaks it where its *signal* lies beyond the limit on the named *side*."""

    reason: str
    side: Literal["minimum", "maximum"]
    signal: str
    family: Family
    limits: Mapping[Preset, float]

    @property
    def setting(self) -> str:
        """The name of the setting that overrides the limit."""
        return f"{self.side}_{self.signal}"

    def broken_by(self, values: npt.NDArray[np.float64], limit: float) -> npt.NDArray[np.bool_]:
        """Say which of *values* lie beyond *limit*; the limit itself is still good, and so is NaN, which was not measured."""
        return values < limit if self.side == "minimum" else values > limit


RULES: tuple[Rule, ...] = (
    # Rae et al. 2021 (Gopher), section A1.1. Cheap rules first: the first one broken names the reason.
    Rule("too_few_words", "minimum", "words", "words", {"gopher_quality": 50}),
    Rule("too_many_words", "maximum", "words", "words", {"gopher_quality": 100_000}),
    Rule("mean_word_length", "minimum", "mean_word_length", "words", {"gopher_quality": 3}),
    Rule("mean_word_length", "maximum", "mean_word_length", "words", {"gopher_quality": 10}),
    Rule("hash_ratio", "maximum", "hash_ratio", "words", {"gopher_quality": 0.1}),
    Rule("ellipsis_ratio", "maximum", "ellipsis_ratio", "words", {"gopher_quality": 0.1}),
    Rule("bullet_lines", "maximum", "bullet_lines", "lines", {"gopher_quality": 0.9}),
    Rule("ellipsis_lines", "maximum", "ellipsis_lines", "lines", {"gopher_quality": 0.3}),
    Rule("alphabetic", "minimum", "alphabetic_words", "words", {"gopher_quality": 0.8}),
    Rule("stop_words", "minimum", "stop_words", "words", {"gopher_quality": 2}),
    # Raffel et al. 2020 (C4), section 2.2.
    Rule("curly_bracket", "maximum", "curly_brackets", "page", {"c4": 0}),
    Rule("lorem_ipsum", "maximum", "lorem_ipsum", "page", {"c4": 0}),
    Rule("too_few_sentences", "minimum", "sentences", "page", {"c4": 5}),
    # Penedo et al. 2024 (FineWeb), section 3.6; the newline ratio is in the released code only.
    Rule("line_punctuation", "minimum", "lines_ending_with_punctuation", "lines", {"fineweb": 0.12}),
    Rule("short_lines", "maximum", "short_lines", "lines", {"fineweb": 0.67}),
    Rule("newline_ratio", "maximum", "newlines_per_word", "lines", {"fineweb": 0.3}),
    # Rae et al. 2021, table A1.
    Rule("duplicate_lines", "maximum", "duplicate_lines", "lines", {"gopher_repetition": 0.3}),
    Rule("duplicate_paragraphs", "maximum", "duplicate_paragraphs", "lines", {"gopher_repetition": 0.3}),
    Rule(
        "duplicate_line_characters",
        "maximum",
        "duplicate_line_characters",
        "lines",
        {"gopher_repetition": 0.2, "fineweb": 0.1},
    ),
    Rule(
        "duplicate_paragraph_characters",
        "maximum",
        "duplicate_paragraph_characters",
        "lines",
        {"gopher_repetition": 0.2},
    ),
    *(
        Rule(f"top_{n}_gram", "maximum", f"top_{n}_gram", "repetition", {"gopher_repetition": limit})
        for n, limit in ((2, 0.20), (3, 0.18), (4, 0.16))
    ),
    *(
        Rule(f"duplicate_{n}_grams", "maximum", f"duplicate_{n}_grams", "repetition", {"gopher_repetition": limit})
        for n, limit in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
    ),
)
"""Every rule in the order in which it is asked."""
