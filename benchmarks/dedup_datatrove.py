"""datatrove: the shingles and signatures of its first MinHash step, and its four steps from file to file.

Words come from spaCy's rule tables for English, which are part of spaCy: nothing is downloaded. Documents of fewer than five
words get no signature and are always kept.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.logging import logger
from dedup_measure import Mask, Sketch, Texts

logger.remove()
logger.add(sys.stderr, level="ERROR")


def _sketch(texts: Texts) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        step = MinhashDedupSignature(folder, config=MinhashConfig(num_buckets=16))  # 16 x 8 = 128 permutations
        shingled = (step.get_shingles(text) for text in texts.strings)
        return [step.get_signature(shingles) if shingles.size else None for shingles in shingled]


def _four_steps(texts: Texts) -> list[bool]:
    with tempfile.TemporaryDirectory() as folder:
        config = MinhashConfig()

        def reader() -> ParquetReader:
            return ParquetReader(str(texts.path.parent), glob_pattern=texts.path.name)

        steps: list[tuple[list[Any], int]] = [
            ([reader(), MinhashDedupSignature(f"{folder}/signatures", config=config)], 1),
            ([MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config)], config.num_buckets),
            ([MinhashDedupCluster(f"{folder}/buckets", f"{folder}/remove", config=config)], 1),
            ([reader(), MinhashDedupFilter(f"{folder}/remove"), JsonlWriter(f"{folder}/kept")], 1),
        ]
        for number, (pipeline, tasks) in enumerate(steps):
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=f"{folder}/logs/{number}").run()
        kept: set[str] = set()
        for path in Path(folder, "kept").iterdir():
            with gzip.open(path, "rt") as lines:
                kept.update(json.loads(line)["id"] for line in lines)
    return [id_ in kept for id_ in texts.ids]


SKETCHES: dict[str, Sketch] = {"16 x 8": _sketch}
MASKS: dict[str, Mask] = {"14 x 8": _four_steps}
