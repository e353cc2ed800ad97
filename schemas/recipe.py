"""What a recipe says: where text is in the inputs, the stages in order, and how shards are written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from corpusmill.schemas.inputs import InputSettings

__all__ = ["OutputSettings", "Recipe"]


class OutputSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[output]` table of a recipe."""

    shard_tokens: Annotated[int, Meta(ge=1)] = 50_000_000
    """Tokens (without a tokenizer: characters) from which a shard is closed; the split that passes the limit is its last."""
    validation_share: Annotated[float, Meta(ge=0, lt=1)] = 0.005
    """Share of documents whose hashed id puts them into `validation-*` shards; 0 writes none."""
    text: bool = False
    """Keep the text beside the tokens; shards grow about threefold. Without a tokenizer it is always kept."""
    reject_text: bool = False
    """Keep the whole text of rejected documents, not only the first 500 characters."""
    row_group_rows: Annotated[int, Meta(ge=1, le=1_048_576)] = 1024
    """Rows in a Parquet row group; smaller ones load faster at random, larger ones compress a little better."""
    token_encoding: Literal["byte_stream_split", "plain"] = "byte_stream_split"
    """Parquet encoding of `input_ids`. `byte_stream_split` is 6 % smaller and twice as fast to write; readers that do not know
    it for integers (DuckDB before 2.0) need `plain`. pyarrow, datasets and Polars read both."""
    compression_level: Annotated[int, Meta(ge=1, le=22)] = 1
    """zstd level of all Parquet files; 3 saves 5 % of a shard and costs a third of the writing speed."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A resolved recipe. `stages` holds stage settings (`corpusmill.stages.Stage`), already validated."""

    name: str = "custom"
    description: str = ""
    source: str = ""
    seed: int = 0
    input: InputSettings = InputSettings()
    output: OutputSettings = OutputSettings()
    stages: tuple[Any, ...] = ()
