"""Documents in another order: each once, the same order whatever the splits and workers, and after any stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpusmill.audit import audit
from corpusmill.journal import Journal
from corpusmill.manifest import read_manifest
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from corpusmill.schemas import RecipeError
from corpusmill.schemas.manifest import SegmentRecord, ShardRecord
from corpusmill.stages import stage_from
from corpusmill.subsets import shuffle_key
from support import prose, stop_after

CHANGES = (
    "input.split_size=6kB",
    "tokenize.tokenizer=bytes",
    "output.shard_tokens=6000",
    "output.validation_share=0.2",
    "output.row_group_rows=7",
)


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crawl")
    for file in range(3):
        lines = [json.dumps({"id": f"{file}-{n}", "text": prose(file * 100 + n, 20 + n)}) for n in range(40)]
        (folder / f"{file}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def ran(inputs: Path, output: Path, *changes: str, packed: bool = False, **options: Any) -> Any:
    recipe = load_recipe("minimal", [*CHANGES, *changes])
    if packed:
        pack = stage_from({"kind": "pack", "sequence_length": 64}, "test")
        recipe = type(recipe)(name="p", input=recipe.input, output=recipe.output, stages=(*recipe.stages, pack))
    return run(recipe, [inputs], output, **options)


def shards(output: Path) -> dict[str, list[str]]:
    paths = sorted((output / "shards").glob("*"))
    return {path.name: pq.read_table(path)["id"].to_pylist() for path in paths}


def contents(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (output / "shards").glob("*")}


def test_rows_of_a_shard_are_shuffled_and_stay_in_it(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "plain")
    ran(crawl, tmp_path / "out", "output.shuffle=shard")
    plain, shuffled = shards(tmp_path / "plain"), shards(tmp_path / "out")
    assert {name: sorted(ids) for name, ids in shuffled.items()} == {name: sorted(ids) for name, ids in plain.items()}
    assert len(shuffled) > 3
    assert shuffled != plain
    for ids in shuffled.values():
        assert ids == sorted(ids, key=lambda id_: shuffle_key(id_, 0))
    assert audit(tmp_path / "out").ok


def test_the_corpus_is_shuffled_through_all_shards(crawl: Path, tmp_path: Path) -> None:
    manifest = ran(crawl, tmp_path / "out", "output.shuffle=corpus", "seed=7")
    found = shards(tmp_path / "out")
    assert {shard.subset for shard in manifest.shards} == {"train", "validation"}
    for subset in ("train", "validation"):
        ids = [id_ for name, rows in found.items() if name.startswith(subset) for id_ in rows]
        assert ids == sorted(ids, key=lambda id_: shuffle_key(id_, 7))
    ran(crawl, tmp_path / "plain", "seed=7")
    assert sorted(id_ for rows in found.values() for id_ in rows) == sorted(
        id_ for rows in shards(tmp_path / "plain").values() for id_ in rows
    )
    assert len([name for name in found if name.startswith("train")]) > 3
    assert audit(tmp_path / "out").ok
    assert not list((tmp_path / "out" / "state" / "spill").glob("*"))


def test_splits_and_workers_have_no_part_in_the_order(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "one", "output.shuffle=corpus")
    ran(crawl, tmp_path / "two", "output.shuffle=corpus", workers=2, executor="processes")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    ran(crawl, tmp_path / "large", "output.shuffle=corpus", "input.split_size=1MB")
    assert shards(tmp_path / "one") == shards(tmp_path / "large")


@pytest.mark.parametrize("how", ["shard", "corpus"])
@pytest.mark.parametrize("packed", [False, True])
def test_it_goes_on_after_any_stop(crawl: Path, tmp_path: Path, how: str, packed: bool) -> None:
    change = f"output.shuffle={how}"
    ran(crawl, tmp_path / "whole", change, packed=packed)
    expected = contents(tmp_path / "whole")
    events = len(Journal(tmp_path / "whole" / "state" / "journal.jsonl").events)
    for stop in range(1, events, 5):
        output = tmp_path / f"{stop}"
        with pytest.MonkeyPatch.context() as patch:
            stop_after(patch, stop)
            with pytest.raises(KeyboardInterrupt):
                ran(crawl, output, change, packed=packed)
        ran(crawl, output, change, packed=packed)
        assert contents(output) == expected
        assert audit(output).ok
        assert not list((output / "state" / "spill").glob("*"))


@pytest.mark.parametrize("shards_written", [0, 2])
def test_what_waits_for_its_shard_survives_the_machine(crawl: Path, tmp_path: Path, shards_written: int) -> None:
    ran(crawl, tmp_path / "whole", "output.shuffle=corpus")
    events = Journal(tmp_path / "whole" / "state" / "journal.jsonl").events
    first_shard = next(number for number, event in enumerate(events) if isinstance(event, ShardRecord))
    output = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, first_shard + (shards_written or -2))
        with pytest.raises(KeyboardInterrupt):
            ran(crawl, output, "output.shuffle=corpus")
    before = len(Journal(output / "state" / "journal.jsonl").events)
    (output / "state" / "boot").write_text("another boot")
    ran(crawl, output, "output.shuffle=corpus")
    assert contents(output) == contents(tmp_path / "whole")
    assert audit(output).ok
    after = Journal(output / "state" / "journal.jsonl").events
    again = [event for event in after[before:] if isinstance(event, SegmentRecord)]
    assert len(again) <= 4  # of the last split or two; what was finished is not worked on again


def test_what_is_added_later_is_shuffled_among_itself(crawl: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "crawl"
    inputs.mkdir()
    (inputs / "0.jsonl").write_bytes((crawl / "0.jsonl").read_bytes())
    ran(inputs, tmp_path / "out", "output.shuffle=corpus")
    before = contents(tmp_path / "out")
    (inputs / "1.jsonl").write_bytes((crawl / "1.jsonl").read_bytes())
    ran(inputs, tmp_path / "out", "output.shuffle=corpus")
    after = contents(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    added = [id_ for name, ids in shards(tmp_path / "out").items() if name not in before for id_ in ids]
    assert {id_[0] for id_ in added} == {"1"}
    assert audit(tmp_path / "out").ok


def test_no_token_is_lost_where_sequences_are_packed(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "plain")
    ran(crawl, tmp_path / "out", "output.shuffle=corpus", packed=True)
    assert read_manifest(tmp_path / "out").tokens == read_manifest(tmp_path / "plain").tokens


def test_a_shard_that_no_document_falls_into_is_empty_and_whole(tmp_path: Path) -> None:
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "a.jsonl").write_text(json.dumps({"id": "a", "text": prose(1, 500)}) + "\n")
    for packed in (False, True):
        output = tmp_path / f"{packed}"
        changes = ("output.shuffle=corpus", "output.shard_tokens=500", "output.validation_share=0")
        manifest = ran(tmp_path / "crawl", output, *changes, packed=packed)
        assert len(manifest.shards) > 3
        assert sum(shard.documents for shard in manifest.shards) == 1
        assert audit(output).ok


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(RecipeError, match="shuffle"):
        load_recipe("minimal", ["output.shuffle=documents"])
