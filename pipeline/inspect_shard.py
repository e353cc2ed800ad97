"""A look into a shard: the rows as a trainer gets them, decoded back to text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpusmill.schemas import RecipeError
from corpusmill.stages.token_columns import token_dtype
from corpusmill.stages.tokenize import load_tokenizer

__all__ = ["inspect_shard"]

_TEXT = 1_000  # characters of a text that are shown
_LIST = 200  # characters of another column


def inspect_shard(shard: Path, rows: int, tokenizer_path: Path | None = None, *, full: bool = False) -> Iterator[str]:
    """Yield lines that show the first *rows* rows of *shard*; long ones are cut unless *full*.

    Raises:
        RecipeError: it is no Parquet file.

    """
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
                if isinstance(ids, bytes):
                    ids = np.frombuffer(ids, token_dtype(file.schema_arrow.field("input_ids"))).tolist()
                shown = {name: str(value) for name, value in row.items() if name != "text"}
                yield "\n" + ", ".join(
                    f"{name} = {value if full else _cut(value, _LIST)}" for name, value in shown.items()
                )
                text = row.get("text")
                if ids is not None and tokenizer is not None:
                    text = tokenizer.decode(ids[: row["n_tokens"]], skip_special_tokens=False)
                if text is not None:
                    yield text if full else _cut(text, _TEXT)
            return


def _cut(text: str, limit: int) -> str:
    """Return *text*, cut to *limit* characters with a word of what is missing.

    >>> _cut("mill", 4), _cut("miller", 4)
    ('mill', 'mill … 2 more characters (--full shows them)')
    """
    return text if len(text) <= limit else f"{text[:limit]} … {len(text) - limit:,} more characters (--full shows them)"
