"""Shards in the formats that trainers already read: `corpusmill export OUT FOLDER --format megatron`.

An export goes through the shards in order, a row group at a time, so it needs no more memory than one. It counts what it writes,
and ends with an error where that is not what the manifest says. The folder gets its name when all of it is written.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from corpusmill.export_formats import FORMATS, Writer
from corpusmill.journal import sync
from corpusmill.manifest import read_manifest
from corpusmill.schemas import OutputMismatchError, RecipeError, did_you_mean
from corpusmill.schemas.manifest import ShardRecord
from corpusmill.stages.token_columns import packed_length, packed_rows

__all__ = ["Exported", "export"]


@dataclass(frozen=True)
class Exported:
    """What was written: rows are documents, or sequences where shards are packed."""

    rows: int
    tokens: int
    files: int


def export(
    output: Path, destination: Path, format_: str, subset: str = "train", say: Callable[[str], None] = lambda _: None
) -> Exported:
    """Write the shards of *subset* to *destination*, an empty or new folder, and return what that was.

    Raises:
        RecipeError: there is no such format or subset, *destination* is there already, or the format does not fit the shards.
        OutputMismatchError: the shards do not hold what the manifest says.

    """
    if format_ not in FORMATS:
        raise RecipeError(
            f"there is no format {format_!r}{did_you_mean(format_, FORMATS)}; known: {', '.join(FORMATS)}"
        )
    shards = [shard for shard in read_manifest(output).shards if shard.subset == subset]
    if not shards:
        raise RecipeError(f"{output} has no shards of the subset {subset!r}")
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise RecipeError(f"{destination} is there already, and not an empty folder: name a new one")
    schema = pq.read_schema(output / shards[0].path)
    if "input_ids" not in schema.names:
        raise RecipeError(f"{output} holds no tokens: put tokenize into the recipe, or read its shards as they are")
    tokens = sum(shard.tokens for shard in shards)
    rows = 0
    unfinished = destination.with_name(f"{destination.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of an export that was interrupted
    unfinished.mkdir(parents=True)
    try:
        with FORMATS[format_](output, unfinished, subset, schema, tokens) as writer:
            for shard in shards:
                rows += _copied(output, shard, writer)
                say(f"{shard.path}: {shard.tokens:,} tokens")
        for path in unfinished.rglob("*"):
            sync(path)
        unfinished.replace(destination)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return Exported(rows, tokens, len([path for path in destination.rglob("*") if path.is_file()]))


def _copied(output: Path, shard: ShardRecord, writer: Writer) -> int:
    """Hand the rows of a shard to *writer* and return how many they were."""
    rows = tokens = 0
    writer.begin_shard(Path(shard.path).stem)
    for table in _tables(output / shard.path):
        ids, lengths = _without_padding(table)
        writer.write(table, ids, lengths)
        rows, tokens = rows + len(lengths), tokens + len(ids)
    if (rows, tokens) != (shard.rows, shard.tokens):
        raise OutputMismatchError(
            f"{shard.path} holds {rows:,} rows and {tokens:,} tokens, and its manifest says {shard.rows:,} and {shard.tokens:,}; "
            f"`corpusmill audit {output}` says what else differs"
        )
    return rows


def _tables(path: Path) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.metadata.num_row_groups):
                yield file.read_row_group(group)
    except (OSError, pa.ArrowInvalid) as error:
        raise OutputMismatchError(f"{path} cannot be read: {error}") from None


def _without_padding(table: pa.Table) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the tokens of all rows, one after another, and how many are of each row."""
    lengths = table.column("n_tokens").to_numpy().astype(np.int64)
    field = table.schema.field("input_ids")
    if packed_length(field) is None:
        return table.column("input_ids").combine_chunks().flatten().to_numpy(), lengths
    rows = packed_rows(table.column("input_ids"), field)
    return rows[np.arange(rows.shape[1]) < lengths[:, None]], lengths
