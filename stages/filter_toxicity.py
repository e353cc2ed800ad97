"""Toxic terms: counted by severity and category, and documents dropped that hold too many of them for their length.

A list of words is the weakest detector of toxicity and the only one that costs nothing, so it is used for what it can do.
C4 dropped every page with one listed word; on clean news that rule, with the list it came with, removes 15 % of English and
19 % of Thai documents, and Dodge et al. 2021 found that it removes African American English and texts about minorities more
than others. Here one vulgar word never drops a document, one everyday swear word never counts towards dropping alone, and one
slur quoted in a long report stays. What is left is what lists are good at: pornographic and abusive pages.

The lexicon was written for this project: `data/toxicity_lexicon.jsonl`, one entry a line. A word of one language can be an
innocent word of another, so an entry applies where its language is plausible; evidence is only gathered for texts with a match.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop, RecipeError, did_you_mean
from corpusmill.stages.base import Apply, DocumentStage, Guard
from corpusmill.stages.compile_ahead import compile_ahead
from corpusmill.stages.toxic_terms import DEFAULT_LEXICON, Hit, LexiconEntry, ToxicTerms, read_lexicon

__all__ = ["CATEGORIES", "WEIGHTS", "FilterToxicity", "LexiconEntry", "read_lexicon"]

CATEGORIES = ("slur", "sexual", "profanity", "violence", "harassment", "spam")
"""Categories of the default lexicon; `spam` is gambling. Terms of other categories count in the signal `toxicity_other`."""
WEIGHTS = {"mild": 0.25, "strong": 1.0, "severe": 3.0}
"""What a hit of each severity adds to the density."""


class FilterToxicity(DocumentStage, frozen=True, kw_only=True):
    """Drop documents with too many toxic terms for their length, or with slurs that are not a passing quotation.

    Signals: hits by severity (`toxicity_mild`, `_strong`, `_severe`) and by category (`toxicity_slur`, …, `toxicity_other`), and
    `toxicity_density`, weighted hits per 1,000 words: a mild hit counts 0.25, a strong one 1, a severe one 3. Of overlapping
    matches the longest counts. `Drop.ref` is the category that weighed most; terms are never written anywhere.
    """

    rewrites: ClassVar[tuple[str, ...]] = ()
    reasons: ClassVar[frozenset[str]] = frozenset({"severe_terms", "toxic_density"})
    signals: ClassVar[dict[str, pa.DataType]] = {
        **{f"toxicity_{name}": pa.int32() for name in ("severe", "strong", "mild", *CATEGORIES, "other")},
        "toxicity_density": pa.float32(),
    }
    idle_signals: ClassVar[Mapping[str, Any]] = {
        name: 0.0 if pa.types.is_floating(type_) else 0 for name, type_ in signals.items()
    }
    version: ClassVar[int] = 3

    lexicons: tuple[str, ...] = ()
    """Your own files, added to the default lexicon; an entry for a term and language that are listed already replaces the
    earlier one. `.jsonl`: one object a line with the fields of `LexiconEntry`. `.tsv`: the same fields as columns, named in
    the first line, exceptions separated by `;`. Anything else: one term a line, `#` begins a comment; category other,
    severity strong."""
    use_default_lexicon: bool = True
    """False leaves only your own files."""
    languages: tuple[str, ...] = ()
    """Languages whose terms apply, in every text. Empty: all, each where its language is plausible from script and function
    words. Naming them switches that test off, and with it the protection of texts in other languages."""
    categories: tuple[str, ...] = ()
    """Categories that count; empty: all. Risk of a choice: terms of the others are as if unlisted, in signals too, and
    a longer term of another category no longer covers a shorter one inside it."""
    disguised_words: bool = True
    """Look a second time at words that are spelled to be missed: `f*ck`, `sh1t`, `fuuuck`, a letter of another script, a blank
    after each letter. Strong and severe single words of four letters or more only. Risk: names and codes that look like it."""
    maximum_density: Annotated[float, Meta(ge=0)] | None = 25.0
    """Weighted hits per 1,000 words above which a document with at least one strong or severe hit goes (`toxic_density`); None
    switches the rule off. 25 is two vulgar words in 79 words, or 26 in 1,000: blunt fiction and most chat stay, pornography
    goes. Lower values remove dialects and reclaimed words first."""
    maximum_severe: Annotated[int, Meta(ge=0)] | None = 0
    """Severe hits above which a document goes (`severe_terms`) if they are dense as well; None switches the rule off. Risk of 0:
    a short text that quotes or condemns one slur goes; of more: short abuse stays, which has one."""
    minimum_severe_density: Annotated[float, Meta(ge=0)] = 5.0
    """Severe hits per 1,000 words from which `maximum_severe` is asked: one in 200 words, two in 400. It keeps a long
    report that quotes a slur. 0 drops for every single one."""
    shortest_length: Annotated[int, Meta(ge=1)] = 50
    """Words that a text is taken to have at least when densities are computed. Without it, one vulgar word in a message of
    ten words is a density of 100; with it, 20."""
    scores_only: bool = False
    """Measure, drop nothing. Risk: nothing later reads the signals of itself, so all of it reaches the shards."""

    def resources(self) -> tuple[str, ...]:
        """Return the paths of the user's lexicons."""
        return self.lexicons

    def entries(self) -> tuple[LexiconEntry, ...]:
        """Return the entries in force. Raises RecipeError for unreadable files and for languages or categories without any."""
        found: dict[tuple[str, str], LexiconEntry] = {}
        for path in ([DEFAULT_LEXICON] if self.use_default_lexicon else []) + [Path(name) for name in self.lexicons]:
            found.update({(entry.term.casefold(), entry.language): entry for entry in read_lexicon(path)})
        _check("languages", self.languages, {entry.language for entry in found.values()} - {""})
        _check("categories", self.categories, {entry.category for entry in found.values()})
        return tuple(
            entry
            for entry in found.values()
            if entry.severity == "allow"
            or (
                (not self.languages or not entry.language or entry.language in self.languages)
                and (not self.categories or entry.category in self.categories)
            )
        )

    def spans(self, text: str) -> list[tuple[int, int, str, str]]:
        """Return start, end (code points of *text*), category and severity of each hit, in order, none overlapping."""
        hits = _kept_terms(self, _files(self)).find(text)
        return [(hit.start, hit.end, hit.entry.category, hit.entry.severity) for hit in hits]

    @property
    def kernels(self) -> tuple[str, ...]:
        """The parts of `compile_ahead` that it runs."""
        return ("terms",)

    def guard(self) -> Guard:
        """Build the function that says in which texts there may be terms."""
        return _kept_terms(self, _files(self)).may_be_in

    def build(self) -> Apply:
        """Read the lexicons, build the tables, and bind the thresholds."""
        compile_ahead(*self.kernels)
        find = _kept_terms(self, _files(self)).find

        def apply(document: Document) -> Document | Drop:
            hits = find(document.text)
            if not hits:
                document.signals.update(self.idle_signals)
                return document
            words = max(_words(document.text), self.shortest_length)
            density = sum(WEIGHTS[hit.entry.severity] for hit in hits) * 1000 / words
            severity: Counter[str] = Counter(hit.entry.severity for hit in hits)
            category = Counter(hit.entry.category if hit.entry.category in CATEGORIES else "other" for hit in hits)
            for name in ("severe", "strong", "mild"):
                document.signals[f"toxicity_{name}"] = severity[name]
            for name in (*CATEGORIES, "other"):
                document.signals[f"toxicity_{name}"] = category[name]
            document.signals["toxicity_density"] = density
            drop = None if self.scores_only else self._judge(hits, severity, density, words)
            return drop or document

        return apply

    def _judge(self, hits: Sequence[Hit], severity: Counter[str], density: float, words: float) -> Drop | None:
        severe = severity["severe"]
        dense = severe * 1000 / words >= self.minimum_severe_density
        if self.maximum_severe is not None and severe > self.maximum_severe and dense:
            worst = _heaviest(hit for hit in hits if hit.entry.severity == "severe")
            return Drop("severe_terms", float(severe), float(self.maximum_severe), worst)
        if self.maximum_density is not None and density > self.maximum_density and severe + severity["strong"]:
            return Drop("toxic_density", density, self.maximum_density, _heaviest(hits))
        return None


def _words(text: str) -> float:
    """Return the words of *text*, as many as `FilterQuality` measures before it rounds."""
    from corpusmill.stages.term_table import count_words

    return count_words(np.frombuffer(text.encode("utf-8", "replace"), np.uint8))


def _files(stage: FilterToxicity) -> tuple[tuple[str, int, int], ...]:
    """Return what tells whether a lexicon of the user was written anew since it was read."""
    found = []
    for name in stage.lexicons:
        with suppress(OSError):  # said better by whoever reads it
            state = Path(name).stat()
            found.append((name, state.st_mtime_ns, state.st_size))
    return tuple(found)


@lru_cache(maxsize=8)
def _kept_terms(stage: FilterToxicity, files: tuple[tuple[str, int, int], ...]) -> ToxicTerms:  # noqa: ARG001  a key
    """Keep the tables between guard, build and calls of `spans`: settings are frozen and have no place for them."""
    return ToxicTerms(stage.entries(), everywhere=bool(stage.languages), disguised=stage.disguised_words)


def _check(setting: str, asked: Iterable[str], known: set[str]) -> None:
    for name in asked:
        if name not in known:
            raise RecipeError(f"filter_toxicity.{setting}: no terms for {name!r}{did_you_mean(name, known)}")


def _heaviest(hits: Iterable[Hit]) -> str:
    """Return the category that weighs most; of equal ones the first by name."""
    weight: Counter[str] = Counter()
    for hit in hits:
        weight[hit.entry.category] += int(4 * WEIGHTS[hit.entry.severity])
    return min(weight, key=lambda name: (-weight[name], name))
