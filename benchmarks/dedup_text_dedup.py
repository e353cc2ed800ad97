"""text-dedup: the embedding function of its MinHash script, and the script itself from file to file.

The Python package index has version 0.4.0 (2024); later ones exist as source code only and work in the same way with another
table library. The script drops documents of fewer than five tokens from its output: they count as removed here, as they are.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from datasets import disable_progress_bars, load_from_disk
from dedup_measure import Mask, Sketch, Texts
from text_dedup import logger
from text_dedup.minhash import RNG, embed_func, main
from text_dedup.utils import optimal_param, sha1_hash, xxh3_32hash

disable_progress_bars()
logger.setLevel("ERROR")

_PERMUTATIONS = 128


def _sketch(texts: Texts, hash_function: Any, kind: Any, prime: Any) -> Any:
    """Call the function that the script maps over a data set, with the settings that the script derives."""
    bands, rows = optimal_param(0.8, _PERMUTATIONS, 0.5, 0.5)
    settings: dict[str, Any] = {
        "num_perm": _PERMUTATIONS,
        "ngram_size": 5,
        "min_length": 5,
        "hashranges": [(band * rows, band * rows + rows) for band in range(bands)],
        "permutations": tuple(RNG.randint(low, prime, size=(_PERMUTATIONS,), dtype=kind) for low in (1, 0)),
        "hash_func": hash_function,
        "dtype": kind,
        "max_hash": np.uint32((1 << 32) - 1),
        "modulo_prime": prime,
    }
    return [embed_func(text, number, **settings) for number, text in enumerate(texts.strings)]


def _script(texts: Texts, *settings: str) -> list[bool]:
    with tempfile.TemporaryDirectory() as folder:
        source = ["--path", "parquet", "--data_files", str(texts.path), "--split", "train", "--column", "text"]
        places = ["--cache_dir", f"{folder}/cache", "--output", f"{folder}/out", "--num_proc", "1"]
        main([*source, *places, *settings], standalone_mode=False)
        kept = set(load_from_disk(str(Path(folder, "out")))["id"])
    return [id_ in kept for id_ in texts.ids]


SKETCHES: dict[str, Sketch] = {
    "sha1": lambda texts: _sketch(texts, sha1_hash, np.uint64, np.uint64((1 << 61) - 1)),
    "xxh3": lambda texts: _sketch(texts, xxh3_32hash, np.uint32, np.uint32((1 << 32) - 5)),
}
MASKS: dict[str, Mask] = {
    "default": _script,
    "0.8": lambda texts: _script(texts, "--num_perm", str(_PERMUTATIONS), "--threshold", "0.8"),
    "0.8 xxh3": lambda texts: _script(
        texts, "--num_perm", str(_PERMUTATIONS), "--threshold", "0.8", "--hash_func", "xxh3", "--hash_bits", "32"
    ),
}
