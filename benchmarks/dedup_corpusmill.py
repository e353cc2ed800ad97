"""This project: the signature function, the stage's own sketches, and documents in to documents kept out.

It also runs in an environment that holds an older version of the package, for a figure of what there was before.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dedup_measure import Mask, Sketch, Texts

from corpusmill import Pipeline
from corpusmill.stages import Deduplicate

TAKES_ARROW = True  # so the texts are not turned into strings for it
_BATCH = 1_024  # documents, about what the runner hands to a stage
_SETTINGS: dict[str, dict[str, Any]] = {
    "exact": {},
    "estimate": {"verify": "estimate"},
    "fineweb": {"bands": 14, "rows": 8, "verify": "none"},
    "strict": {"bands": 32, "rows": 4},
    "exact 0.7": {"threshold": 0.7},
}


def _batches(texts: Texts) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = texts.table.to_batches(max_chunksize=_BATCH)
    return batches


def _signatures(**settings: Any) -> Sketch:
    def run(texts: Texts) -> Any:
        sketch = importlib.import_module("corpusmill.stages.signature").sketch  # not in what there was before
        chosen = {"shingles": False, **settings}
        return [
            sketch(batch.column("text"), shingle_words=5, permutations=128, **chosen).signatures
            for batch in _batches(texts)
        ]

    return run


def _stage(**settings: Any) -> Sketch:
    def run(texts: Texts) -> Any:
        sketch = Deduplicate(**settings).sketch()
        return [sketch(batch) for batch in _batches(texts)]

    return run


def _judge(**settings: Any) -> Mask:
    def run(texts: Texts) -> list[bool]:
        _, verdicts = Deduplicate(**settings).judge(texts.table)
        keep: list[bool] = pc.is_null(verdicts).to_pylist()
        return keep

    return run


def _files(texts: Texts) -> list[bool]:
    """Run the recipe of this one stage from file to shards, as the peers that are scripts do."""
    with tempfile.TemporaryDirectory() as folder:
        Pipeline([Deduplicate()]).run(texts.path, Path(folder, "out"), workers=1)
        shards = sorted(Path(folder, "out", "shards").glob("*.parquet"))
        kept = {id_ for shard in shards for id_ in pq.read_table(shard, columns=["id"]).column("id").to_pylist()}
    return [id_ in kept for id_ in texts.ids]


def _variants(make: Callable[..., Mask]) -> dict[str, Mask]:
    masks = {}
    for name, settings in _SETTINGS.items():
        masks[name] = make(**settings)
        masks[f"{name}, words of Python"] = make(**settings, words="python")
    return masks


SKETCHES: dict[str, Sketch] = {
    "signatures": _signatures(),
    "signatures and shingles": _signatures(shingles=True),
    "datasketch": _signatures(signature="datasketch"),
    "stage, exact": _stage(),
    "stage, estimate": _stage(verify="estimate"),
}
MASKS: dict[str, Mask] = {**_variants(_judge), "files": _files}
