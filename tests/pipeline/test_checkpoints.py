"""Saved indexes: the next run goes on with them, and makes them again where they do not fit what is recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpusmill.audit import audit
from corpusmill.journal import Journal
from corpusmill.manifest import read_manifest
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from corpusmill.schemas import OutputMismatchError, RecipeError
from corpusmill.schemas.manifest import SegmentRecord
from corpusmill.stages.deduplicate import saved_index
from corpusmill.stages.near_index import NearIndex
from corpusmill.summary import summary
from support import SMALL_STEPS, prose, stop_after

RECIPE = """
[[stage]]
kind = "deduplicate"

[[stage]]
kind = "tokenize"
tokenizer = "bytes"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    root = tmp_path / "crawl"
    root.mkdir()
    for number in range(4):
        write(
            root / f"day{number}.jsonl", range(number * 15, number * 15 + 20)
        )  # a quarter of a day was there the day before
    return root


def write(path: Path, seeds: range) -> None:
    path.write_text("".join(json.dumps({"id": f"{path.stem}-{n}", "text": almost(n, path.stem)}) + "\n" for n in seeds))


def almost(seed: int, name: str) -> str:
    """Prose of that seed with one word of its own: a near duplicate of the same seed under another name."""
    return f"{prose(seed, 200)} {name}"


def ran(recipe: Path, inputs: list[Path], output: Path, *changes: str, **options: Any) -> None:
    steps = [step for step in SMALL_STEPS if not step.startswith("tokenize")]
    run(load_recipe(str(recipe), [*steps, "output.text=true", *changes]), inputs, output, **options)


def saved(output: Path) -> list[str]:
    return sorted(path.name for path in (output / "state" / "index").glob("*"))


def refs(output: Path) -> dict[str, str]:
    rows = [row for path in sorted((output / "rejects").glob("*")) for row in pq.read_table(path).to_pylist()]
    return {row["id"]: row["ref"] for row in rows}


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The splits that indexes are shown."""
    splits: list[int] = []
    add = NearIndex.add

    def noting(self: NearIndex, split: int, sketches: pa.Table) -> Any:
        splits.append(split)
        return add(self, split, sketches)

    monkeypatch.setattr(NearIndex, "add", noting)
    return splits


def test_tomorrows_run_drops_todays_duplicates_without_seeing_todays_splits(
    recipe: Path, crawl: Path, tmp_path: Path, added: list[int]
) -> None:
    outputs = [tmp_path / "with", tmp_path / "without"]
    last = (crawl / "day3.jsonl").read_text()
    for output in outputs:
        (crawl / "day3.jsonl").unlink()
        ran(recipe, [crawl], output)
        assert len(saved(output)) == 1
        (crawl / "day3.jsonl").write_text(last)
    before = len(added) // 2
    added.clear()
    (outputs[1] / "state" / "index").rename(tmp_path / "gone")
    ran(recipe, [crawl], outputs[0])
    assert min(added) >= before
    assert refs(outputs[0])["day3-45"] == "day2-45"
    fresh, seen = len(added), len(added)
    ran(recipe, [crawl], outputs[1])
    assert added[seen:][:before] == list(range(before))
    assert len(added) == fresh + before + fresh
    assert shards(outputs[0]) == shards(outputs[1])
    facts = [read_manifest(output).corpus_stages["deduplicate"] for output in outputs]
    assert facts[0]["documents"] == 80
    assert {**facts[0], "index_bytes": 0} == {**facts[1], "index_bytes": 0}


def shards(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((output / "shards").glob("*"))}


@pytest.mark.parametrize("events", [3, 6, 9, 12, 15, 18, 21, 25, 30, 40])
def test_a_run_that_saves_after_every_split_can_stop_anywhere(
    recipe: Path, crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, added: list[int], events: int
) -> None:
    ran(recipe, [crawl], tmp_path / "whole")
    always_save(monkeypatch)
    output = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_after(patch, events)
        with pytest.raises(KeyboardInterrupt):
            ran(recipe, [crawl], output)
    through = max((int(name.rpartition("-")[2]) for name in saved(output)), default=-1)
    added.clear()
    ran(recipe, [crawl], output)
    assert all(split > through for split in added)
    assert shards(output) == shards(tmp_path / "whole")
    assert refs(output) == refs(tmp_path / "whole")


def always_save(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("corpusmill.corpus_gate._GROWN", 0)
    patch.setattr("corpusmill.corpus_gate.CorpusGate._documents", property(lambda gate: 10 ** (gate._through + 2)))


def cut_a_table(folder: Path) -> None:
    largest = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-8])


def other_sketches(folder: Path) -> None:
    header = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps({**header, "covered": "0" * 32}))


def lost_verdicts(folder: Path) -> None:
    """As after a restart of the machine, which takes back work whose verdicts were taken up already."""
    header = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps({**header, "waiting": []}))


def lost_verdict_file(folder: Path) -> None:
    (folder / "waiting-000009.arrow").unlink()


def emptied(name: str, contents: str = "") -> Any:
    return lambda folder: (folder / name).write_text(contents)


@pytest.mark.parametrize(
    "damage",
    [
        cut_a_table,
        other_sketches,
        lost_verdicts,
        lost_verdict_file,
        emptied("index.json"),
        emptied("index.json", "[]"),
        emptied("checkpoint.json", "[]"),
        emptied("splits.npy"),
        emptied("copies.npy"),
        emptied("bands/bands.json", "{}"),
    ],
)
def test_a_saved_index_that_does_not_fit_is_made_again(
    recipe: Path, crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Any, added: list[int]
) -> None:
    ran(recipe, [crawl], tmp_path / "whole")
    always_save(monkeypatch)
    output = tmp_path / "out"
    with monkeypatch.context() as patch:
        # The last split is through the gate and not through the next segment when the run stops.
        append = Journal.append

        def stopping(self: Journal, event: Any) -> None:
            if isinstance(event, SegmentRecord) and event.segment == 1 and event.split == 9:
                raise KeyboardInterrupt
            append(self, event)

        patch.setattr(Journal, "append", stopping)
        with pytest.raises(KeyboardInterrupt):
            ran(recipe, [crawl], output)
    (folder,) = (output / "state" / "index").iterdir()
    damage(folder)
    added.clear()
    ran(recipe, [crawl], output)
    assert added[0] == 0
    assert shards(output) == shards(tmp_path / "whole")


def test_another_corpus_is_compared_with_and_not_added_to(recipe: Path, crawl: Path, tmp_path: Path) -> None:
    known = tmp_path / "known"
    ran(recipe, [crawl / "day0.jsonl", crawl / "day1.jsonl"], known)
    before = {path: path.read_bytes() for path in known.rglob("*") if path.is_file()}
    output = tmp_path / "out"
    ran(recipe, [crawl / "day2.jsonl", crawl / "day1.jsonl"], output, f'deduplicate.against=["{known}"]')
    rows = [row for path in (output / "rejects").glob("*") for row in pq.read_table(path).to_pylist()]
    reasons = {row["id"]: (row["reason"], row["ref"]) for row in rows}
    assert reasons["day1-20"] == ("exact_duplicate_against", "day1-20")
    assert reasons["day1-16"] == ("near_duplicate_against", "day0-16")
    assert reasons["day2-30"] == ("near_duplicate_against", "day1-30")
    assert {row["id"] for row in rows} == {*(f"day1-{n}" for n in range(15, 35)), *(f"day2-{n}" for n in range(30, 35))}
    assert {path: path.read_bytes() for path in known.rglob("*") if path.is_file()} == before


def test_a_corpus_that_cannot_be_compared_with_is_refused(recipe: Path, crawl: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="nowhere has no index"):
        ran(recipe, [crawl], tmp_path / "out", 'deduplicate.against=["nowhere"]')
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "manifest.json").write_text("{}")
    with pytest.raises(RecipeError, match="empty has no index"):
        ran(recipe, [crawl], tmp_path / "out", f'deduplicate.against=["{tmp_path / "empty"}"]')
    damaged = tmp_path / "damaged"
    ran(recipe, [crawl / "day0.jsonl"], damaged)
    next((damaged / "state" / "index").glob("*/copies.npy")).with_name("starts.npy").write_bytes(b"")
    with pytest.raises(RecipeError, match=r"the index of .*damaged cannot be read"):
        ran(recipe, [crawl], tmp_path / "out", f'deduplicate.against=["{damaged}"]')
    ran(recipe, [crawl / "day0.jsonl"], tmp_path / "known", "deduplicate.shingle_words=3")
    with pytest.raises(RecipeError, match="shingle_words is 3 there and 5 here"):
        ran(recipe, [crawl], tmp_path / "out", f'deduplicate.against=["{tmp_path / "known"}"]')


def test_clusters_name_the_kept_document_of_each_removed_one(recipe: Path, crawl: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    ran(recipe, [crawl], output, "deduplicate.clusters=true")
    rows = [row for path in sorted((output / "clusters").glob("*")) for row in pq.read_table(path).to_pylist()]
    assert {row["id"]: row["kept"] for row in rows} == refs(output)
    assert all(0.8 <= row["similarity"] < 1 and row["reason"] == "near_duplicate" for row in rows)
    assert audit(output).ok


def test_a_document_that_swallowed_many_raises_an_alarm(recipe: Path, tmp_path: Path) -> None:
    page = tmp_path / "site.jsonl"
    page.write_text("".join(json.dumps({"id": f"p{n}", "text": f"{prose(1, 200)} {n}"}) + "\n" for n in range(30)))
    output = tmp_path / "out"
    ran(recipe, [page], output, "deduplicate.alarm_cluster_size=20")
    facts = read_manifest(output).corpus_stages["deduplicate"]
    assert facts["largest_clusters"] == [{"id": "p0", "documents": 30}]
    assert facts["alarms"] == [{"alarm": "29 documents were removed as duplicates of p0"}]
    assert "29 documents were removed as duplicates of p0" in (output / "report.html").read_text()
    assert "<svg" in (output / "report.html").read_text()
    assert "29 documents were removed as duplicates of p0" in summary(output, read_manifest(output))


def test_contents_are_compared_with_a_corpus_of_which_no_more_is_known(
    recipe: Path, crawl: Path, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    ran(recipe, [crawl / "day1.jsonl"], known, "deduplicate.near=false")
    against = f'deduplicate.against=["{known}"]'
    for changes in ([], ["deduplicate.near=false"]):
        output = tmp_path / f"out{len(changes)}"
        ran(recipe, [crawl / "day1.jsonl", crawl / "day2.jsonl"], output, against, *changes)
        rows = [row for path in (output / "rejects").glob("*") for row in pq.read_table(path).to_pylist()]
        assert sum(row["reason"] == "exact_duplicate_against" for row in rows) == 20
        assert all(row["id"].startswith("day1") for row in rows)
    ran(recipe, [crawl / "day1.jsonl"], tmp_path / "near")
    output = tmp_path / "exact"
    against = f'deduplicate.against=["{tmp_path / "near"}"]'
    ran(recipe, [crawl / "day1.jsonl", crawl / "day2.jsonl"], output, against, "deduplicate.near=false")
    assert len(refs(output)) == 20


def test_many_bands_and_many_duplicates(recipe: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        rows = ({"id": f"{name}{n}", "text": prose(n, 60)} for n in range(600))
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "out"
    ran(
        recipe,
        [tmp_path / "a.jsonl", tmp_path / "b.jsonl"],
        output,
        "deduplicate.preset=strict",
        "input.split_size=1MB",
    )
    assert refs(output) == {f"b{n}": f"a{n}" for n in range(600)}


def test_of_several_deduplicators_the_last_one_is_compared_with(recipe: Path, crawl: Path, tmp_path: Path) -> None:
    twice = tmp_path / "twice.toml"
    twice.write_text('[[stage]]\nkind = "deduplicate"\nnear = false\n' + RECIPE)
    known = tmp_path / "known"
    ran(twice, [crawl / "day0.jsonl"], known)
    assert [name.partition("-")[0] for name in saved(known)] == ["deduplicate#2", "deduplicate"]
    (known / "state" / "index" / "deduplicate-old").mkdir()
    assert saved_index(str(known)).name.startswith("deduplicate#2-")
    output = tmp_path / "out"
    ran(recipe, [crawl / "day1.jsonl"], output, f'deduplicate.against=["{known}"]')
    assert refs(output) == {f"day1-{n}": f"day0-{n}" for n in range(15, 20)}


def test_a_run_that_has_not_finished_is_not_compared_with(
    recipe: Path, crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "known"
    ran(recipe, [crawl / "day0.jsonl"], known)
    with monkeypatch.context() as patch:
        stop_after(patch, len(Journal(known / "state" / "journal.jsonl").events) + 3)
        with pytest.raises(KeyboardInterrupt):
            ran(recipe, [crawl], known)
    with pytest.raises(RecipeError, match=r"the run into .* has not finished"):
        ran(recipe, [crawl], tmp_path / "out", f'deduplicate.against=["{known}"]')


def test_a_changed_table_is_named_and_not_followed(recipe: Path, crawl: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    ran(recipe, [crawl / "day0.jsonl"], output)
    (folder,) = (output / "state" / "index").iterdir()
    for path in folder.glob("bands/*.u64"):
        slots = np.fromfile(path, np.uint64)
        np.where(slots == 0, slots, slots | np.uint64(1 << 12)).astype(np.uint64).tofile(path)
    with pytest.raises(OutputMismatchError, match=r"it was changed; remove state/index/"):
        ran(recipe, [crawl], output)


def test_an_id_cannot_pose_as_a_line_of_the_summary(recipe: Path, tmp_path: Path) -> None:
    rows = [{"id": f"a\nALARM{n}\u202e", "text": prose(1, 50)} for n in range(3)]
    (tmp_path / "site.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "out"
    ran(recipe, [tmp_path / "site.jsonl"], output, "deduplicate.alarm_cluster_size=2")
    (alarm,) = read_manifest(output).corpus_stages["deduplicate"]["alarms"]
    assert alarm == {"alarm": r"2 documents were removed as duplicates of a\nALARM0\u202e"}
