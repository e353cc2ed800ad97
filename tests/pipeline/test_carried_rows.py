"""Packed rows that run on from shard to shard: the rows of one sequence, whatever shards, workers and stops there are."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from corpusmill.audit import audit
from corpusmill.chain import cut
from corpusmill.journal import Journal
from corpusmill.manifest import compile_manifest, write_manifest
from corpusmill.recipe import load_recipe
from corpusmill.run import check_chain, run
from corpusmill.scheduler import Scheduler
from corpusmill.schemas import RecipeError
from corpusmill.schemas.manifest import ShardRecord
from corpusmill.schemas.recipe import OutputSettings
from corpusmill.shards import PlannedShard, Rows, ShardPlanner
from corpusmill.stages import Pack, Tokenize
from support import prose, stop_after

LENGTH = 64


def plain_rows(documents: list[int], length: int) -> list[tuple[int, list[tuple[str, int]]]]:
    """Return of each row its tokens without padding and its pieces (document, offset), from the positions of all documents."""
    begins = [sum(documents[:n]) for n in range(len(documents))]
    total = sum(documents)
    needs_another = total % length or any(begin == total for begin in begins)
    rows = []
    for begin in range(0, total + 1 if needs_another else total, length):
        pieces = [
            (f"d{n}", max(begin - at, 0))
            for n, (at, size) in enumerate(zip(begins, documents, strict=True))
            if (at < begin + length and at + size > begin) or begin <= at < begin + length
        ]
        rows.append((min(total - begin, length), pieces))
    return rows


def planned(splits: list[list[int]], limit: int, length: int) -> list[PlannedShard]:
    planner = ShardPlanner(limit, {}, row=length)
    shards = []
    for number, documents in enumerate(splits):
        shards += planner.add(number, {"train": Rows(str(number), sum(documents), sum(documents))} if documents else {})
    return shards + planner.finish()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3) | st.integers(0, 40), max_size=5), max_size=12),
    st.integers(1, 60),
    st.integers(2, 16),
    st.integers(1, 4),
)
@example([[4, 0], [3]], 1, 4, 1)  # a document without tokens behind the last full row of a shard
@example([[9, 3, 0], [0], [0, 2]], 1, 4, 2)
def test_shards_are_cut_out_of_one_sequence_of_rows(
    splits: list[list[int]], limit: int, length: int, size: int
) -> None:
    documents = [length for split in splits for length in split]
    numbers = iter(range(len(documents)))
    tables = []
    at = 1
    for split in splits:
        ids, tokens = [], []
        for count in split:
            ids.append(f"d{next(numbers)}")
            tokens.append(list(range(at, at + count)))
            at += count
        tables.append(pa.record_batch([pa.array(ids), pa.array(tokens, pa.list_(pa.int32()))], ["id", "input_ids"]))
    pack = Pack(sequence_length=length, remainder="carry")
    shards = planned(splits, limit, length)
    found, tokens_found = [], []
    for shard in shards:
        packer = pack.packer(pa.int32(), shard.begin)
        parts = [tables[int(source)] for source in shard.sources]
        rows = [packer.add(part.slice(at, size)) for part in parts for at in range(0, part.num_rows, size)]
        written = pa.concat_tables(rows if shard.end is not None else [*rows, packer.finish()]).to_pylist()
        assert written, "every shard has a row"
        assert (shard.end is None) is (shard is shards[-1])
        for row in written:
            pieces = list(zip(row["document_ids"], row["document_offsets"], strict=True))
            found.append((row["n_tokens"], pieces))
            tokens_found += row["input_ids"][: row["n_tokens"]]
            starts = [*row["document_starts"], row["n_tokens"]]
            assert starts == sorted(starts)
    assert found == plain_rows(documents, length)
    assert tokens_found == list(range(1, at))
    used = Counter(source for shard in shards for source in shard.sources)
    assert set(used) == {str(number) for number, split in enumerate(splits) if split}
    # Neighbours share files and no others do; the range of splits that a shard records is its own.
    assert max(used.values(), default=0) <= 2
    ends = [shard.splits for shard in shards]
    assert ends == sorted(ends)
    assert len({split for first, last in ends for split in (first, last)}) == sum(
        1 if first == last else 2 for first, last in ends
    )


def test_what_the_next_shard_begins_with_waits() -> None:
    planner = ShardPlanner(10, {}, row=8)
    assert planner.add(0, {"train": Rows("a", 7, 7)}) == []
    assert planner.add(1, {"train": Rows("b", 5, 5)}) == []
    assert planner.add(2, {"train": Rows("c", 1, 1)}) == [
        PlannedShard("train", "shards/train-00000.parquet", (0, 1), ("a", "b"), end=8)
    ]
    assert planner.waiting() == ["b", "c"]
    assert planner.waiting(up_to=1) == ["b"]
    assert planner.finish() == [PlannedShard("train", "shards/train-00001.parquet", (2, 2), ("b", "c"), begin=1)]
    assert planner.waiting() == []


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crawl")
    for file in range(2):
        lines = [json.dumps({"id": f"{file}-{n}", "text": prose(file * 100 + n, 9 + n)}) for n in range(30)]
        (folder / f"{file}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


CHANGES = (
    "input.split_size=2kB",
    "tokenize.tokenizer=bytes",
    "output.shard_tokens=2000",
    "output.validation_share=0.2",
)


def ran(inputs: Path, output: Path, *changes: str, pack: Pack | None = None, **options: Any) -> Any:
    recipe = load_recipe("minimal", [*CHANGES, *changes])
    stages = (*recipe.stages, *([pack] if pack else []))
    return run(
        type(recipe)(name="p", input=recipe.input, output=recipe.output, stages=stages), [inputs], output, **options
    )


CARRY = Pack(sequence_length=LENGTH, remainder="carry")


def contents(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (output / "shards").glob("*")}


def tokens_of(output: Path, subset: str) -> list[int]:
    """All tokens of a subset, one after another, without padding."""
    tables = [pq.read_table(path) for path in sorted((output / "shards").glob(f"{subset}-*"))]
    rows = [row for table in tables for row in table.select(["input_ids", "n_tokens"]).to_pylist()]
    return [token for row in rows for token in row["input_ids"][: row["n_tokens"]]]


@pytest.fixture(scope="module")
def whole(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "out"
    ran(crawl, output, pack=CARRY)
    return output


def test_no_token_is_lost_and_only_the_last_row_of_a_subset_is_padded(crawl: Path, whole: Path, tmp_path: Path) -> None:
    manifest = Journal(whole / "state" / "journal.jsonl").events
    shards = [event for event in manifest if isinstance(event, ShardRecord)]
    plain = ran(crawl, tmp_path / "plain")
    for subset in ("train", "validation"):
        mine = [shard for shard in shards if shard.subset == subset]
        assert len(mine) > 1
        assert [shard.padding for shard in mine[:-1]] == [0] * (len(mine) - 1)
        assert mine[-1].padding < LENGTH
        assert tokens_of(whole, subset) == tokens_of(tmp_path / "plain", subset)
    assert sum(shard.documents for shard in shards) == plain.documents.kept
    assert sum(shard.tokens for shard in shards) == plain.tokens
    for by in ("language", "source"):
        counts = [group for shard in shards for group in shard.groups.get(by, {}).values()]
        assert sum(group.documents for group in counts) in {0, plain.documents.kept}
        assert sum(group.tokens for group in counts) in {0, plain.tokens}
    assert all(shard.groups["source"] for shard in shards)
    assert audit(whole).ok
    assert not list((whole / "state" / "spill").glob("*"))
    padded = ran(crawl, tmp_path / "padded", pack=Pack(sequence_length=LENGTH))
    assert [(s.path, s.splits) for s in padded.shards] == [
        (s.path, s.splits) for s in sorted(shards, key=lambda shard: shard.path)
    ]
    assert sum(s.padding for s in padded.shards) > sum(s.padding for s in shards)


def test_documents_that_begin_in_what_is_carried_are_counted_once(crawl: Path, tmp_path: Path) -> None:
    manifest = ran(crawl, tmp_path / "out", pack=Pack(sequence_length=600, remainder="carry"))
    assert len(manifest.shards) > 4
    everything = manifest.groups["source"][0]
    assert (everything.documents, everything.tokens) == (manifest.documents.kept, manifest.tokens)
    for shard in manifest.shards:
        assert sum(group.documents for group in shard.groups["source"].values()) == shard.documents


def test_an_audit_fails_where_a_token_is_in_no_row(whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    shutil.copytree(whole, output)
    journal = output / "state" / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    shard = next(line for line in lines if line["event"] == "shard")
    shard["tokens"] -= 5
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    manifest = compile_manifest(Journal(journal).events)
    assert manifest.packing is not None
    assert manifest.packing["cropped"] == 5
    write_manifest(output, manifest)
    assert audit(output).problems == ["packing: 5 tokens of kept documents are in no row"]


def test_a_document_that_straddles_is_counted_where_it_begins(whole: Path) -> None:
    straddling = 0
    for shard in sorted((whole / "shards").glob("train-*"))[1:]:
        first = pq.read_table(shard).slice(0, 1).to_pylist()[0]
        straddling += first["document_offsets"][0] > 0
        assert first["document_starts"][0] == 0
    assert straddling


def test_shards_of_less_than_a_row_have_one(crawl: Path, tmp_path: Path) -> None:
    manifest = ran(
        crawl,
        tmp_path / "out",
        "output.shard_tokens=1",
        "input.split_size=100B",
        pack=Pack(sequence_length=1024, remainder="carry"),
    )
    ran(crawl, tmp_path / "plain")
    assert all(shard.rows for shard in manifest.shards)
    assert len(manifest.shards) > 5
    for subset in ("train", "validation"):
        assert tokens_of(tmp_path / "out", subset) == tokens_of(tmp_path / "plain", subset)
    assert audit(tmp_path / "out").ok


def test_it_goes_on_after_any_stop(crawl: Path, whole: Path, tmp_path: Path) -> None:
    expected = contents(whole)
    events = len(Journal(whole / "state" / "journal.jsonl").events)
    for stop in range(2, events, 5):
        output = tmp_path / f"{stop}"
        with pytest.MonkeyPatch.context() as patch:
            stop_after(patch, stop)
            with pytest.raises(KeyboardInterrupt):
                ran(crawl, output, pack=CARRY)
        ran(crawl, output, pack=CARRY)
        assert contents(output) == expected
        assert audit(output).ok
        assert not list((output / "state" / "spill").glob("*"))


def test_shards_may_be_written_in_any_order(
    crawl: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, held = Scheduler._plan_shards, list[Any]()

    def last_first(self: Scheduler) -> None:
        plan(self)
        held.extend(self._shard_jobs)
        self._shard_jobs = held[::-1] if self._shards_planned else []

    count = sum(isinstance(event, ShardRecord) for event in Journal(whole / "state" / "journal.jsonl").events)
    events = len(Journal(whole / "state" / "journal.jsonl").events)
    for stop in (None, events - count, events - 4):  # of the events, the last one says that all is done
        output = tmp_path / f"{stop}"
        with monkeypatch.context() as patch:
            patch.setattr(Scheduler, "_plan_shards", last_first)
            held.clear()
            if stop is None:
                ran(crawl, output, pack=CARRY)
            else:
                stop_after(patch, stop)
                with pytest.raises(KeyboardInterrupt):
                    ran(crawl, output, pack=CARRY)
                written = {path.name for path in (output / "shards").glob("*")}
                assert written
                assert "train-00000.parquet" not in written
        if stop is not None:
            ran(crawl, output, pack=CARRY)
        assert contents(output) == contents(whole)
        assert not list((output / "state" / "spill").glob("*"))
        assert audit(output).ok


@pytest.mark.parametrize("written", [1, 3])
def test_what_a_shard_left_for_the_next_survives_the_machine(
    crawl: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    boot, output = tmp_path / "boot_id", tmp_path / "out"
    boot.write_text("one")
    monkeypatch.setattr("corpusmill.output._BOOT_ID", boot)
    synced: set[Path] = set()
    events = Journal(whole / "state" / "journal.jsonl").events
    shards = [number for number, event in enumerate(events, 1) if isinstance(event, ShardRecord)]
    with monkeypatch.context() as patch:
        patch.setattr("corpusmill.scheduler.sync", synced.add)
        stop_after(patch, shards[written - 1])
        with pytest.raises(KeyboardInterrupt):
            ran(crawl, output, pack=CARRY)
    for path in (output / "state" / "spill").glob("*"):
        if path not in synced:
            path.write_bytes(b"")  # as a file system may leave what was not synced
    boot.write_text("two")
    ran(crawl, output, pack=CARRY)
    assert contents(output) == contents(whole)
    assert audit(output).ok


def test_a_later_run_begins_a_row(crawl: Path, tmp_path: Path) -> None:
    inputs, output = tmp_path / "crawl", tmp_path / "out"
    inputs.mkdir()
    before: dict[str, bytes] = {}
    for name in ("0.jsonl", "1.jsonl"):
        (inputs / name).write_bytes((crawl / name).read_bytes())
        manifest = ran(inputs, output, pack=CARRY)
        assert {shard: contents(output)[shard] for shard in before} == before
        before = contents(output)
    padded = [shard.splits[0] for shard in manifest.shards if shard.padding and shard.subset == "train"]
    assert len(padded) == 2  # the last of each run
    ran(crawl, tmp_path / "plain")
    assert tokens_of(output, "train") == tokens_of(tmp_path / "plain", "train")
    assert audit(output).ok


def test_what_cannot_be_carried_is_refused() -> None:
    with pytest.raises(
        RecipeError, match=r'pack.remainder: "carry" needs strategy = "concatenate".* or remainder = "pad"'
    ):
        Pack(remainder="carry", strategy="best_fit")
    recipe = load_recipe("minimal", ["tokenize.tokenizer=bytes"])
    chain = cut((Tokenize(tokenizer="bytes"), CARRY))
    check_chain(chain, recipe.output)
    for how in ("shard", "corpus"):
        with pytest.raises(RecipeError, match=rf'output.shuffle is "{how}"; set output.shuffle = "none"'):
            check_chain(chain, OutputSettings(shuffle=how))


def test_a_call_pads_at_its_end() -> None:
    batch = pa.record_batch({"id": ["a", "b"], "input_ids": [[1, 2, 3], [4, 5]]})
    assert Pack(sequence_length=4, remainder="carry")(batch).to_pydict() == Pack(sequence_length=4)(batch).to_pydict()
