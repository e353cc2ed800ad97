"""A look into a shard: the rows as a trainer gets them, decoded back to text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from corpusmill.schemas import RecipeError
from corpusmill.stages.tokenize import load_tokenizer

__all__ = ["inspect_shard"]


def inspect_shard(shard: Path, rows: int, tokenizer_path: Path | None = None) -> Iterator[str]:
    """Yield lines that show the first *rows* rows of *shard*."""
    path = tokenizer_path or shard.resolve().parent.parent / "tokenizer.json"
    tokenizer = load_tokenizer(str(path)) if path.exists() else None
    try:
        file = pq.ParquetFile(shard)
    except pa.ArrowInvalid as error:
        raise RecipeError(f"{shard} is no Parquet file: {error}") from None
    with file:
        yield f"{shard}: {file.metadata.num_rows:,} rows in {file.metadata.num_row_groups:,} row groups"
        yield from (f"  {field.name}: {field.type}" for field in file.schema_arrow)
        for batch in file.iter_batches(batch_size=rows):
            for row in batch.to_pylist():
                ids = row.pop("input_ids", None)
                yield "\n" + ", ".join(f"{name} = {value}" for name, value in row.items() if name != "text")
                if ids is not None and tokenizer is not None:
                    yield tokenizer.decode(ids[: row["n_tokens"]], skip_special_tokens=False)
                elif "text" in row:
                    yield row["text"]
            return
