"""What a recipe says: where text is in the inputs, the stages in order, and how shards are written."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from corpusmill.schemas.errors import RecipeError
from corpusmill.schemas.inputs import InputSettings
from corpusmill.schemas.sizes import parse_size

__all__ = ["LimitSettings", "MixtureSettings", "OutputSettings", "Recipe"]


_MOST_TABLES = 1000  # each is looked at for every batch


class OutputSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[output]` table of a recipe."""

    shard_tokens: Annotated[int, Meta(ge=1)] = 50_000_000
    """Tokens (without a tokenizer: characters) from which a shard is closed; the split that passes the limit is its last."""
    shard_size: str = ""
    """Size of a shard file, such as "256MB"; where it is given, `shard_tokens` has no effect. What a split will take in a shard
    is estimated from a sample of its rows, and a shard ends with the split with which it comes nearest to the size; it has one
    at least. On real text estimates were within 1 % of the files, shards of four or five splits within 10 % of the size, and
    shards of 18 splits within 3 %. The last one of a run is what is left."""
    validation_share: Annotated[float, Meta(ge=0, lt=1)] = 0.005
    """Share of documents whose hashed id puts them into `validation-*` shards; 0 writes none."""
    test_share: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """The same for `test-*` shards, which nothing looks at before the end."""
    split_by: Literal["document", "host"] = "document"
    """What is held out together: each `document` for itself, or all documents of a `host` (by their `url`; those without one for
    themselves), so that no page of a site that was trained on is in the validation. By host, shares are met only where no
    single site is large."""
    shuffle: Literal["none", "shard", "corpus"] = "none"
    """Order of documents: as they were read; shuffled within each `shard`; or through the whole `corpus`, so that each shard is a
    sample of everything. By the seed and their ids alone. `corpus` writes the first shard when the last document is known: until
    then the tokens of all kept documents wait in `state/`, uncompressed. What a later run adds is shuffled among itself."""
    text: bool = False
    """Keep the text beside the tokens; shards grow about threefold. Without a tokenizer it is always kept."""
    reject_text: bool = False
    """Keep the whole text of rejected documents, not only the first 500 characters. What a mixture leaves out has tokens already,
    and text only where `text` keeps it."""
    row_group_rows: Annotated[int, Meta(ge=1, le=1_048_576)] = 1024
    """Rows in a Parquet row group; smaller ones load faster at random, larger ones compress a little better."""
    token_encoding: Literal["byte_stream_split", "plain"] = "byte_stream_split"
    """Parquet encoding of `input_ids`. `byte_stream_split` is 6 % smaller and twice as fast to write; readers that do not know
    it for integers (DuckDB before 2.0) need `plain`. pyarrow, datasets and Polars read both."""
    compression_level: Annotated[int, Meta(ge=1, le=22)] = 1
    """zstd level of all Parquet files; 3 saves 5 % of a shard and costs a third of the writing speed."""

    @property
    def shard_bytes(self) -> int | None:
        """`shard_size` in bytes; None where `shard_tokens` decides."""
        return parse_size(self.shard_size) if self.shard_size else None

    def __post_init__(self) -> None:
        try:
            self.shard_bytes  # noqa: B018  raises
        except RecipeError as error:
            raise RecipeError(f"output.shard_size: {error}") from None
        if self.validation_share + self.test_share >= 1:
            raise RecipeError("output.validation_share and output.test_share leave nothing to train on")


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[limits]` table of a recipe: the last resort against documents that hang a stage or eat all memory.

    A document that passes a limit is quarantined. No limit is ever by wall clock, so a busy machine changes nothing.
    """

    document_seconds: Annotated[float, Meta(gt=0)] = 120.0
    """CPU seconds that one stage may spend on one document. Ordinary documents take milliseconds."""
    worker_memory: str = "4GB"
    """Memory that a worker process may allocate. A worker stays below 1 GB at the defaults, so only a document that makes a
    stage grow without end meets it."""

    def __post_init__(self) -> None:
        parse_size(self.worker_memory)


class MixtureSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[mixture]]` table: one source of what is trained on, and how much of it is taken.

    Each document belongs to the first table that names it; the last table names nothing and takes the rest. Documents that are
    held out (validation, test) are no part of a mixture.
    """

    name: str = ""
    """What reports call it; without one, its first source or language, or `rest`."""
    sources: tuple[str, ...] = ()
    """Glob patterns of the names of files, as `source` has them: relative to the input; where there are several inputs, under the
    name of the directory (`finance/*`). `*` goes across directories."""
    languages: tuple[str, ...] = ()
    """Codes as `filter_language` gives them. With sources: documents that both name."""
    weight: Annotated[float, Meta(ge=0, le=1_000_000_000_000_000)] | None = None
    """Share of the tokens of the mixture, against the sum of all weights; each table has one, or none has. The source that is
    used up first, by its `epochs` or `max_tokens`, decides how many tokens the mixture has: the scarcer one is, the more of the
    others is left out. Let a scarce one be read several times."""
    epochs: Annotated[float, Meta(ge=0, le=1000)] = 1.0
    """How often each document is taken; with weights, at most so often. 0.5 takes half of them, 2.5 takes each twice and half of
    them once more, drawn by the hash of the id. Beyond 4, repeated tokens are worth far less than new ones (Muennighoff et al.
    2023)."""
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    """Tokens that are taken at most, repeats included, in a run over new files; met on average, as documents are drawn whole."""

    @property
    def label(self) -> str:
        """What reports call it."""
        return self.name or next(iter((*self.sources, *self.languages)), "rest")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A resolved recipe. `stages` holds stage settings (`corpusmill.stages.Stage`), already validated."""

    name: str = "custom"
    description: str = ""
    source: str = ""
    seed: int = 0
    input: InputSettings = InputSettings()
    output: OutputSettings = OutputSettings()
    limits: LimitSettings = LimitSettings()
    stages: tuple[Any, ...] = ()
    mixture: tuple[MixtureSettings, ...] = ()

    def __post_init__(self) -> None:
        if not self.mixture:
            return
        *named, rest = self.mixture
        labels = [table.label for table in self.mixture]
        weights = [table.weight for table in self.mixture]
        twice = next((label for label, times in Counter(labels).items() if times > 1), None)
        if self.output.shuffle != "corpus":
            raise RecipeError('a mixture is made when all documents are known: it needs output.shuffle = "corpus"')
        if len(self.mixture) > _MOST_TABLES:
            raise RecipeError(f"mixture: {len(self.mixture):,} tables; {_MOST_TABLES:,} are the most")
        if rest.sources or rest.languages:
            raise RecipeError(
                f"mixture {rest.label!r}: the last [[mixture]] table takes the documents that no other names, so it has neither "
                "sources nor languages; add one (with weight = 0 they are left out)"
            )
        for table in named:
            if not table.sources and not table.languages:
                raise RecipeError(
                    f"mixture {table.label!r}: only the last [[mixture]] table may be without sources and languages"
                )
        if twice is not None:
            raise RecipeError(f"mixture {twice!r}: two tables have this name; set `name`")
        if None in weights and any(weight is not None for weight in weights):
            without = labels[weights.index(None)]
            raise RecipeError(
                f"mixture {without!r}: it has no weight, others have one; give all of them a weight, or none"
            )
        if None not in weights and not any(weights):
            raise RecipeError("mixture: all weights are 0, so nothing would be taken")
