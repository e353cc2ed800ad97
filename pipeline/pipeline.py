"""The library face: stages in a row, over a batch, over an iterable, or over directories."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.chain import NamedStage, cut
from corpusmill.isolation import RESOLVED, isolate, settled_by_rows
from corpusmill.read_records import as_metadata, scrubbed
from corpusmill.recipe import load_recipe
from corpusmill.schemas import DOCUMENTS, RecipeError
from corpusmill.schemas.manifest import Manifest
from corpusmill.schemas.recipe import Recipe
from corpusmill.stages import Function, Pack, Stage
from corpusmill.stages.base import with_columns

__all__ = ["Pipeline"]

Batch = TypeVar("Batch", pa.RecordBatch, pa.Table)
OnError = Callable[[str, str, BaseException], object]
"""Told of a document on which a stage failed: its id, the name of the stage as in a manifest, the error."""


class Pipeline:
    """Stages applied one after the other.

    A plain function `(dict) -> dict | Drop` may stand among the stages. Three ways to run it: call it on a batch or table,
    stream dicts through `documents`, or `run` it over files into an output directory.
    """

    def __init__(self, stages: Sequence[Stage | Callable[..., Any]], *, recipe: Recipe | None = None) -> None:
        made = tuple(_as_stage(stage) for stage in ([stages] if isinstance(stages, Stage) else stages))
        self._recipe = recipe or Recipe(stages=made)
        self._stages = made
        cut(made)  # an order that cannot work is said here

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], changes: Sequence[str] = ()) -> Pipeline:
        """Return the pipeline of a recipe file, or of a built-in recipe by name, with `stage.setting=value` changes."""
        recipe = load_recipe(os.fspath(path), changes)
        return cls(recipe.stages, recipe=recipe)

    @property
    def recipe(self) -> Recipe:
        """The recipe in force."""
        return self._recipe

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in order."""
        return self._stages

    def __call__(self, batch: Batch) -> Batch:
        """Return what the stages leave of *batch*; corpus stages compare its documents with each other only."""
        for stage in self._stages:
            batch = stage(batch)
        return batch

    def documents(
        self, documents: Iterable[Mapping[str, Any]], *, batch_size: int = 64, on_error: OnError | None = None
    ) -> Iterator[dict[str, Any]]:
        """Stream dicts through the stages and yield those that are kept, lazily and in order.

        A dict needs `text` or `html`; `id` is the position (`"0"`, `"1"`, …) where it is missing; other keys besides `url`,
        `source` and `metadata` are ignored. What comes out has the columns that the stages leave. Duplicates are found over
        the whole stream; results do not depend on *batch_size*, which only trades latency for speed.

        A document on which a stage fails is left out if *on_error* is given, which is told its id, the stage and the error.

        Raises:
            RecipeError: a stage needs files (a tokenizer to train, packing): use `run`.
            StageError: a stage does not do what stages must; no document is to blame, with *on_error* or without.
            Exception: whatever a stage raises, without *on_error*.

        """
        source = iter(documents)

        def chunks() -> Iterator[pa.RecordBatch]:
            position = 0
            while chunk := list(islice(source, batch_size)):
                yield _batch(chunk, position)
                position += len(chunk)

        for batch in self.batches(chunks(), on_error=on_error):
            yield from batch.to_pylist()

    def batches(
        self, batches: Iterable[pa.RecordBatch], *, on_error: OnError | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Stream batches with the columns `corpusmill.schemas.DOCUMENTS`, as `documents` does dicts; any may come out empty."""
        if any(isinstance(stage, Pack) for stage in self._stages):
            raise RecipeError(
                "pack makes sequences, not documents: use Pipeline.run, or call Pack on a tokenized table"
            )
        steps = [_step(named, on_error) for named in cut(self._stages).stages]
        for batch in batches:
            for step in steps:
                batch = step(batch)
            yield batch

    def run(
        self,
        inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        output: str | os.PathLike[str],
        *,
        workers: int = 1,
        executor: str | None = None,
        restart: bool = False,
        accept_new_versions: bool = False,
    ) -> Manifest:
        """Run over files into the directory *output* and return its manifest (see `corpusmill.run.run`).

        With more than one worker, call it under `if __name__ == "__main__":`, because workers import the main module.
        """
        from corpusmill.run import run

        paths = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
        return run(
            self._recipe,
            paths,
            output,
            workers=workers,
            executor=executor,
            restart=restart,
            accept_new_versions=accept_new_versions,
        )


def _step(named: NamedStage, on_error: OnError | None) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Return the function that applies a stage and removes what it drops; a corpus stage remembers earlier batches."""
    stage = named.stage
    ordered = stage.ordered
    if ordered is None:
        opened = stage.open()

        def apply(batch: pa.RecordBatch) -> pa.RecordBatch:
            out, verdicts = opened(batch)
            return out.filter(pc.is_null(verdicts))

        return lambda batch: _joined([out for _, out in _results(apply, batch, named.name, on_error)])

    sketch, index, settle = ordered.sketch(), ordered.open_index(), settled_by_rows(ordered.settle())

    def resolve(batch: pa.RecordBatch) -> pa.RecordBatch:
        rows, sketches = zip(*_results(sketch, batch, named.name, on_error), strict=True)
        known = index.add(0, pa.Table.from_batches(sketches))
        if not known:
            raise RecipeError(f"{stage.kind} must see the whole corpus first: use Pipeline.run")
        resolved = with_columns(_joined(rows), {RESOLVED: known[0][1]})
        return _joined([out for _, out in _results(settled, resolved, named.name, on_error)])

    def settled(batch: pa.RecordBatch) -> pa.RecordBatch:
        out, verdicts = settle(batch)
        return out.filter(pc.is_null(verdicts))

    return resolve


def _results(
    function: Callable[[pa.RecordBatch], pa.RecordBatch], batch: pa.RecordBatch, name: str, on_error: OnError | None
) -> list[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Apply *function* and return (rows, result) pairs, at least one; *on_error* is told of the rows on which it fails."""
    if on_error is None or not batch.num_rows:
        return [(batch, function(batch))]
    done, failed = isolate(function, batch)
    for row, error in failed:
        on_error(row.column("id")[0].as_py(), name, error)
    nothing = batch.slice(0, 0)
    return done or [(nothing, function(nothing))]


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _as_stage(given: Any) -> Stage:
    if isinstance(given, Stage):
        return given
    if isinstance(given, type) and issubclass(given, Stage):
        raise RecipeError(f"a pipeline takes stages, not their classes: write {given.__name__}()")
    return Function(function=given)


def _batch(documents: Sequence[Mapping[str, Any]], position: int) -> pa.RecordBatch:
    """Return dicts as a batch with the columns that readers emit."""
    rows = [_row(document, number) for number, document in enumerate(documents, position)]
    return pa.RecordBatch.from_pylist(rows, DOCUMENTS)


def _row(document: Mapping[str, Any], number: int) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise TypeError(f"document {number} is {type(document).__name__}, not a dict")
    html, text, metadata = document.get("html"), document.get("text"), document.get("metadata")
    for name, value, types in (("html", html, (str, bytes)), ("text", text, (str,))):
        if value is not None and not isinstance(value, types):
            raise TypeError(f"document {number}: {name!r} is {type(value).__name__}, not text")
    id_ = document.get("id")
    return {
        "id": scrubbed(str(number if id_ is None else id_)),
        "url": document.get("url"),
        "source": document.get("source"),
        # A decoded page is marked as UTF-8: the charset that it declares was true of bytes that are gone.
        "html": codecs.BOM_UTF8 + scrubbed(html).encode() if isinstance(html, str) else html,
        "text": scrubbed(text) if text is not None else None,
        "metadata": metadata if metadata is None or isinstance(metadata, str) else as_metadata(dict(metadata)),
    }
