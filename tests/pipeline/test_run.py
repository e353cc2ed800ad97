"""The main job: nothing lost, the same bytes however it is run, and going on after a crash."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
import pytest

from corpusmill import Drop, Pipeline
from corpusmill.audit import audit
from corpusmill.journal import Journal, OutputLock
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from corpusmill.schemas import LockedError, OutputMismatchError, RecipeError, StageError
from corpusmill.schemas.manifest import SegmentRecord
from support import SMALL_STEPS, prose, stop_after

ShardBytes = Callable[[Path], dict[str, bytes]]


def ran(corpus: Path, output: Path, *changes: str, recipe: str = "minimal", **options: Any) -> Any:
    return run(load_recipe(recipe, [*SMALL_STEPS, *changes]), [corpus], output, **options)


def test_every_document_is_accounted_for(corpus: Path, tmp_path: Path) -> None:
    manifest = ran(corpus, tmp_path / "out")
    documents = manifest.documents
    assert documents.documents_in == documents.kept + documents.dropped + documents.quarantined
    assert documents.quarantined == 2  # the broken line and the cut archive
    assert manifest.stages[2].kind == "deduplicate"
    assert manifest.stages[2].dropped == {"exact_duplicate": 6}
    result = audit(tmp_path / "out")
    assert result.ok, result.problems
    assert result.counted.kept == documents.kept
    rejects = [row for f in sorted((tmp_path / "out" / "rejects").glob("*")) for row in pq.read_table(f).to_pylist()]
    assert {row["id"]: row["ref"] for row in rejects} == {
        "r0-3": "note.txt",  # the note holds the same text and comes first by name
        "r1-0": "note.txt",
        **{f"r{part}-0": f"r{part - 1}-3" for part in range(2, 6)},
    }


def test_rows_decode_to_the_kept_text(corpus: Path, tmp_path: Path) -> None:
    from corpusmill.stages.tokenize import END_OF_TEXT, load_tokenizer

    ran(corpus, tmp_path / "out", "output.text=true")
    tokenizer = load_tokenizer(str(tmp_path / "out" / "tokenizer.json"))
    for path in (tmp_path / "out" / "shards").glob("*"):
        for row in pq.read_table(path).to_pylist():
            assert tokenizer.decode(row["input_ids"], skip_special_tokens=False) == row["text"] + END_OF_TEXT
            assert row["n_tokens"] == len(row["input_ids"])


@pytest.mark.parametrize("recipe", ["minimal", "web"])
def test_workers_and_listing_order_change_nothing(
    corpus: Path, tmp_path: Path, shard_bytes: ShardBytes, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    if recipe == "web":  # its filters would leave nothing of made-up words
        corpus = Path(__file__).parent.parent.parent / "sample_corpus"
    ran(corpus, tmp_path / "one", recipe=recipe)
    ran(corpus, tmp_path / "three", recipe=recipe, workers=3)
    expected = shard_bytes(tmp_path / "one")
    assert shard_bytes(tmp_path / "three") == expected
    walked = []

    def walk(top: Any, **options: Any) -> Any:
        """List a directory in the order that is least like the alphabet."""
        entries = sorted(os.scandir(top), key=lambda entry: entry.name, reverse=True)
        folders = [entry.name for entry in entries if entry.is_dir()]
        walked.append(top)
        yield str(top), folders, [entry.name for entry in entries if not entry.is_dir()]
        for folder in folders:
            yield from walk(Path(top) / folder, **options)

    monkeypatch.setattr(os, "walk", walk)
    ran(corpus, tmp_path / "backwards", recipe=recipe)
    assert shard_bytes(tmp_path / "backwards") == expected
    assert walked


def test_a_run_that_stops_after_any_event_goes_on_to_the_same_bytes(
    corpus: Path, tmp_path: Path, shard_bytes: ShardBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(corpus, tmp_path / "whole")
    expected = shard_bytes(tmp_path / "whole")
    events = len(Journal(tmp_path / "whole" / "state" / "journal.jsonl").events)
    for stop in range(1, events):
        output = tmp_path / f"stopped{stop}"

        with monkeypatch.context() as patch:
            stop_after(patch, stop)
            with pytest.raises(KeyboardInterrupt):
                ran(corpus, output)
        ran(corpus, output)
        assert shard_bytes(output) == expected, f"stopped after event {stop}"
        assert audit(output).ok
        assert not (output / "state" / "spill").exists()


KILLED_AT_SYNC = """
import os, signal, sys
from corpusmill.recipe import load_recipe
from corpusmill.run import run
left, sync = [int(sys.argv[1])], os.fsync
def fsync(file):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    sync(file)
os.fsync = fsync
run(load_recipe("minimal", sys.argv[4:]), [sys.argv[2]], sys.argv[3])
"""


@pytest.mark.parametrize("sync", [1, 2, 3, 8, 21, 40])
def test_a_killed_run_goes_on_to_the_same_bytes(
    corpus: Path, tmp_path: Path, shard_bytes: ShardBytes, sync: int
) -> None:
    ran(corpus, tmp_path / "whole")
    command = [sys.executable, "-c", KILLED_AT_SYNC, str(sync), str(corpus), str(tmp_path / "killed"), *SMALL_STEPS]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    ran(corpus, tmp_path / "killed")
    assert shard_bytes(tmp_path / "killed") == shard_bytes(tmp_path / "whole")
    assert audit(tmp_path / "killed").ok
    assert not list((tmp_path / "killed").rglob("*.part"))


def test_a_torn_last_line_of_the_journal_is_forgotten(corpus: Path, tmp_path: Path, shard_bytes: ShardBytes) -> None:
    ran(corpus, tmp_path / "whole")
    ran(corpus, tmp_path / "torn")
    journal = tmp_path / "torn" / "state" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    ran(corpus, tmp_path / "torn")
    assert shard_bytes(tmp_path / "torn") == shard_bytes(tmp_path / "whole")


def test_running_again_reads_only_what_is_new(corpus: Path, tmp_path: Path, shard_bytes: ShardBytes) -> None:
    first = ran(corpus, tmp_path / "out")
    before = shard_bytes(tmp_path / "out")
    assert ran(corpus, tmp_path / "out").documents == first.documents
    assert shard_bytes(tmp_path / "out") == before
    (corpus / "a_new.jsonl").write_text(
        "".join(json.dumps({"id": f"n{n}", "text": prose(n * 900 + 3)}) + "\n" for n in range(4))
    )
    second = ran(corpus, tmp_path / "out")
    after = shard_bytes(tmp_path / "out")
    assert {name: data for name, data in after.items() if name in before} == before
    assert len(after) > len(before)
    assert second.documents.documents_in == first.documents.documents_in + 4
    assert second.documents.dropped == first.documents.dropped + 1  # the first of the four was kept by the first run
    assert audit(tmp_path / "out").ok


def test_changed_inputs_and_recipes_are_refused_with_the_difference(corpus: Path, tmp_path: Path) -> None:
    ran(corpus, tmp_path / "out")
    with pytest.raises(OutputMismatchError, match=r"deduplicate.near: False -> True"):
        ran(corpus, tmp_path / "out", "deduplicate.near=true")
    (corpus / "part1.jsonl").write_text('{"id": "x", "text": "changed"}\n')
    with pytest.raises(OutputMismatchError, match=r"1 inputs changed after they were read: part1.jsonl"):
        ran(corpus, tmp_path / "out")
    manifest = ran(corpus, tmp_path / "out", "deduplicate.near=true", restart=True)
    assert manifest.recipe["stage"][2]["near"] is True
    assert audit(tmp_path / "out").ok


def test_two_runs_do_not_write_to_one_output(corpus: Path, tmp_path: Path) -> None:
    with (
        OutputLock(tmp_path / "out" / "state" / "lock"),
        pytest.raises(LockedError, match=rf"process {os.getpid()} on"),
    ):
        ran(corpus, tmp_path / "out")


def test_other_peoples_files_are_not_written_over(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is not empty and was not written by corpusmill"):
        ran(corpus, corpus)
    with pytest.raises(RecipeError, match="is not empty"):
        ran(corpus, corpus, restart=True)
    assert (corpus / "note.txt").exists()


def fails_on_the_note(document: dict[str, Any]) -> dict[str, Any] | Drop:
    if document["id"] == "note.txt":
        raise RuntimeError("cannot take this one")
    return document


def always_fails(document: dict[str, Any]) -> dict[str, Any]:
    raise ImportError("no module named model")


def with_function(function: Any) -> Any:
    recipe = load_recipe("minimal", SMALL_STEPS)
    return Pipeline([*recipe.stages[:2], function, *recipe.stages[2:]])


def test_a_document_that_crashes_a_stage_is_put_away_alone(corpus: Path, tmp_path: Path) -> None:
    manifest = with_function(fails_on_the_note).run(corpus, tmp_path / "out")
    assert manifest.documents.quarantined == 3
    rows = [row for f in (tmp_path / "out" / "quarantine").glob("*") for row in pq.read_table(f).to_pylist()]
    (row,) = [row for row in rows if row["stage"] != "read"]
    assert row == {
        "id": "note.txt",
        "source": "note.txt",
        "offset": None,
        "stage": "function",
        "error": "RuntimeError: cannot take this one",
    }
    assert audit(tmp_path / "out").ok


def test_a_stage_that_fails_on_everything_stops_the_run_with_the_cause(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(
        StageError,
        match=r"failed on every one of \d+ documents, the first time with ImportError: no module named model",
    ):
        with_function(always_fails).run(corpus, tmp_path / "out")


def test_an_audit_sees_what_was_changed(corpus: Path, tmp_path: Path) -> None:
    ran(corpus, tmp_path / "out")
    shard = tmp_path / "out" / "shards" / "train-00000.parquet"
    data = shard.read_bytes()
    shard.write_bytes(data[:-1] + b"x")
    assert any("train-00000.parquet was changed" in problem for problem in audit(tmp_path / "out").problems)
    shard.unlink()
    assert any("train-00000.parquet is missing" in problem for problem in audit(tmp_path / "out").problems)
    shard.write_bytes(data)
    (tmp_path / "out" / "shards" / "train-99999.parquet").write_bytes(data)
    assert any("train-99999.parquet is not in the manifest" in problem for problem in audit(tmp_path / "out").problems)


def test_an_audit_sees_a_lost_document(corpus: Path, tmp_path: Path) -> None:
    ran(corpus, tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.json"
    table = json.loads(manifest.read_text())
    table["documents"]["in"] += 1
    manifest.write_text(json.dumps(table))
    assert audit(tmp_path / "out").problems == ["manifest.json: documents is not what the journal says"]


@pytest.mark.parametrize("strategy", ["concatenate", "best_fit"])
def test_packed_shards_hold_every_document(
    corpus: Path, tmp_path: Path, strategy: Literal["concatenate", "best_fit"]
) -> None:
    recipe = load_recipe("minimal", SMALL_STEPS)
    from corpusmill.schemas.recipe import Recipe
    from corpusmill.stages import Pack

    packed = Recipe(
        output=recipe.output, input=recipe.input, stages=(*recipe.stages, Pack(sequence_length=64, strategy=strategy))
    )
    manifest = run(packed, [corpus], tmp_path / "packed")
    plain = run(recipe, [corpus], tmp_path / "plain")
    assert manifest.documents == plain.documents
    assert manifest.tokens == plain.tokens
    assert audit(tmp_path / "packed").ok
    assert {s.path for s in manifest.shards} == {s.path for s in plain.shards}
    for shard in manifest.shards:
        table = pq.read_table(tmp_path / "packed" / shard.path)
        assert shard.padding == 64 * table.num_rows - sum(table["n_tokens"].to_pylist())


def test_without_a_tokenizer_shards_hold_text(corpus: Path, tmp_path: Path) -> None:
    recipe = load_recipe("minimal", SMALL_STEPS)
    manifest = Pipeline(recipe.stages[:2]).run(corpus, tmp_path / "out")
    assert pq.read_schema(tmp_path / "out" / manifest.shards[0].path).names == ["id", "url", "source", "text"]
    assert manifest.tokenizer is None
    assert audit(tmp_path / "out").ok


def test_a_later_run_uses_the_tokenizer_of_the_first(corpus: Path, tmp_path: Path) -> None:
    ran(corpus, tmp_path / "out")
    tokenizer = (tmp_path / "out" / "tokenizer.json").read_bytes()
    (corpus / "later.jsonl").write_text(json.dumps({"text": prose(7777)}) + "\n")
    ran(corpus, tmp_path / "out")
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == tokenizer
    again = ran(corpus, tmp_path / "given", f"tokenize.tokenizer={tmp_path / 'out' / 'tokenizer.json'}")
    assert again.tokenizer["sha256"] == hashlib.sha256((tmp_path / "given" / "tokenizer.json").read_bytes()).hexdigest()
    assert again.tokenizer["vocabulary_size"] <= 400


def test_nothing_to_read_is_an_error_that_says_what_was_skipped(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(RecipeError, match=r"there is nothing to read in .*: 1 files were skipped"):
        ran(tmp_path / "empty", tmp_path / "out")


def test_validation_documents_do_not_change_as_the_corpus_grows(corpus: Path, tmp_path: Path) -> None:
    def subsets(output: Path) -> dict[str, str]:
        paths = (output / "shards").glob("*")
        return {id_: path.name.split("-")[0] for path in paths for id_ in pq.read_table(path)["id"].to_pylist()}

    ran(corpus, tmp_path / "out")
    before = subsets(tmp_path / "out")
    assert set(before.values()) == {"train", "validation"}
    (corpus / "more.jsonl").write_text("".join(json.dumps({"text": prose(5000 + n)}) + "\n" for n in range(20)))
    ran(corpus, tmp_path / "out")
    after = subsets(tmp_path / "out")
    assert {id_: subset for id_, subset in after.items() if id_ in before} == before


def test_signals_are_written_once_for_every_judged_document(corpus: Path, tmp_path: Path) -> None:
    manifest = ran(corpus, tmp_path / "out", recipe="web")
    ids = [id_ for f in (tmp_path / "out" / "signals").glob("*") for id_ in pq.read_table(f)["id"].to_pylist()]
    assert len(ids) == len(set(ids)) == manifest.documents.kept + manifest.documents.dropped


def test_records_name_only_files_that_exist(corpus: Path, tmp_path: Path) -> None:
    ran(corpus, tmp_path / "out")
    for event in Journal(tmp_path / "out" / "state" / "journal.jsonl").events:
        if isinstance(event, SegmentRecord):
            assert all((tmp_path / "out" / file.path).exists() for file in event.files)
            assert event.sketches is None or (tmp_path / "out" / event.sketches.path).exists()


def test_a_sample_is_chosen_by_the_ids_and_the_seed(corpus: Path, tmp_path: Path) -> None:
    def sample(*changes: str) -> tuple[set[str], int]:
        output = tmp_path / "-".join(["out", *changes])
        manifest = ran(corpus, output, "tokenize.tokenizer=bytes", *changes)
        left = manifest.inputs["skipped_records"].get("not in the sample", 0)
        rows = [row for path in (output / "signals").glob("*") for row in pq.read_table(path).to_pylist()]
        return {row["id"] for row in rows}, manifest.documents.documents_in + left

    everything, count = sample()
    half = sample("input.sample_share=0.5")
    assert sample("input.sample_share=0.1")[0] < half[0] < everything
    assert sample("input.sample_share=0.5", "input.split_size=1MB") == half == (half[0], count)
    assert sample("input.sample_share=0.5", "seed=1")[0] != half[0]
