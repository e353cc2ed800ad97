"""rensa: its batch interfaces and its deduplicators, over 5-word shingles and, as its guide shows, over bare words.

Bare words are another question than shingles (two texts of the same words in another order are the same), and the rho sketch
looks at a sample of the positions only; both are here because the project's own figures are about them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dedup_measure import Mask, Sketch, Texts
from dedup_words import shingles, words
from rensa import CMinHash, CMinHashDeduplicator, RMinHash, RMinHashDeduplicator, RMinHashLSH

_PERMUTATIONS, _SEED = 128, 42


def _shingled(texts: Texts) -> Iterator[list[str]]:
    return (shingles(words(text)) for text in texts.strings)


def _bare(texts: Texts) -> Iterator[list[str]]:
    return (text.split() for text in texts.strings)


def _keep_first(deduplicator: Any, documents: Iterator[list[str]]) -> list[bool]:
    kept: list[bool] = deduplicator.add_pairs((str(number), tokens) for number, tokens in enumerate(documents))
    return kept


def _r(threshold: float) -> Any:
    return RMinHashDeduplicator(threshold=threshold, num_perm=_PERMUTATIONS, use_lsh=True)


def _rho_flags(texts: Texts) -> list[bool]:
    """Keep what rensa's own benchmark keeps: it drops every flagged document, the first of a group too."""
    matrix = RMinHash.digest_matrix_from_token_sets_rho(_bare(texts), _PERMUTATIONS, _SEED)
    index = RMinHashLSH(threshold=0.8, num_perm=_PERMUTATIONS, num_bands=8)
    return [not flag for flag in index.query_duplicate_flags_matrix_one_shot(matrix)]


SKETCHES: dict[str, Sketch] = {
    "r": lambda texts: RMinHash.digest_matrix_from_token_sets(_shingled(texts), _PERMUTATIONS, _SEED),
    "c": lambda texts: CMinHash.digests64_from_token_sets(_shingled(texts), _PERMUTATIONS, _SEED),
    "r words": lambda texts: RMinHash.digest_matrix_from_token_sets(_bare(texts), _PERMUTATIONS, _SEED),
    "rho words": lambda texts: RMinHash.digest_matrix_from_token_sets_rho(_bare(texts), _PERMUTATIONS, _SEED),
}
MASKS: dict[str, Mask] = {
    "r 0.8": lambda texts: _keep_first(_r(0.8), _shingled(texts)),
    "r 0.7": lambda texts: _keep_first(_r(0.7), _shingled(texts)),
    "c 0.8": lambda texts: _keep_first(CMinHashDeduplicator(0.8, _PERMUTATIONS, _SEED), _shingled(texts)),
    "r words": lambda texts: _keep_first(_r(0.8), _bare(texts)),
    "rho words": _rho_flags,
}
