"""Shards of a size in bytes: near to it, planned from estimates that follow from the rows alone."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.audit import audit
from corpusmill.ipc_file import IpcFile
from corpusmill.journal import Journal
from corpusmill.parquet import shard_writer
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from corpusmill.schemas import RecipeError
from corpusmill.schemas.manifest import SegmentRecord
from corpusmill.schemas.recipe import OutputSettings
from corpusmill.shard_sizes import estimated_size
from corpusmill.shards import Rows, ShardPlanner
from corpusmill.stages import Pack
from corpusmill.subsets import shuffle_key
from support import prose, stop_after

PACKED = Pack(sequence_length=129)
CARRY = Pack(sequence_length=129, remainder="carry")


def letters(seed: int, length: int) -> str:
    """Text that takes about as many bytes in a shard as real tokens do."""
    return "".join(random.Random(seed).choices(string.ascii_letters, k=length))


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crawl")
    for file in range(3):
        lines = [json.dumps({"id": f"{file}-{n}", "text": letters(file * 100 + n, 400 + 80 * n)}) for n in range(40)]
        (folder / f"{file}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def ran(inputs: Path, output: Path, *changes: str, pack: Pack | None = None, **options: Any) -> Any:
    fixed = ("input.split_size=8kB", "tokenize.tokenizer=bytes", "output.validation_share=0.2")
    recipe = load_recipe("minimal", [*fixed, *changes])
    stages = (*recipe.stages, *([pack] if pack else []))
    return run(
        type(recipe)(name="p", input=recipe.input, output=recipe.output, stages=stages), [inputs], output, **options
    )


def contents(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (output / "shards").glob("*")}


def column_bytes(path: Path | pa.Buffer) -> int:
    metadata = pq.read_metadata(path if isinstance(path, Path) else pa.BufferReader(path))
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return sum(group.column(number).total_compressed_size for group in groups for number in range(group.num_columns))


@pytest.mark.parametrize(
    ("how", "pack"),
    [
        ("none", None),
        ("corpus", None),
        ("shard", PACKED),
        ("corpus", PACKED),
        ("none", CARRY),
    ],
)
def test_files_come_near_to_the_size(crawl: Path, tmp_path: Path, how: str, pack: Pack | None) -> None:
    output = tmp_path / "out"
    manifest = ran(crawl, output, "output.shard_size=40kB", f"output.shuffle={how}", pack=pack)
    shards = [shard for shard in manifest.shards if shard.subset == "train"]
    assert len(shards) > 3
    for shard in shards if how == "corpus" else shards[:-1]:
        assert (output / shard.path).stat().st_size == pytest.approx(40_000, rel=0.25)
    estimated = sum(
        sum(event.sizes.values())
        for event in Journal(output / "state" / "journal.jsonl").events
        if isinstance(event, SegmentRecord)
    )
    assert estimated == pytest.approx(sum(column_bytes(output / shard.path) for shard in manifest.shards), rel=0.1)
    assert audit(output).ok


@pytest.fixture(scope="module")
def whole(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "out"
    manifest = ran(crawl, output, "output.shard_size=15kB", pack=CARRY)
    assert len([shard for shard in manifest.shards if shard.subset == "train"]) > 8
    return output


def test_workers_have_no_part_in_it(crawl: Path, whole: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "two", "output.shard_size=15kB", pack=CARRY, workers=2, executor="processes")
    assert contents(tmp_path / "two") == contents(whole)
    assert audit(tmp_path / "two").ok
    assert not list((tmp_path / "two" / "state" / "spill").glob("*"))


def test_it_goes_on_after_a_stop(crawl: Path, whole: Path, tmp_path: Path) -> None:
    events = len(Journal(whole / "state" / "journal.jsonl").events)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, events // 2)
        with pytest.raises(KeyboardInterrupt):
            ran(crawl, tmp_path / "out", "output.shard_size=15kB", pack=CARRY)
    ran(crawl, tmp_path / "out", "output.shard_size=15kB", pack=CARRY)
    assert contents(tmp_path / "out") == contents(whole)


def test_the_size_decides_where_tokens_are_given_too(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "one", "output.shard_size=40kB")
    ran(crawl, tmp_path / "two", "output.shard_size=40kB", "output.shard_tokens=1")
    # The recipe, and so the fingerprint in the footers, differs.
    ids = [
        {path.name: pq.read_table(path)["id"].to_pylist() for path in (tmp_path / name / "shards").glob("*")}
        for name in ("one", "two")
    ]
    assert ids[0] == ids[1]


def test_nothing_is_estimated_where_tokens_decide(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "out")
    for event in Journal(tmp_path / "out" / "state" / "journal.jsonl").events:
        assert not isinstance(event, SegmentRecord) or event.sizes == {}


def rows_of(count: int) -> pa.Table:
    texts = [prose(n, 5 + n % 50) for n in range(count)]
    tokens = pa.array([list(text.encode()) for text in texts], pa.list_(pa.uint16()))
    ids = pa.array([f"document-{n}" for n in range(count)])
    hashes = pa.array([shuffle_key(id_, 0) for id_ in ids.to_pylist()], pa.uint64())
    lengths = pa.array([len(text) for text in texts], pa.int32())
    return pa.table({"id": ids, "n_tokens": lengths, "input_ids": tokens, "corpusmill.shuffle": hashes})


@pytest.mark.parametrize("pack", [None, PACKED])
def test_an_estimate_follows_from_the_rows_and_not_from_their_batches(tmp_path: Path, pack: Pack | None) -> None:
    table, settings = rows_of(3000), OutputSettings()
    found = set()
    for size in (1, 7, 256, 3000):
        with IpcFile(tmp_path, f"{size}.arrow") as file:
            for batch in table.to_batches(max_chunksize=size):
                file.write(batch)
        found.add(estimated_size(tmp_path, file, sum(table["n_tokens"].to_pylist()), settings, pack))
    (estimated,) = found
    rows = table.drop_columns(["corpusmill.shuffle"])
    sink = pa.BufferOutputStream()
    rows = pack(rows) if pack else rows
    writer = shard_writer(sink, rows.schema, settings)
    writer.write(rows)
    writer.close()
    assert estimated == pytest.approx(column_bytes(sink.getvalue()), rel=0.03)


def test_a_sample_without_tokens_says_something(tmp_path: Path) -> None:
    lengths_ = [0 if n % 2 == 0 else 40 for n in range(2048)]
    tokens = pa.array([[7] * length for length in lengths_], pa.list_(pa.uint16()))
    table = pa.table(
        {"id": [str(n) for n in range(2048)], "n_tokens": pa.array(lengths_, pa.int32()), "input_ids": tokens}
    )
    for name, rows in (("half", table), ("empty", table.filter(pc.equal(table["n_tokens"], 0)))):
        with IpcFile(tmp_path, f"{name}.arrow") as file:
            for batch in rows.to_batches():
                file.write(batch)
        assert 0 < estimated_size(tmp_path, file, sum(rows["n_tokens"].to_pylist()), OutputSettings(), None) < 1_000_000


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(1, 60))
def test_a_shard_ends_where_it_comes_nearest_to_the_size(sizes: list[int], limit: int) -> None:
    planner = ShardPlanner(limit, {}, nearest=True)
    shards = []
    for number, size in enumerate(sizes):
        shards += planner.add(number, {"train": Rows(str(number), 0, size)})
    shards += planner.finish()
    assert [source for shard in shards for source in shard.sources] == [str(number) for number in range(len(sizes))]
    for shard in shards[:-1]:
        first, last = shard.splits
        whole = sum(sizes[first : last + 1])
        assert abs(whole - limit) <= abs(whole + sizes[last + 1] - limit) + 1  # the split after it brings it no nearer
        if last > first:
            assert abs(whole - limit) <= abs(whole - sizes[last] - limit)  # nor does it without its last


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (
            "256 megabytes",
            r"output.shard_size: '256 megabytes' is no size; write a number and a unit, for example 64MB",
        ),
        ("0MB", r"output.shard_size: '0MB' is no size"),
        ("-1MB", r"output.shard_size: '-1MB' is no size"),
        ("256", r"shard_size: .*str"),
    ],
)
def test_a_wrong_size_is_refused(size: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("minimal", [f"output.shard_size={size}"])
