"""The stages of a recipe cut into segments that run anywhere, with an ordered step between them.

A corpus stage must see documents in order, and so must the training of a tokenizer. Each of them ends a segment: before it,
splits are independent; at it, one owner looks at them in split order; after it, they are independent again. A recipe without
any is one segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from corpusmill.schemas import RecipeError
from corpusmill.stages import DocumentStage, Pack, Stage, Tokenize

__all__ = ["Chain", "NamedStage", "Segment", "cut", "name_stages", "numbered"]


class NamedStage(msgspec.Struct, frozen=True):
    """A stage and its name in the reports: the kind, numbered from the second of its kind on."""

    name: str
    stage: Any


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """Stages that run without a stop on one split.

    `opening` is the corpus stage that is settled first, `closing` the one whose sketches are made at the end.
    """

    stages: tuple[NamedStage, ...]
    opening: NamedStage | None = None
    closing: NamedStage | None = None

    @property
    def step_names(self) -> list[str]:
        """The names of the steps here, in order: the opening stage settles first, the closing one sketches last."""
        return [named.name for named in (self.opening, *self.stages, self.closing) if named is not None]


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The segments of a recipe; between segments i and i+1 stands `gates[i]`: a corpus stage, or a tokenizer to train."""

    segments: tuple[Segment, ...]
    gates: tuple[NamedStage, ...]
    stages: tuple[NamedStage, ...]
    tokenize: Tokenize | None
    pack: Pack | None

    @property
    def kernels(self) -> tuple[str, ...]:
        """The parts of `compile_ahead` that the stages run."""
        return tuple(name for named in self.stages for name in named.stage.kernels)

    def signal_fields(self) -> list[pa.Field]:
        """Return the fields of all signals that the stages measure, in the order in which they are measured."""
        fields: dict[str, pa.Field] = {}
        for named in self.stages:
            if isinstance(named.stage, Tokenize | Pack):
                continue
            for field in named.stage.added_columns():
                if fields.setdefault(field.name, field).type != field.type:
                    raise RecipeError(
                        f"{named.name}: the column {field.name} is {field.type} here and another type in an earlier stage"
                    )
        return list(fields.values())

    def warnings(self) -> list[str]:
        """Return what the user should know of this order of stages."""
        kinds = [n for n in self.stages if n.stage.ordered is not None and n.stage.ordered.keeps_one]
        if not kinds:
            return []
        after = self.stages[self.stages.index(kinds[0]) + 1 :]
        dropping = [named.name for named in after if named.stage.reasons or getattr(named.stage, "any_reason", False)]
        return [
            f"{name} comes after {kinds[0].name} and may drop a document for which its duplicates were dropped; "
            f"move it before {kinds[0].name} to keep one of them"
            for name in dropping
        ]

    def with_tokenizer(self, path: str, *, distrusted: bool = False) -> Chain:
        """Return the chain with the tokenizer at *path* in place of the one that the recipe names.

        Where fast engines are *distrusted* it is read by the reference alone.
        """

        def replaced(named: NamedStage) -> NamedStage:
            if not isinstance(named.stage, Tokenize):
                return named
            engine = "tokenizers" if distrusted else named.stage.engine
            return NamedStage(named.name, msgspec.structs.replace(named.stage, tokenizer=path, engine=engine))

        segments = tuple(
            msgspec.structs.replace(segment, stages=tuple(replaced(named) for named in segment.stages))
            for segment in self.segments
        )
        return msgspec.structs.replace(self, segments=segments)


def _check_order(named: Sequence[NamedStage]) -> None:
    """Refuse an order in which a stage would work on text that is not there yet, or change text that is tokenized already."""
    kinds = [item.stage.kind for item in named]
    if "tokenize" in kinds:
        for item in named[kinds.index("tokenize") + 1 :]:
            if getattr(item.stage, "rewrites", ()):
                raise RecipeError(f"{item.name} changes text, so it must come before tokenize")
    if "strip_html" in kinds:
        for item in named[: kinds.index("strip_html")]:
            if not isinstance(item.stage, DocumentStage) or "text" in item.stage.rewrites:
                raise RecipeError(f"{item.name} works on text, so it must come after strip_html")


def name_stages(stages: Sequence[Stage]) -> tuple[NamedStage, ...]:
    """Return *stages* with the names under which they are reported: `filter_quality`, `filter_quality#2` and so on."""
    names = numbered([stage.kind for stage in stages])
    return tuple(NamedStage(name, stage) for name, stage in zip(names, stages, strict=True))


def numbered(kinds: Sequence[str]) -> list[str]:
    """Return *kinds* with those that come again numbered from 2 on.

    >>> numbered(["a", "b", "a"])
    ['a', 'b', 'a#2']
    """
    counts = [kinds[: at + 1].count(kind) for at, kind in enumerate(kinds)]
    return [kind if count == 1 else f"{kind}#{count}" for kind, count in zip(kinds, counts, strict=True)]


def cut(stages: Sequence[Stage]) -> Chain:
    """Return the chain of *stages*.

    Raises:
        RecipeError: the order cannot work: two tokenizers, or packing that is not last or has nothing to pack.

    """
    named = name_stages(stages)
    tokenizers = [n.stage for n in named if isinstance(n.stage, Tokenize)]
    packs = [n for n in named if isinstance(n.stage, Pack)]
    if len(tokenizers) > 1:
        raise RecipeError("a recipe can have one tokenize stage, this one has several")
    _check_order(named)
    if packs and (packs[0] is not named[-1] or not tokenizers):
        raise RecipeError("pack must be the last stage, after tokenize")

    segments: list[Segment] = []
    gates: list[NamedStage] = []
    here: list[NamedStage] = []
    opening: NamedStage | None = None
    for item in named:
        if isinstance(item.stage, Pack):
            continue
        if item.stage.ordered is not None:
            segments.append(Segment(stages=tuple(here), opening=opening, closing=item))
            gates.append(item)
            here, opening = [], item
            continue
        if isinstance(item.stage, Tokenize) and item.stage.tokenizer == "train":
            segments.append(Segment(stages=tuple(here), opening=opening))
            gates.append(item)
            here, opening = [], None
        here.append(item)
    segments.append(Segment(stages=tuple(here), opening=opening))
    return Chain(
        segments=tuple(segments),
        gates=tuple(gates),
        stages=named,
        tokenize=tokenizers[0] if tokenizers else None,
        pack=packs[0].stage if packs else None,
    )
