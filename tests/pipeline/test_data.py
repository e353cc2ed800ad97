"""Training data out of shards: nothing twice, nothing left out, and going on exactly where a reading stopped."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from corpusmill.data import IGNORED, TokenDataset
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from corpusmill.schemas import RecipeError
from corpusmill.stages import Pack, stage_from
from support import SMALL_STEPS, prose

LENGTH = 33
LAYOUTS: dict[str, dict[str, Any]] = {
    "documents": {"sequence_length": LENGTH},
    "packed": {},
    "padded": {},
    "binary": {},
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return one output per layout, each of several shards and row groups."""
    root = tmp_path_factory.mktemp("outputs")
    (root / "crawl").mkdir()
    lines = [json.dumps({"id": f"d{seed}", "text": prose(seed, 5 + seed % 70)}) for seed in range(120)]
    (root / "crawl" / "a.jsonl").write_text("\n".join(lines) + "\n")
    made = {}
    layouts = {"documents": "", "packed": "concatenate", "padded": "best_fit", "binary": "best_fit"}
    for layout, strategy in layouts.items():
        recipe = load_recipe("minimal", [*SMALL_STEPS, "output.row_group_rows=7", "tokenize.tokenizer=bytes"])
        if strategy:
            column = "binary" if layout == "binary" else "list"
            pack = stage_from(
                {"kind": "pack", "sequence_length": LENGTH, "strategy": strategy, "column": column}, "test"
            )
            assert isinstance(pack, Pack)
            recipe = type(recipe)(
                name=recipe.name, input=recipe.input, output=recipe.output, stages=(*recipe.stages, pack)
            )
        run(recipe, [root / "crawl"], root / layout)
        made[layout] = root / layout
        assert len(list((root / layout / "shards").glob("train-*"))) > 2
    return made


def plain(items: Any) -> list[dict[str, list[int]]]:
    return [{name: values.tolist() for name, values in item.items()} for item in items]


def opened(outputs: dict[str, Path], layout: str, **options: Any) -> TokenDataset:
    return TokenDataset(outputs[layout], **LAYOUTS[layout], **options)


def test_documents_run_on_into_each_other_and_nothing_is_left_out_but_the_end(outputs: dict[str, Path]) -> None:
    rows = [pq.read_table(path) for path in sorted((outputs["documents"] / "shards").glob("train-*"))]
    tokens = [token for table in rows for ids in table["input_ids"].to_pylist() for token in ids]
    items = plain(opened(outputs, "documents"))
    assert len(items) == len(tokens) // LENGTH == len(opened(outputs, "documents"))
    for number, item in enumerate(items):
        sequence = tokens[number * LENGTH : (number + 1) * LENGTH]
        assert (item["input_ids"], item["labels"]) == (sequence[:-1], sequence[1:])


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_packed_rows_come_as_they_are_and_padding_is_no_target(outputs: dict[str, Path], layout: str) -> None:
    rows = [
        row for path in sorted((outputs[layout] / "shards").glob("train-*")) for row in pq.read_table(path).to_pylist()
    ]
    items = plain(opened(outputs, layout, positions=True))
    assert len(items) == len(rows)
    assert any(row["n_tokens"] < LENGTH for row in rows)
    for row, item in zip(rows, items, strict=True):
        assert item["input_ids"] == row["input_ids"][:-1]
        known = max(row["n_tokens"] - 1, 0)
        assert item["labels"] == row["input_ids"][1 : known + 1] + [IGNORED] * (LENGTH - 1 - known)
        starts = [*row["document_starts"], LENGTH]
        expected = [at - max(s for s in starts if s <= at) for at in range(LENGTH - 1)]
        assert item["position_ids"] == expected


def test_positions_begin_again_with_each_document(outputs: dict[str, Path]) -> None:
    end = 256  # of the tokenizer of bytes
    for item in plain(opened(outputs, "documents", positions=True)):
        for at, (token, position) in enumerate(zip(item["input_ids"], item["position_ids"], strict=True)):
            if at + 1 < len(item["position_ids"]):
                assert item["position_ids"][at + 1] == (0 if token == end else position + 1)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", [None, 3])
def test_ranks_share_all_sequences_evenly(outputs: dict[str, Path], layout: str, seed: int | None) -> None:
    whole = plain(opened(outputs, layout, shuffle_seed=seed))
    parts = [plain(opened(outputs, layout, shuffle_seed=seed, rank=rank, world_size=3)) for rank in range(3)]
    assert {len(part) for part in parts} == {len(whole) // 3}
    assert [item for part in parts for item in part] == whole[: len(whole) // 3 * 3]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_shuffling_is_another_order_of_the_same_in_each_epoch(outputs: dict[str, Path], layout: str) -> None:
    dataset = opened(outputs, layout, shuffle_seed=1)
    first, again = plain(dataset), plain(dataset)
    dataset.set_epoch(1)
    second, straight = plain(dataset), plain(opened(outputs, layout))
    assert first == again
    assert first != second
    assert first != straight
    if layout != "documents":  # there, sequences are cut elsewhere
        assert sorted(map(str, first)) == sorted(map(str, second)) == sorted(map(str, straight))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", [None, 3])
def test_a_reading_goes_on_exactly_where_it_stopped(outputs: dict[str, Path], layout: str, seed: int | None) -> None:
    expected = plain(opened(outputs, layout, shuffle_seed=seed, world_size=2, rank=1))
    for stop in range(0, len(expected) + 1, 5):
        reading = opened(outputs, layout, shuffle_seed=seed, world_size=2, rank=1)
        head = plain(islice(reading, stop))
        state = json.loads(json.dumps(reading.state_dict()))
        later = opened(outputs, layout, shuffle_seed=seed, world_size=2, rank=1)
        later.load_state_dict(state)
        assert head + plain(later) == expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_sequence_can_be_had_by_its_number(outputs: dict[str, Path], layout: str) -> None:
    dataset = opened(outputs, layout, shuffle_seed=5, rank=1, world_size=2)
    items = plain(dataset)
    assert plain(dataset[number] for number in range(len(dataset))) == items
    assert plain([dataset[-1]]) == items[-1:]
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_bytes_of_rows_are_the_same_tokens_as_lists(outputs: dict[str, Path]) -> None:
    assert plain(opened(outputs, "binary", positions=True)) == plain(opened(outputs, "padded", positions=True))


def test_a_state_of_another_reading_is_refused(outputs: dict[str, Path]) -> None:
    dataset = opened(outputs, "packed", shuffle_seed=1)
    next(iter(dataset))
    state = dataset.state_dict()
    with pytest.raises(RecipeError, match="shuffle_seed was 1, and is 2 now"):
        opened(outputs, "packed", shuffle_seed=2).load_state_dict(state)
    with pytest.raises(RecipeError, match="shards was"):
        opened(outputs, "padded", shuffle_seed=1).load_state_dict(state)
    other = opened(outputs, "packed", shuffle_seed=1, rank=0, world_size=2)
    other.load_state_dict(state)
    with pytest.raises(RecipeError, match="saved by 1 readers"):
        next(iter(other))


def test_what_cannot_be_read_says_what_to_do(outputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="give sequence_length, or put pack"):
        TokenDataset(outputs["documents"])
    with pytest.raises(RecipeError, match="packed in rows of 33 tokens, not 64"):
        TokenDataset(outputs["packed"], sequence_length=64)
    with pytest.raises(RecipeError, match="no shards of the subset 'test'"):
        TokenDataset(outputs["packed"], subset="test")
    with pytest.raises(RecipeError, match="must not be negative"):
        TokenDataset(outputs["packed"], shuffle_seed=-1)
    with pytest.raises(RecipeError, match="is no file: a list names files"):
        TokenDataset([outputs["packed"]])
    with pytest.raises(RecipeError, match="rank 2 is none of 2"):
        TokenDataset(outputs["packed"], rank=2, world_size=2)
    for columns in ({"text": ["a"]}, {"input_ids": [[1, 2]]}):
        pq.write_table(pa.table(columns), tmp_path / "train-0.parquet")
        with pytest.raises(RecipeError, match="holds no tokens"):
            TokenDataset(tmp_path, sequence_length=8)
    both = [path for layout in ("documents", "packed") for path in sorted((outputs[layout] / "shards").glob("train-*"))]
    with pytest.raises(RecipeError, match="another layout"):
        TokenDataset(both, sequence_length=LENGTH)


def test_shards_are_found_wherever_they_are(outputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = plain(opened(outputs, "packed"))
    shards = sorted((outputs["packed"] / "shards").glob("train-*"))
    assert plain(TokenDataset(outputs["packed"] / "shards")) == expected
    assert plain(TokenDataset(shards)) == expected
    assert plain(TokenDataset(outputs["packed"].as_uri())) == expected
    assert plain(TokenDataset(str(outputs["packed"]), filesystem=pafs.LocalFileSystem())) == expected
    assert len(plain(TokenDataset(shards[0]))) == pq.read_metadata(shards[0]).num_rows
    if importlib.util.find_spec("fsspec"):
        import fsspec

        assert plain(TokenDataset(str(outputs["packed"]), filesystem=fsspec.filesystem("file"))) == expected
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert plain(TokenDataset(outputs["packed"])) == expected[len(expected) // 2 : len(expected) // 2 * 2]


def test_an_epoch_that_was_loaded_goes_on_and_another_begins_anew(outputs: dict[str, Path]) -> None:
    dataset = opened(outputs, "packed", shuffle_seed=1)
    dataset.set_epoch(3)
    expected = plain(dataset)
    head = plain(islice(dataset, 5))
    state = dataset.state_dict()
    later = opened(outputs, "packed", shuffle_seed=1)
    later.load_state_dict(state)
    assert later.state_dict() == state
    later.set_epoch(3)
    assert head + plain(later) == expected
    assert plain(later) == expected
    later.load_state_dict(state)
    later.set_epoch(4)
    assert len(plain(later)) == len(expected)


def test_a_look_at_the_first_items_changes_nothing(outputs: dict[str, Path]) -> None:
    dataset = opened(outputs, "documents")
    expected = plain(opened(outputs, "documents"))
    plain(islice(dataset, 3))
    assert plain(dataset) == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process")  # Python warns of threads
def test_processes_that_are_forked_open_files_of_their_own(outputs: dict[str, Path], tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    dataset = TokenDataset(str(outputs["packed"]), filesystem=fsspec.filesystem("file"))
    expected = plain(dataset)
    children = []
    for number in range(3):
        child = os.fork()
        if not child:
            try:
                (tmp_path / f"{number}").write_text(json.dumps(plain(dataset)))
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert [json.loads((tmp_path / f"{number}").read_text()) for number in range(3)] == [expected] * 3


def test_documents_without_tokens_are_read_over(tmp_path: Path) -> None:
    ids = [[1, 2, 3], [], [4], [], [], [5, 6, 7, 8]]
    batch = pa.record_batch({"id": list("abcdef"), "input_ids": pa.array(ids, pa.list_(pa.uint16()))})
    for strategy in ("best_fit", "concatenate"):
        packed = Pack(sequence_length=4, strategy=strategy)(pa.Table.from_batches([batch]))
        assert {id_ for row in packed["document_ids"].to_pylist() for id_ in row} == set("abcdef")
        assert max(start for row in packed["document_starts"].to_pylist() for start in row) < 4
        pq.write_table(packed, tmp_path / "train-00000.parquet")
        assert len(list(TokenDataset(tmp_path, positions=True))) == packed.num_rows


@pytest.mark.parametrize("statistics", [True, False])
def test_empty_documents_count_for_nothing(tmp_path: Path, statistics: bool) -> None:
    ids = [[], [1, 2, 3], [], [4], [5, 6], [7], [], []]
    columns = {"input_ids": pa.array(ids, pa.list_(pa.uint16())), "n_tokens": pa.array(map(len, ids), pa.int32())}
    pq.write_table(pa.table(columns), tmp_path / "train-00000.parquet", row_group_size=2, write_statistics=statistics)
    dataset = TokenDataset(tmp_path, sequence_length=2)
    assert [(item["input_ids"].tolist(), item["labels"].tolist()) for item in dataset] == [
        ([1], [2]),
        ([3], [4]),
        ([5], [6]),
    ]


def test_the_length_of_a_reading_is_in_the_footers(outputs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    read = pq.ParquetFile.read_row_group
    groups = []

    def reading(self: Any, group: int, **options: Any) -> Any:
        groups.append(group)
        return read(self, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", reading)
    dataset = TokenDataset(outputs["documents"], sequence_length=16)
    paths = sorted((outputs["documents"] / "shards").glob("train-*"))
    assert len(dataset) == sum(sum(pq.read_table(path)["n_tokens"].to_pylist()) for path in paths) // 16
    assert groups == []
    next(iter(dataset))
    assert len(groups) == 1


def test_it_travels_to_other_processes(outputs: dict[str, Path]) -> None:
    dataset = opened(outputs, "packed", shuffle_seed=2)
    assert plain(pickle.loads(pickle.dumps(dataset))) == plain(dataset)


@pytest.mark.filterwarnings("ignore")  # of PyTorch itself
def test_it_is_a_dataset_of_pytorch(outputs: dict[str, Path]) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader

    expected = plain(opened(outputs, "documents"))
    for workers in (0, 2):
        loader = DataLoader(opened(outputs, "documents"), batch_size=4, num_workers=workers)
        batches = list(loader)
        assert batches[0]["input_ids"].dtype == torch.int64
        rows = [row for batch in batches for row in batch["input_ids"].tolist()]
        share = len(expected) // max(workers, 1) * max(workers, 1)
        assert sorted(rows) == sorted(item["input_ids"] for item in expected[:share])


@pytest.mark.filterwarnings("ignore")
def test_a_stateful_loader_goes_on_where_it_stopped(outputs: dict[str, Path]) -> None:
    loaders = pytest.importorskip("torchdata.stateful_dataloader")

    def loader() -> Any:
        return loaders.StatefulDataLoader(opened(outputs, "packed", shuffle_seed=1), batch_size=3, num_workers=2)

    expected = [batch["input_ids"].tolist() for batch in loader()]
    stopped = loader()
    head = [batch["input_ids"].tolist() for batch in islice(stopped, 4)]
    state = stopped.state_dict()
    later = loader()
    later.load_state_dict(state)
    assert head + [batch["input_ids"].tolist() for batch in later] == expected


def test_tokens_of_a_large_vocabulary_are_read(tmp_path: Path) -> None:
    ids = [[70_000, 1, 2], [], [3, 70_001]]
    table = pa.table({"n_tokens": pa.array([3, 0, 2], pa.int32()), "input_ids": pa.array(ids, pa.list_(pa.int32()))})
    pq.write_table(table, tmp_path / "train-00000.parquet")
    items = list(TokenDataset(tmp_path, sequence_length=2))
    assert [item["input_ids"].tolist() for item in items] == [[70_000], [2]]
    assert [item["labels"].tolist() for item in items] == [[1], [3]]
    assert items[0]["input_ids"].dtype == np.int64
