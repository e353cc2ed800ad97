"""Toxic terms: `filter_toxicity` beside a plain alternation of its terms and an automaton with word borders. See `stages.py`.

The alternation is the rule of C4 as its reimplementations have it, with our terms in place of its list; it stops at the first
match. The automaton is what a careful script would do: every match, with word borders on both sides. Neither knows of phrases
over line breaks, inflected endings, innocent words around a term, languages, or changed spelling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stages_child import Kind, Run, Texts


def _corpusmill() -> Run:
    from corpusmill.stages import FilterToxicity

    stage = FilterToxicity().open()
    return lambda texts: [stage(batch) for batch in texts.batches]


def _without_second_look() -> Run:
    from corpusmill.stages import FilterToxicity

    stage = FilterToxicity(disguised_words=False).open()
    return lambda texts: [stage(batch) for batch in texts.batches]


def _terms() -> list[str]:
    from corpusmill.stages import FilterToxicity

    return sorted({e.term.strip("*").lower() for e in FilterToxicity().entries() if e.severity != "allow"})


def _alternation() -> Run:
    pattern = re.compile(rf"(?:\W|^)({'|'.join(map(re.escape, _terms()))})(?:\W|$)")

    def run(texts: Texts) -> list[bool]:
        return [pattern.search(text.lower()) is not None for text in texts.strings]

    return run


def _automaton() -> Run:
    import ahocorasick_rs

    automaton = ahocorasick_rs.AhoCorasick(_terms(), implementation=ahocorasick_rs.Implementation.DFA)

    def joined(text: str, at: int) -> bool:
        return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()

    def run(texts: Texts) -> list[int]:
        counts = []
        for text in texts.strings:
            lowered = text.lower()
            found = automaton.find_matches_as_indexes(lowered, overlapping=True)
            counts.append(sum(not joined(lowered, start) and not joined(lowered, end) for _, start, end in found))
        return counts

    return run


SYSTEMS = {
    "corpusmill": _corpusmill,
    "corpusmill, disguised_words = false": _without_second_look,
    "alternation in re": _alternation,
    "ahocorasick_rs and borders": _automaton,
}
REFERENCE = "alternation in re"
KINDS: Mapping[str, Kind] = {"every fourth text": lambda texts: texts[::4]}
ENVIRONMENTS: Mapping[str, list[str]] = {}
ENVIRONMENT_OF: Mapping[str, str] = {}
