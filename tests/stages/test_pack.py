"""Packing loses no token, keeps every boundary, and pads only where it says so."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.chain import cut
from corpusmill.schemas import RecipeError, StageError
from corpusmill.stages import FilterUrl, Pack, Tokenize, training_pairs
from corpusmill.stages.token_columns import packed_length, packed_rows, token_dtype


def batch_of(lengths: list[int]) -> pa.RecordBatch:
    """Documents whose tokens are all different, so that none can be mistaken for another."""
    ends = np.cumsum([0, *lengths])
    ids = [list(range(start + 1, end + 1)) for start, end in pairwise(ends)]
    return pa.record_batch({"id": [f"d{n}" for n in range(len(ids))], "input_ids": pa.array(ids, pa.list_(pa.int32()))})


def unpacked(rows: pa.Table | pa.RecordBatch) -> dict[str, list[int]]:
    """Put the documents together again from the pieces that the rows say they hold."""
    pieces: dict[str, dict[int, list[int]]] = defaultdict(dict)
    for row in rows.to_pylist():
        ends = [*row["document_starts"][1:], row["n_tokens"]]
        for id_, start, end, offset in zip(
            row["document_ids"], row["document_starts"], ends, row["document_offsets"], strict=True
        ):
            pieces[id_][offset] = row["input_ids"][start:end]
    whole = {}
    for id_, parts in pieces.items():
        whole[id_] = [token for offset in sorted(parts) for token in parts[offset]]
        assert all(offset == sum(len(parts[o]) for o in parts if o < offset) for offset in parts)
    return whole


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, 40), max_size=30),
    st.integers(2, 16),
    st.sampled_from(["concatenate", "best_fit"]),
    st.integers(1, 8),
    st.integers(1, 7),
)
def test_every_token_is_there_once_and_in_order(
    lengths: list[int], length: int, strategy: str, window: int, size: int
) -> None:
    stage = Pack(sequence_length=length, strategy=strategy, window=window)  # type: ignore[arg-type]
    batch = batch_of(lengths)
    rows = stage(batch)
    assert unpacked(rows) == dict(zip(*batch.to_pydict().values(), strict=True))
    assert all(len(ids) == length for ids in rows.column("input_ids").to_pylist())
    parts = [batch.slice(at, size) for at in range(0, max(batch.num_rows, 1), size)]
    assert stage(pa.Table.from_batches(parts)).to_pydict() == rows.to_pydict()


def test_concatenation_pads_only_the_last_row() -> None:
    rows = Pack(sequence_length=8)(batch_of([5, 5, 7, 3]))
    assert rows.column("n_tokens").to_pylist() == [8, 8, 4]
    assert rows.column("input_ids").to_pylist()[-1][4:] == [0, 0, 0, 0]


def test_best_fit_keeps_documents_whole_where_they_fit() -> None:
    rows = Pack(sequence_length=8, strategy="best_fit")(batch_of([5, 3, 6, 2, 20])).to_pylist()
    whole = {id_ for row in rows for id_ in row["document_ids"]} - {"d4"}
    assert whole == {"d0", "d1", "d2", "d3"}
    assert sum(row["document_ids"].count("d0") for row in rows) == 1
    assert sorted(row["n_tokens"] for row in rows) == [4, 8, 8, 8, 8]


def test_pairs_are_shifted_by_one() -> None:
    inputs, labels = training_pairs(Pack(sequence_length=5)(batch_of([10])))
    assert inputs.tolist() == [[1, 2, 3, 4], [6, 7, 8, 9]]
    assert labels.tolist() == [[2, 3, 4, 5], [7, 8, 9, 10]]


def test_it_gives_no_verdicts_and_must_come_last() -> None:
    with pytest.raises(StageError, match="gives no verdicts"):
        Pack().open()
    with pytest.raises(RecipeError, match="pack must be the last stage"):
        cut([Tokenize(), Pack(), FilterUrl()])
    with pytest.raises(RecipeError, match="pack must be the last stage"):
        cut([Pack()])


@pytest.mark.parametrize("token_type", [pa.uint16(), pa.int32()])
def test_bytes_of_rows_are_the_same_tokens_as_lists(token_type: pa.DataType) -> None:
    batch = batch_of([5, 0, 17, 3])
    batch = batch.set_column(1, "input_ids", batch.column("input_ids").cast(pa.list_(token_type)))
    lists, stored = (Pack(sequence_length=4, column=column)(batch) for column in ("list", "binary"))
    expected = np.array(lists.column("input_ids").to_pylist())
    field = stored.schema.field("input_ids")
    assert (packed_length(field), token_dtype(field)) == (4, np.dtype(str(token_type)))
    assert packed_rows(stored.column("input_ids"), field).tolist() == expected.tolist()
    table = pa.Table.from_batches([stored.slice(1, 2), stored.slice(4)])
    inputs, labels = training_pairs(table)
    rows = expected[[1, 2, *range(4, len(expected))]]
    assert (inputs.tolist(), labels.tolist()) == (rows[:, :-1].tolist(), rows[:, 1:].tolist())
    assert stored.drop_columns(["input_ids"]).to_pydict() == lists.drop_columns(["input_ids"]).to_pydict()


def test_bytes_that_lost_the_word_of_what_they_are_are_refused() -> None:
    stored = Pack(sequence_length=4, column="binary")(batch_of([5, 3]))
    lost = pa.table({"input_ids": stored.column("input_ids"), "n_tokens": stored.column("n_tokens")})
    with pytest.raises(RecipeError, match="are of no known type"):
        training_pairs(lost)
