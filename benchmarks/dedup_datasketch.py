"""datasketch: `MinHash.bulk`, the quickest way that its documentation shows, and its LSH in a loop that keeps the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import xxhash
from datasketch import MinHash, MinHashLSH
from dedup_measure import Mask, Sketch, Texts
from dedup_words import shingles, words

_PERMUTATIONS = 128


def _xxh64(data: bytes) -> int:
    return xxhash.xxh64_intdigest(data) & 0xFFFFFFFF


def _tokens(texts: Texts) -> Iterator[list[bytes]]:
    return ([shingle.encode() for shingle in shingles(words(text))] for text in texts.strings)


def _sketch(texts: Texts, **settings: Any) -> Any:
    return MinHash.bulk(_tokens(texts), num_perm=_PERMUTATIONS, **settings)


def _one_by_one(texts: Texts) -> Any:
    signatures = []
    for tokens in _tokens(texts):
        minhash = MinHash(num_perm=_PERMUTATIONS)
        for token in tokens:
            minhash.update(token)
        signatures.append(minhash)
    return signatures


def _keep_first(threshold: float, *, estimate: bool = False, **settings: Any) -> Callable[[Texts], list[bool]]:
    def run(texts: Texts) -> list[bool]:
        index = MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)
        kept: dict[int, Any] = {}
        keep = []
        for ordinal, minhash in enumerate(MinHash.generator(_tokens(texts), num_perm=_PERMUTATIONS, **settings)):
            found = index.query(minhash)
            if estimate:
                found = [key for key in found if minhash.jaccard(kept[key]) >= threshold]
            keep.append(not found)
            if not found:
                index.insert(ordinal, minhash)
                if estimate:
                    kept[ordinal] = minhash
        return keep

    return run


SKETCHES: dict[str, Sketch] = {
    "bulk": _sketch,
    "xxhash": lambda texts: _sketch(texts, hashfunc=_xxh64),
    "update": _one_by_one,
}
MASKS: dict[str, Mask] = {
    "0.8": _keep_first(0.8),
    "0.7": _keep_first(0.7),
    "0.8 estimate": _keep_first(0.8, estimate=True),
    "0.8 xxhash": _keep_first(0.8, hashfunc=_xxh64),
}
