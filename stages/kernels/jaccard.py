"""The Jaccard similarity of two documents from their stored shingles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from corpusmill.stages.kernels import kernel

__all__ = ["jaccard"]


@kernel
def jaccard(left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]) -> float:
    """Return the similarity of two sorted arrays as sets: repeats count once, and two empty sets have nothing in common."""
    i = j = common = union = 0
    while i < left.size or j < right.size:
        # The lesser of the two heads is the next element of the union; where they are equal, of both.
        if j == right.size or (i < left.size and left[i] <= right[j]):
            value = left[i]
            common += j < right.size and right[j] == value
        else:
            value = right[j]
        union += 1
        while i < left.size and left[i] == value:
            i += 1
        while j < right.size and right[j] == value:
            j += 1
    return common / union if union else 0.0
