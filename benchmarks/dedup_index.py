"""How fast the index of near duplicates takes documents, and what it weighs: generated keys, grown from nothing.

    python benchmarks/dedup_index.py 1e7 --bands 20
    python benchmarks/dedup_index.py 5e7 --bands 14

Of the documents 30 % are near copies of an earlier one at similarity 0.8: each LSH band is shared with a probability of 0.8^6.
Every candidate is answered at once ("a duplicate"), so what is timed (CPU time of the one thread) is looking up, entering and
growing, with one call into Python for up to 512 copies; verifying them, which needs their sketches, is not. Generating keys is
timed apart. The table of content hashes is there too. Part of the time is the system's, which hands out memory: a virtual machine
that has to ask its host for it takes ten times as long as one that had it before, so both are shown.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from corpusmill.stages.band_index import BandIndex

_BATCH = 20_000
_COPIES = np.uint64(int(0.3 * 2**32))
_SHARED = np.uint64(int(0.8**6 * 2**32))
_1, _3, _7, _10, _27, _30, _31, _32, _64, _99 = (np.uint64(n) for n in (1, 3, 7, 10, 27, 30, 31, 32, 64, 99))
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STEP = np.uint64(0x9E3779B97F4A7C15)


@njit  # type: ignore[untyped-decorator]
def mix(value: Any) -> Any:
    """Return the output function of splitmix64."""
    value = (value ^ (value >> _30)) * _FIRST
    value = (value ^ (value >> _27)) * _SECOND
    return value ^ (value >> _31)


@njit  # type: ignore[untyped-decorator]
def generate(first: int, keys: npt.NDArray[np.uint64]) -> None:
    """Write the keys of the documents from *first* on, shape (tables, documents)."""
    for row in range(keys.shape[1]):
        document = np.uint64(first + row)
        source, dice = document, document + _99
        while (document > _10) and (mix(source * _3 + _1) >> _32) < _COPIES:  # a copy of an original, not of a copy
            dice = mix(dice)
            source = dice % document
        for table in range(keys.shape[0]):
            key = mix((document * _64 + np.uint64(table)) * _STEP + _7)
            if source != document and table and (mix(key) >> _32) < _SHARED:
                key = mix((source * _64 + np.uint64(table)) * _STEP + _7)
            keys[table, row] = key | _1


def cpu_seconds() -> npt.NDArray[np.float64]:
    """Return the processor time of this process: its own, and the system's for it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return np.array([used.ru_utime, used.ru_stime])


def main() -> None:
    """Print speed and size at a few points on the way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("documents", type=float)
    parser.add_argument("--bands", type=int, default=20)
    parser.add_argument("--grown", action="store_true", help="do not tell the index how many documents will come")
    options = parser.parse_args()
    total, tables = int(options.documents), options.bands + 1
    keys = np.empty((tables, _BATCH), np.uint64)
    generate(0, keys)
    BandIndex(tables).resolve(keys[:, :200].copy(), 0, lambda *_: True)  # compiled before the clock starts
    index = BandIndex(tables)
    generating = 0.0
    spent, heaviest, shown = np.zeros(2), 0.0, 100_000.0
    print(f"{options.bands} bands and the content hash, batches of {_BATCH:,}")
    for first in range(0, total, _BATCH):
        before = time.process_time()
        generate(first, keys)
        generating += time.process_time() - before
        started = cpu_seconds()
        if first and not options.grown:
            index.expect(index.kept * total // first)
        index.resolve(keys, first, lambda *_: True)
        spent += cpu_seconds() - started
        weight = index.nbytes / index.kept / tables
        heaviest = max(heaviest, weight) if index.kept >= 1_000_000 else 0.0
        seen = first + _BATCH
        if seen >= shown or seen >= total:
            print(
                f"{seen:>12,} documents  {index.kept:>12,} kept  {seen / spent.sum() / 1e6:5.2f} M documents/s "
                f"({seen / spent[0] / 1e6:4.2f} without the system's time)  {weight:5.2f} bytes a document and band "
                f"(at most {heaviest:5.2f} from a million on)",
                flush=True,
            )
            shown *= 10**0.5
    print(f"generating keys: {total / generating / 1e6:.1f} M documents/s, not counted")


if __name__ == "__main__":
    main()
