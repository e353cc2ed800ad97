"""What a stage is: the one contract that every step of the pipeline keeps.

A stage *is* its settings: frozen, hashable, picklable, and cheap. Models, patterns and tables are built where they are used,
by `open()`, so that only settings travel between processes and a recipe can be compared by value.

A stage maps a batch to the same rows in the same order plus one verdict per row; it never removes rows itself, because only
the runner can then prove that no document was lost. Calling a stage on a batch is the exception made for library users: it
judges and drops in one go, which is what `map_batches` of Ray Data or `datasets.map` expect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar, get_args, get_origin, get_type_hints, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.schemas import (
    Document,
    Drop,
    InvalidTextError,
    RecipeError,
    StageError,
    did_you_mean,
    signal_column,
    verdict_array,
)
from corpusmill.stages.text_buffers import TextBuffers, large_strings, text_buffers

__all__ = [
    "Apply",
    "BatchFunction",
    "CorpusStage",
    "CountingFunction",
    "DocumentStage",
    "Guard",
    "Index",
    "Settle",
    "SizedIndex",
    "SketchReader",
    "Stage",
    "TellingIndex",
    "as_batch",
    "checked_setting",
    "documents_of",
    "replaced_texts",
    "with_columns",
]

Batch = TypeVar("Batch", pa.RecordBatch, pa.Table)
Apply = Callable[[Document], "Document | Drop"]
BatchFunction = Callable[[pa.RecordBatch], tuple[pa.RecordBatch, pa.StructArray]]
"""The opened stage: a batch in; the same rows and one verdict per row (null = keep) out."""
Guard = Callable[[TextBuffers], npt.NDArray[np.bool_]]
"""Says of each text of a batch whether a stage has anything to do with it.

Arrow does not look at bytes, so a text may be no UTF-8. Kernels read and write nothing beyond a text for that: they take bytes
that are none for U+FFFD, or the text for one to be looked at. Then a string is made of it, which raises `InvalidTextError`, and
the document goes to quarantine; one that a guard passes over keeps its bytes.
"""


@runtime_checkable
class CountingFunction(Protocol):
    """An opened stage that counts what it does beyond verdicts."""

    def take_counts(self) -> dict[str, int]:
        """Return what it counted since this was called last, by name."""


def _kind(class_name: str) -> str:
    """Return the snake_case name under which recipes and reports know a class."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=_kind):
    """The settings of one step. Subclasses declare their reasons, their signals and `open()`."""

    reasons: ClassVar[frozenset[str]] = frozenset()
    """Every reason for which this stage may drop a document; an undeclared one is a bug."""
    signals: ClassVar[Mapping[str, pa.DataType]] = {}
    """Name and type of every value that this stage measures; each becomes a column (see `signal_column`)."""
    version: ClassVar[int] = 1
    """Raised when the output of the stage changes for the same settings; part of a run's fingerprint."""
    same_output: ClassVar[frozenset[str]] = frozenset()
    """Settings from which nothing follows but time and memory; they are no part of the fingerprint."""

    def __post_init__(self) -> None:
        """Validate settings that were given in Python as strictly as those read from a recipe."""
        hints = get_type_hints(type(self), include_extras=True)
        for name in self.__struct_fields__:
            try:
                value = checked_setting(getattr(self, name), hints[name])
            except RecipeError as error:
                raise RecipeError(f"{self.kind}.{name}: {error}") from None
            msgspec.structs.force_setattr(self, name, value)

    @property
    def kind(self) -> str:
        """The name of the stage in recipes, manifests and reports."""
        return str(self.__struct_config__.tag)

    @property
    def ordered(self) -> CorpusStage | None:
        """The corpus stage that this one is with these settings; None if it looks at one document at a time."""
        return None

    @property
    def kernels(self) -> tuple[str, ...]:
        """The parts of `compile_ahead` that it runs."""
        return ()

    def open(self) -> BatchFunction:
        """Build the worker-side function. Everything expensive happens here, once per worker."""
        raise NotImplementedError

    def open_for_call(self) -> BatchFunction:
        """Return what `open` builds; a stage for which that takes long may keep it from one call to the next."""
        return self.open()

    def resources(self) -> tuple[str, ...]:
        """Return the paths of files whose contents shape the output; their hashes join the run's fingerprint."""
        return ()

    def added_columns(self) -> pa.Schema:
        """Return the columns that this stage adds to a batch."""
        return pa.schema([pa.field(signal_column(name), type_) for name, type_ in self.signals.items()])

    def judge(self, batch: Batch) -> tuple[Batch, pa.StructArray]:
        """Return *batch* as this stage leaves it, with no row removed, and one verdict per row (null = keep)."""
        if not isinstance(batch, pa.RecordBatch | pa.Table):
            raise TypeError(
                f"{self.kind} takes an Arrow RecordBatch or Table, not {type(batch).__name__}; "
                "with datasets, call .with_format('arrow') before map"
            )
        run = self.open_for_call()
        if isinstance(batch, pa.RecordBatch):
            return run(batch)
        # Documents that are compared with each other must lie in one batch; others need not be copied together.
        parts = [] if self.ordered is not None else batch.to_batches()
        done = [run(part) for part in parts or [as_batch(batch)]]
        return pa.Table.from_batches([out for out, _ in done]), pa.concat_arrays([verdicts for _, verdicts in done])

    def __call__(self, batch: Batch) -> Batch:
        """Return the rows of *batch* that this stage keeps, as it leaves them."""
        out, verdicts = self.judge(batch)
        return out.filter(pc.is_null(verdicts))


def as_batch(table: pa.Table) -> pa.RecordBatch:
    """Return *table* as one record batch, also where it is empty."""
    batches = table.combine_chunks().to_batches()
    if len(batches) > 1:
        raise ValueError("the table holds more than one batch can (2 GiB of short strings): hand it over in parts")
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def checked_setting(value: Any, hint: Any) -> Any:
    """Return *value* as the type *hint*, which may carry bounds; `"off"` stands for None, which TOML cannot write.

    Raises:
        RecipeError: it does not fit; the message says what would.

    """
    choices = sorted(_literals(hint))
    if value == "off" and type(None) in get_args(hint) and "off" not in choices:
        return None
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        text, at, place = str(error).partition(" - at `$")
        if "Invalid enum value" in text and isinstance(value, str):
            text = f"{value!r} is none of its values{did_you_mean(value, choices)}"
        elif "Invalid enum value" in text:
            text += f" (known: {', '.join(choices)})"
        elif "Expected `array`" in text and isinstance(value, str):
            text += f'; write a list: ["{value}"]'
        elif "Expected `bool`" in text:
            text += "; write true or false"
        raise RecipeError(f"{text} in {place.rstrip('`')}" if at else text) from None


def _literals(hint: Any) -> set[str]:
    """Return the strings that a type allows by name."""
    if get_origin(hint) is Literal:
        return {value for value in get_args(hint) if isinstance(value, str)}
    return {name for part in get_args(hint) if not isinstance(part, str) for name in _literals(part)}


class DocumentStage(Stage, frozen=True, kw_only=True):
    """A stage written one document at a time: the default way.

    Subclasses write `apply`, or `build` where something must be made once per worker. A batch needs only the columns
    named in `reads` (plus `text`); a missing or null `text` is read as empty.
    """

    reads: ClassVar[tuple[str, ...]] = ()
    """Columns besides `id` and `text` that `apply` looks at: any of url, source, html, metadata."""
    rewrites: ClassVar[tuple[str, ...]] = ("text",)
    """Fields that `apply` may change; a filter that only looks says `()` and costs no conversion back."""
    any_reason: ClassVar[bool] = False
    """Whether reasons need no declaration: only for stages whose code is the user's own."""
    idle_signals: ClassVar[Mapping[str, Any]] = {}
    """What `apply` measures of every text that `guard` passes over."""

    def guard(self) -> Guard | None:
        """Build the function that says which texts `apply` has anything to do with; None where that is all of them.

        Any other document must come out of `apply` as it went in, not dropped, with `idle_signals`: it is spared because no
        string is made of it, which takes longer than most stages look at it. The contract suite runs both ways on any stage.
        """
        return None

    def apply(self, document: Document) -> Document | Drop:
        """Return *document*, changed or not, or the `Drop` that removes it."""
        raise NotImplementedError

    def build(self) -> Apply:
        """Return the function that is applied to each document; override it to build tables or models first."""
        return self.apply

    def open(self) -> BatchFunction:
        """Build the batch function around `build()` and `guard()`."""
        apply, guard = self.build(), self.guard()
        wanted = ("id", "text", *self.reads)

        def run(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.StructArray]:
            names = batch.schema.names
            if "text" not in names and not any(name in names for name in self.reads):
                raise RecipeError(f"{self.kind}: the table has no column 'text' (it has: {', '.join(names)})")
            busy = None if guard is None or "text" not in names else guard(text_buffers(batch.column("text")))
            documents = documents_of(batch, wanted, busy)
            drops: list[Drop | None] = []
            for document in documents:
                result = apply(document)
                self._check(document, result)
                drops.append(result if isinstance(result, Drop) else None)
            return self._write_back(batch, documents, busy), verdict_array(_spread(drops, busy, None))

        return run

    def _check(self, document: Document, result: Any) -> None:
        """Raise where the code of the stage does not keep to what its class declares."""
        problem = ""
        if not isinstance(result, Document | Drop):
            problem = f"returned {type(result).__name__}; return the document, or a Drop"
        elif isinstance(result, Drop) and not self.any_reason and result.reason not in self.reasons:
            problem = f"gave the undeclared reason {result.reason!r}; add it to `reasons`"
        elif unknown := document.signals.keys() - self.signals.keys():
            problem = f"measured the undeclared signal {min(unknown)!r}; add it to `signals` with its type"
        if problem:
            raise StageError(f"{self.kind} {problem}", stage=self.kind, document=document.id)

    def _write_back(
        self, batch: pa.RecordBatch, documents: list[Document], busy: npt.NDArray[np.bool_] | None
    ) -> pa.RecordBatch:
        """Return *batch* with the rewritten fields and the measured signals of *documents*, which are its *busy* rows."""
        columns: dict[str, pa.Array] = {}
        added = self.added_columns().names
        for name in self.rewrites:
            old = batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows, pa.large_string())
            columns[name] = replaced_texts(old, [getattr(d, name) for d in documents], busy)
        for name, type_ in self.signals.items():
            column = signal_column(name)
            if column not in added:  # of another mode of the stage than these settings
                continue
            values = _spread([d.signals.get(name) for d in documents], busy, self.idle_signals.get(name))
            columns[column] = pa.array(values, type_)
            if column in batch.schema.names:  # measured by an earlier stage of this kind: what is new wins
                columns[column] = pc.coalesce(columns[column], batch.column(column))
        return with_columns(batch, columns)


def with_columns(batch: pa.RecordBatch, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """Return *batch* with *columns* set: replaced in place where the name exists, appended where it does not."""
    for name, array in columns.items():
        at = batch.schema.get_field_index(name)
        batch = batch.append_column(name, array) if at < 0 else batch.set_column(at, name, array)
    return batch


def documents_of(
    batch: pa.RecordBatch, wanted: tuple[str, ...], busy: npt.NDArray[np.bool_] | None = None
) -> list[Document]:
    """Return the rows of *batch*, or those that are *busy*, as documents that hold the *wanted* columns."""
    chosen = batch if busy is None else batch.filter(pa.array(busy))
    columns = {name: _values(chosen, name) for name in wanted if name in batch.schema.names}
    rows = batch.num_rows if busy is None else int(busy.sum())
    texts = [text or "" for text in columns.pop("text", [None] * rows)]
    ids = [str(i) for i in columns.pop("id", range(rows))]
    rest = list(columns.items())
    return [
        Document(id=ids[row], text=texts[row], **{name: values[row] for name, values in rest}) for row in range(rows)
    ]


def _values(batch: pa.RecordBatch, name: str) -> list[Any]:
    """Return the values of a column.

    Raises:
        InvalidTextError: one is a string that is not UTF-8.

    """
    column = batch.column(name)
    with suppress(UnicodeDecodeError):
        return column.to_pylist()  # type: ignore[no-any-return]
    # Here, where that error is gone: it holds the text, and would travel as the context of the next one.
    row = next(row for row in range(len(column)) if not _is_readable(column, row))
    names_row = "id" in batch.schema.names and _is_readable(batch.column("id"), row)
    which = repr(batch.column("id")[row].as_py()) if names_row else f"in row {row}"
    raise InvalidTextError(f"{name!r} of the document {which} is not UTF-8")


def _is_readable(column: pa.Array, row: int) -> bool:
    """Return whether a value can be made one of Python."""
    with suppress(UnicodeDecodeError):
        column[row].as_py()
        return True
    return False


def _spread(values: list[Any], busy: npt.NDArray[np.bool_] | None, idle: Any) -> list[Any]:
    """Return one value per row: *values* in order where a row is *busy*, else *idle*."""
    if busy is None:
        return values
    spread = [idle] * len(busy)
    for row, value in zip(np.flatnonzero(busy).tolist(), values, strict=True):
        spread[row] = value
    return spread


def replaced_texts(old: pa.Array, values: list[Any], busy: npt.NDArray[np.bool_] | None) -> pa.Array:
    """Return *old* with *values* in its *busy* rows, and empty texts in place of nulls in the others."""
    if busy is None:
        return pa.array(values, old.type)
    texts = pc.fill_null(large_strings(old), "")
    if values:
        texts = pc.replace_with_mask(texts, pa.array(busy), pa.array(values, pa.large_string()))
    return texts.cast(old.type)


class Index(Protocol):
    """The ordered, single-owner half of a corpus stage: it sees the sketches of every split in split order.

    What it finds out is one Arrow array per split, with one entry per row: the verdicts, or whatever `settle` makes them of.
    """

    def add(self, split: int, sketches: pa.Table) -> list[tuple[int, pa.Array]]:
        """Take the sketches of *split*; return the splits that are now resolved, with one entry per row."""

    def finish(self) -> list[tuple[int, pa.Array]]:
        """Return the splits that still waited: there are no more."""


@runtime_checkable
class TellingIndex(Protocol):
    """An index that has something to tell of all documents that it has seen."""

    def facts(self) -> dict[str, Any]:
        """Return plain data for the manifest and the report: by name a number, words, or a table.

        A table is a list of rows with the same names. All of it is a function of the sketches, and bounded.
        """


@runtime_checkable
class SizedIndex(Protocol):
    """An index that works faster if it knows how large it will be."""

    documents: int
    """How many documents it has seen."""

    def expect(self, documents: int) -> None:
        """Be told how many documents there will be in all, about; nothing but time and memory may follow from it."""


SketchReader = Callable[[int], pa.Table]
"""The sketches of a split that was added before, read again; memory-mapped where they lie on disk."""

Settle = Callable[[pa.RecordBatch, pa.Array], tuple[pa.RecordBatch, pa.StructArray]]
"""A batch and what the index resolved for its rows in; the same rows and one verdict per row (null = keep) out."""


class CorpusStage(Stage, frozen=True, kw_only=True):
    """A stage that needs other documents: sketched by any worker, resolved in order by one owner, settled by any worker."""

    rewrites: ClassVar[tuple[str, ...]] = ()
    """Fields that `settle` may change."""
    keeps_one: ClassVar[bool] = True
    """Whether it drops documents because another one is kept, which a later stage had better not drop."""

    @property
    def ordered(self) -> CorpusStage | None:
        """This stage itself."""
        return self

    def sketch(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """Build the function that any worker runs: a batch in, one sketch per row out."""
        raise NotImplementedError

    def open_index(self, reader: SketchReader | None = None) -> Index:
        """Return a new, empty index. Adding the same sketches in the same order always resolves them in the same way.

        *reader* gives the sketches of a split again, so that the index need not keep them; without one it must.
        """
        raise NotImplementedError

    def check(self) -> None:
        """Find what would end a run at its first split: a file or an index that cannot be used. By default nothing does.

        The owner calls it, which will hold the index, while workers open the stage.
        """

    def load_index(self, folder: Path) -> Index:
        """Return the index that was saved in *folder*; only for stages whose index has `save`."""
        raise NotImplementedError

    def settle(self) -> Settle:
        """Build the function that any worker runs on the rows that were sketched and what the index resolved for them.

        By default that is the verdicts, and the rows stay as they are.
        """
        return _as_resolved

    def open(self) -> BatchFunction:
        """Judge a batch against itself only: what calling the stage on one batch means."""
        sketch, settle = self.sketch(), self.settle()

        def run(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.StructArray]:
            index = self.open_index()
            known = index.add(0, pa.Table.from_batches([sketch(batch)])) + index.finish()
            (resolved,) = [resolved for _, resolved in known]
            return settle(batch, resolved)

        return run


def _as_resolved(batch: pa.RecordBatch, resolved: pa.Array) -> tuple[pa.RecordBatch, pa.StructArray]:
    """Return a batch as it is, with verdicts that are what was resolved."""
    return batch, resolved
