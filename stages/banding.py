"""Bands and rows of LSH: what finds the pairs that a threshold asks for, and how surely.

A pair of Jaccard similarity s shares one band of r rows with probability s^r, and at least one of b bands with probability
1 - (1 - s^r)^b (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4). Common tools take the b and r that
balance false positives against false negatives, because they trust the bands; ours verifies, so that false positives cost
a comparison and only false negatives count.
"""

from __future__ import annotations

import math

from corpusmill.schemas import RecipeError

__all__ = ["PRESETS", "bands_for", "detection_probability", "s_curve"]

PRESETS: dict[str, tuple[int, int, bool]] = {"fineweb": (14, 8, False), "strict": (32, 4, True)}
"""By name: bands, rows, and whether candidates are verified. `fineweb`: Penedo et al. 2024, section 3.4."""

_MISSED = 0.0025  # share of pairs exactly at the threshold that the derived banding may miss


def bands_for(threshold: float, permutations: int) -> tuple[int, int]:
    """Return the (bands, rows) that miss at most 1 in 400 pairs exactly at *threshold*, with as many rows as fit.

    More rows mean fewer false candidates to verify. The rule gives 20 x 6 for 0.8 and 128 permutations.

    >>> bands_for(0.8, 128)
    (20, 6)
    """
    for rows in range(permutations // 2, 0, -1):
        hit = threshold**rows
        bands = 1 if hit >= 1 else math.ceil(math.log(_MISSED) / math.log1p(-hit)) if hit > 1e-12 else permutations + 1
        if max(bands, 2) * rows <= permutations:
            return max(bands, 2), rows
    raise RecipeError(
        f"deduplicate: no banding of {permutations} permutations finds pairs at threshold {threshold}; "
        "raise the threshold or the permutations"
    )


def detection_probability(similarity: float, bands: int, rows: int) -> float:
    """Return the probability with which a pair of that Jaccard similarity becomes a candidate.

    >>> round(detection_probability(0.8, 20, 6), 4), round(detection_probability(0.5, 20, 6), 4)
    (0.9977, 0.2702)
    """
    return float(1 - (1 - similarity**rows) ** bands)


def s_curve(bands: int, rows: int, points: int = 21) -> list[tuple[float, float]]:
    """Return (similarity, probability of detection) at *points* similarities from 0 to 1.

    >>> [(similarity, round(found, 3)) for similarity, found in s_curve(20, 6, 3)]
    [(0.0, 0.0), (0.5, 0.27), (1.0, 1.0)]
    """
    steps = [at / (points - 1) for at in range(points)]
    return [(similarity, detection_probability(similarity, bands, rows)) for similarity in steps]
