"""Whether a document duplicates a candidate that the bands name: by content, by its shingles, or by its signature.

Banding alone is not trusted. At the usual 14 x 8 bands it removes documents whose best kept neighbour has a Jaccard
similarity below 0.5; checking candidates against the kept document's own shingles raised F1 from 0.857 to 0.9996 on a
benchmark with exact all-pairs truth (benchmarks/results/dedup.md). Comparing shingles for every candidate would take most
of the time on templated sites, where hundreds of pages share bands below the threshold, so those whose signatures lie far
below it are left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from corpusmill.schemas import Drop
from corpusmill.stages.kernels.jaccard import jaccard
from corpusmill.stages.sketch_store import SketchStore

__all__ = ["Ordinals", "Verification", "Verifier"]

Ordinals = npt.NDArray[np.uint32]
Verification = Literal["exact", "estimate", "none"]

# How far a signature may underestimate before its document is not compared: in standard deviations, and in values that differ.
# The second counts near 1, where few values differ and their number is far from normal. With 128 permutations a pair right at the
# threshold lies farther off less than once in 10^7 cases; the bands miss one in 400.
_FAR_DEVIATIONS, _FAR_VALUES = 6.0, 12


class Verifier:
    """Decides whether a document duplicates one of the candidates that the bands name, and which."""

    def __init__(self, near: bool, threshold: float, permutations: int, verify: Verification) -> None:
        self._near = near
        self.limit = threshold
        self._verify = verify
        deviation = math.sqrt(threshold * (1 - threshold) / permutations)
        self._floor = threshold - max(_FAR_DEVIATIONS * deviation, _FAR_VALUES / permutations)
        self.counts: Counter[str] = Counter()
        """Candidates by how they were compared; `far` ones were left out."""

    def __call__(
        self,
        mine: SketchStore,
        ordinal: int,
        theirs: SketchStore,
        candidates: Ordinals,
        bands: Ordinals,
        *,
        near: bool = True,
    ) -> tuple[Drop, int] | None:
        """Return the verdict on a document of *mine* and the candidate of *theirs* that it duplicates.

        Where *theirs* holds no signatures (*near* is false), only contents are compared.
        """
        same = candidates[bands == 0]
        if len(same):
            content = mine.content(ordinal)
            for candidate in same.tolist():
                if theirs.content(candidate) == content:
                    return Drop("exact_duplicate", 1.0, None, theirs.id(candidate)), candidate
        return self._nearest(mine, ordinal, theirs, candidates.tolist()) if near and self._near else None

    def _nearest(
        self, mine: SketchStore, ordinal: int, theirs: SketchStore, candidates: Sequence[int]
    ) -> tuple[Drop, int] | None:
        """Return the most similar candidate, the earliest of equals, if it is similar enough."""
        # Signatures of an index that another tool made may be cut off behind its bands.
        signatures = theirs.signatures(candidates)
        estimates = (signatures == mine.signatures([ordinal])[:, : signatures.shape[1]]).mean(axis=1)
        best: tuple[float, int] | None = None
        for candidate, estimate in zip(candidates, estimates.tolist(), strict=True):
            if self._verify == "exact" and estimate < self._floor:
                self.counts["far"] += 1
                continue
            similarity, how = self._similarity(mine, ordinal, theirs, candidate, estimate)
            self.counts[how] += 1
            if (how == "none" or similarity >= self.limit) and (best is None or similarity > best[0]):
                best = similarity, candidate
        return None if best is None else (Drop("near_duplicate", best[0], self.limit, theirs.id(best[1])), best[1])

    def _similarity(
        self, mine: SketchStore, ordinal: int, theirs: SketchStore, candidate: int, estimate: float
    ) -> tuple[float, str]:
        """Return the similarity of two documents and how it was found."""
        if self._verify == "exact":
            here, there = mine.shingles(ordinal), theirs.shingles(candidate)
            if here is not None and there is not None:
                return float(jaccard(here, there)), "exact"
            return estimate, "estimate"
        return estimate, self._verify
