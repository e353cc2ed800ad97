"""Mixtures: documents taken more or less often by where they come from, so that tokens come in the proportions asked for.

How many tokens a source has is known when the last split is done, and the rows of every split wait for that anyway where the
corpus is shuffled. A mixture is therefore made while shards are written: for each source there is a number of times that each of
its documents is taken, and its fraction is drawn by the hash of the id. A second copy of a document lies behind the first by a
fixed part of the range of hashes: copies are far from each other, and those that belong into one shard lie together in the files.

What is left out is a document dropped, with the reason `mixture` and a row among the rejects, like any other.

Rejected: choosing documents until the tokens are exactly those asked for (an order over all documents in one place, 16 bytes a
document; the expected tokens are met within a share of about one over the root of the number of documents); weights as
probabilities that readers draw by (what is read then depends on when a training stops).
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.schemas import EXCERPT, REJECTS, RecipeError, did_you_mean
from corpusmill.schemas.manifest import MixtureCounts
from corpusmill.schemas.recipe import MixtureSettings
from corpusmill.shuffling import HASH

__all__ = [
    "COPY",
    "MIXED",
    "MIXTURE",
    "STAGE",
    "Mixer",
    "asked_tokens",
    "check_mixture",
    "lengths",
    "tables_of",
    "times_taken",
]

MIXTURE = "corpusmill.mixture"
"""The column of a split's rows that says to which table a document belongs."""
COPY = "corpusmill.copy"
"""The column of rows taken into a shard that counts the copies of a document: 0 for the first."""
STAGE = "mixture"
"""What the report calls it among the stages, and the reason for which documents are dropped."""

MIXED = "train"
"""The subset that is mixed; what is held out stays as it is."""

_RANGE = 1 << 64
_STEP = 0x9E3779B97F4A7C15  # of the range of hashes, by the golden ratio: any number of copies lie apart evenly
_DRAW = 0xD1B54A32D192ED03

Numbers = npt.NDArray[np.uint64]


def lengths(rows: pa.RecordBatch | pa.Table) -> pa.Array | pa.ChunkedArray:
    """Return how long each document is: its tokens, or without a tokenizer its characters."""
    return rows.column("n_tokens") if "n_tokens" in rows.schema.names else pc.utf8_length(rows.column("text"))


def check_mixture(
    mixture: Sequence[MixtureSettings], columns: Collection[str], codes: Collection[str], names: Sequence[str]
) -> None:
    """Refuse a table by whose sources or languages nothing can be found.

    *codes* are all that the column `language` may hold, and *names* those of the files; empty where they are not known.

    Raises:
        RecipeError: no file has such a name, no stage makes the column `language`, or it never holds such a code.

    """
    for table in mixture:
        for pattern in table.sources if names else ():
            if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
                raise RecipeError(
                    f"mixture {table.label!r}: no input is named like {pattern!r}; names are relative to the inputs, "
                    f"for example {names[0]!r}"
                )
        if table.languages and "language" not in columns:
            raise RecipeError(
                f"mixture {table.label!r}: it names languages; the recipe needs the stage filter_language"
            )
        for pattern in table.languages if codes else ():
            if not any(fnmatch.fnmatchcase(code, pattern) for code in codes):
                raise RecipeError(
                    f"mixture {table.label!r}: filter_language gives no language like {pattern!r}"
                    + did_you_mean(pattern, codes)
                )


def tables_of(batch: pa.RecordBatch, mixture: Sequence[MixtureSettings]) -> pa.Array:
    """Return the number of the table to which each document belongs."""
    numbers = np.full(batch.num_rows, len(mixture) - 1, np.uint16)
    for number in reversed(range(len(mixture) - 1)):
        table = mixture[number]
        mine = np.ones(batch.num_rows, bool)
        if table.sources:
            mine &= _fits(batch.column("source"), table.sources)
        if table.languages:
            mine &= _fits(batch.column("language"), table.languages)
        numbers[mine] = number
    return pa.array(numbers)


def _fits(column: pa.Array, patterns: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return for each entry of *column* whether a pattern fits; each different one is looked at once."""
    encoded = pc.fill_null(column.cast(pa.string()), "").dictionary_encode()
    fits = [any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns) for name in encoded.dictionary.to_pylist()]
    found: npt.NDArray[np.bool_] = np.array(fits, bool)[encoded.indices.to_numpy(zero_copy_only=False)]
    return found


def asked_tokens(mixture: Sequence[MixtureSettings], tokens: Sequence[int]) -> list[float]:
    """Return the tokens that each table is to give, of the *tokens* that its documents have.

    A table without documents does not count: else a run over new files of one source would take nothing.

    >>> finance, rest = MixtureSettings(weight=0.05, epochs=4), MixtureSettings(weight=0.95)
    >>> asked_tokens([finance, rest], [1_000, 1_000_000])
    [4000, 76000.0]
    """
    most = [
        min(table.epochs * there, math.inf if table.max_tokens is None else table.max_tokens)
        for table, there in zip(mixture, tokens, strict=True)
    ]
    weights = [table.weight if there else 0.0 for table, there in zip(mixture, tokens, strict=True)]
    if None in weights:
        return most
    wholes = [limit / weight if weight else math.inf for limit, weight in zip(most, weights, strict=True)]
    whole = min(wholes)
    if whole == math.inf:  # no table with a weight has documents
        return [0.0] * len(most)
    return [
        limit if own == whole else whole * (weight or 0.0)
        for limit, own, weight in zip(most, wholes, weights, strict=True)
    ]


def times_taken(mixture: Sequence[MixtureSettings], tokens: Sequence[int]) -> tuple[float, ...]:
    """Return how often the documents of each table are taken."""
    return tuple(
        # Documents without tokens cost nothing.
        asked / there if there else min(table.epochs, 0.0 if 0 in {table.weight, table.max_tokens} else 1.0)
        for table, asked, there in zip(mixture, asked_tokens(mixture, tokens), tokens, strict=True)
    )


class Mixer:
    """What one shard takes: *part* of *parts* of the range of hashes, each document as often as its table says.

    *leave_out* is given what is not taken, with so many characters of its text, or all where *excerpt* is None.
    """

    def __init__(
        self,
        mixture: Sequence[MixtureSettings],
        times: Sequence[float],
        part: tuple[int, int],
        leave_out: Callable[[pa.Table], None],
        excerpt: int | None = EXCERPT,
    ) -> None:
        self._labels = [table.label for table in mixture]
        self._times = np.array(times)
        number, parts = part
        self._begin, self._end = (_RANGE * place // parts for place in (number, number + 1))
        self._leave_out = leave_out
        self._excerpt = excerpt
        self._counts = [MixtureCounts() for _ in mixture]

    def counts(self) -> dict[str, MixtureCounts]:
        """Return what was taken of each table so far."""
        return dict(zip(self._labels, self._counts, strict=True))

    def take(self, batch: pa.RecordBatch) -> Iterator[pa.Table]:
        """Yield the rows of *batch*, which is sorted by hash, that belong into the shard, a table for each copy there is.

        `HASH` says where in the shard each goes, and `COPY` which copy it is.
        """
        hashes: Numbers = batch.column(HASH).to_numpy()
        for copy in range(max(math.ceil(self._times.max(initial=0)), 1)):
            for first, last in self._places(hashes, copy):
                rows = batch.slice(first, last - first)
                tables = rows.column(MIXTURE).to_numpy().astype(np.int64)
                share, whole = np.modf(self._times[tables])
                wanted = whole + (_drawn(hashes[first:last]) < share)
                taken = wanted > copy
                if copy == 0:
                    self._drop(rows, tables, wanted)
                elif not taken.any():
                    continue  # with many epochs of a rare source, most of them
                table = pa.Table.from_batches([rows.filter(pa.array(taken))])
                self._count(table, tables[taken], copy)
                keys = _mixed(hashes[first:last][taken] + np.uint64((copy + 1) * _STEP % _RANGE))
                table = table.set_column(table.schema.get_field_index(HASH), HASH, pa.array(keys))
                yield table.append_column(COPY, pa.array(np.full(table.num_rows, copy, np.int32)))

    def _places(self, hashes: Numbers, copy: int) -> Iterator[tuple[int, int]]:
        """Yield the runs of rows of which this copy belongs into the shard."""
        begin = (self._begin - copy * _STEP) % _RANGE
        end = begin + self._end - self._begin
        for low, high in ((begin, min(end, _RANGE)), (0, end - _RANGE)):
            if low < high:
                first = int(np.searchsorted(hashes, np.uint64(low)))
                yield first, len(hashes) if high == _RANGE else int(np.searchsorted(hashes, np.uint64(high)))

    def _count(self, table: pa.Table, tables: npt.NDArray[np.int64], copy: int) -> None:
        tokens = np.asarray(lengths(table))
        for number, counts in enumerate(self._counts):
            mine = tables == number
            sum_ = int(tokens[mine].sum(dtype=np.int64))
            counts.tokens += sum_
            if copy:
                counts.repeats += int(mine.sum())
                counts.repeated_tokens += sum_
            else:
                counts.documents += int(mine.sum())

    def _drop(self, rows: pa.RecordBatch, tables: npt.NDArray[np.int64], wanted: npt.NDArray[np.float64]) -> None:
        """Write the documents that are not taken at all away."""
        out = wanted == 0
        if not out.any():
            return
        for number, counts in enumerate(self._counts):
            counts.left_out += int((tables[out] == number).sum())
        left = rows.filter(pa.array(out))
        columns = {name: left.column(name) for name in ("id", "url", "source")}
        columns |= {name: pa.array([STAGE] * left.num_rows) for name in ("stage", "reason")}
        columns["value"] = pa.array(_drawn(left.column(HASH).to_numpy()))
        columns["limit"] = pa.array(self._times[tables[out]])
        columns["ref"] = pa.nulls(left.num_rows, pa.string())
        there = "text" in left.schema.names
        columns["excerpt"] = (
            pc.utf8_slice_codeunits(left.column("text"), 0, self._excerpt)
            if there
            else pa.nulls(left.num_rows, pa.large_string())
        )
        self._leave_out(pa.table(columns).cast(REJECTS))


def _drawn(hashes: Numbers) -> npt.NDArray[np.float64]:
    """Return a number from 0 to 1 for each document, which has nothing to do with its place."""
    drawn: npt.NDArray[np.float64] = (_mixed(hashes ^ np.uint64(_DRAW)) >> np.uint64(11)) * 2.0**-53
    return drawn


def _mixed(values: Numbers) -> Numbers:
    """Return *values* through the finalizer of SplitMix64 (Steele et al. 2014): each bit depends on all."""
    mixed: Numbers = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
