"""What a run will need before it is started: how many documents there are, and the memory and disk of their index.

An index that outgrows memory after a week is found out by arithmetic on the first day. Documents are counted where a file
says how many it has (Parquet), and estimated from the beginning of a few files of each format where it does not.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from corpusmill.planning import plan_splits
from corpusmill.readable import size
from corpusmill.readers import read
from corpusmill.schemas import RecipeError
from corpusmill.schemas.inputs import InputFile, InputSettings
from corpusmill.stages import Deduplicate
from corpusmill.stages.banding import detection_probability
from corpusmill.stages.index_plan import HIGHEST_ERROR_RATE
from corpusmill.stages.memory_limit import usable_memory

__all__ = ["TYPICAL_BYTES", "Volume", "estimated_volume", "free_disk", "index_needs", "pairs_found"]

TYPICAL_BYTES = 3_000
"""Bytes of a document where there is none to look at: an assumption; name inputs for an estimate."""

_FILES = 5  # of each format that are looked into
_LOOK = "4MB"  # of each of them
_ONE_DOCUMENT = {"html", "text"}  # formats of which a file is a document
_MOST = 1 << 32  # documents that an index can number
_SHINGLE_SHARE = 1.2  # bytes of stored shingles for a byte of text
_SIMILARITIES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True)
class Volume:
    """How many documents there are, and how many bytes of text or page."""

    documents: int
    bytes: int


def estimated_volume(files: Sequence[InputFile], settings: InputSettings) -> Volume:
    """Return an estimate of what is in *files*: counts where files have them, else what their first megabytes suggest."""
    documents = content = 0.0
    for kind in sorted({(file.format, file.compression) for file in files}):
        group = [file for file in files if (file.format, file.compression) == kind]
        found, size_ = _sampled(group, settings)
        content += size_
        if kind[0] in _ONE_DOCUMENT:
            documents += len(group)
        elif kind[0] == "parquet":
            documents += sum(map(_rows, group))
        else:
            documents += found
    return Volume(round(documents), round(content))


def _sampled(files: Sequence[InputFile], settings: InputSettings) -> tuple[float, float]:
    """Return about how many documents and bytes of text and page are in *files*, from the beginning of some of them."""
    small = msgspec.structs.replace(settings, split_size=_LOOK)
    documents = content = seen = 0.0
    for file in files[:: -(-len(files) // _FILES)]:
        with tempfile.TemporaryDirectory() as folder:
            split = next(plan_splits([file], small, spool=Path(folder)), None)
            if split is None or not split.stored:
                continue
            batches = [batch for batch in read(split, settings) if isinstance(batch, pa.RecordBatch)]
        more = file.size / split.stored
        seen += file.size
        documents += more * sum(batch.num_rows for batch in batches)
        content += more * sum(batch.column("text").nbytes + batch.column("html").nbytes for batch in batches)
    whole = sum(file.size for file in files) / seen if seen else 0.0
    return documents * whole, content * whole


def _rows(file: InputFile) -> int:
    try:
        return int(pq.read_metadata(file.path).num_rows)
    except (OSError, pa.ArrowInvalid):
        return 0  # damaged: the run will quarantine it


def pairs_found(stage: Deduplicate) -> str:
    """Return a line that says how surely pairs of some similarities become candidates, and what happens to those."""
    bands, rows = stage.banding
    curve = ", ".join(f"{s:g} {_percent(detection_probability(s, bands, rows))}" for s in _SIMILARITIES)
    then = {
        "exact": "candidates are compared by their shingles",
        "estimate": "candidates are compared by their signatures",
        "none": "candidates are removed without a comparison",
    }
    return f"{bands} bands of {rows} rows find of the pairs of similarity {curve}; {then[stage.verification]}"


def index_needs(stage: Deduplicate, volume: Volume, room: int | None = None) -> list[str]:
    """Return lines that say what the index of *stage* takes for so many documents, if all of them reach it and are kept.

    *room* is the free disk at the output, in bytes.

    Raises:
        RecipeError: it cannot fit into memory, onto the disk, or into what the recipe allows it.

    """
    plan = stage.plan(volume.documents)
    shingles = round(_SHINGLE_SHARE * volume.bytes) if stage.near and stage.verification == "exact" else 0
    disk = volume.documents * stage.sketch_bytes + shingles + plan.memory
    lines = [
        f"index of at most {volume.documents:,} documents: {size(plan.memory)} of memory "
        f"({plan.memory / max(volume.documents, 1):,.0f} bytes a document), {size(disk)} of disk in state/"
    ]
    if plan.verified < volume.documents:
        lines.append(
            f"max_index_memory {stage.max_index_memory} is reached after {plan.verified:,} kept documents; "
            f"those behind are judged by filters, unverified, and one in {1 / plan.error_rate:,.0f} of them is removed by mistake"
        )
    memory = usable_memory()
    if volume.documents > _MOST:
        raise RecipeError(
            f"deduplicate: an index numbers {_MOST:,} documents, not {volume.documents:,}: divide the input into several outputs "
            "and compare them with --against"
        )
    smaller = "set max_index_memory, use fewer bands, or near = false" if stage.near else "use a machine with more"
    if plan.error_rate > HIGHEST_ERROR_RATE:
        raise RecipeError(
            f"deduplicate: {volume.documents:,} documents do not fit into max_index_memory {stage.max_index_memory}: "
            f"give it {size(plan.needed)}, use fewer bands, or near = false"
        )
    if plan.memory > memory:
        raise RecipeError(
            f"deduplicate: the index of {volume.documents:,} documents takes {size(plan.memory)} of memory and this machine "
            f"has {size(memory)}: {smaller}"
        )
    if room is not None and disk > room:
        raise RecipeError(
            f"deduplicate: the sketches of {volume.documents:,} documents take {size(disk)} of disk and {size(room)} are free: "
            'set verify = "estimate", which stores no shingles, or give an output on another disk'
        )
    return lines


def free_disk(output: Path) -> int:
    """Return the free bytes of the disk on which *output* is, or will be."""
    place = output.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def _percent(probability: float) -> str:
    return f"{probability:.1%}" if probability < 0.9995 else "nearly all"
