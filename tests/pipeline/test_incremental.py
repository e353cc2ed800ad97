"""Running again over inputs that grew, were touched, changed, vanished, or meet another recipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpusmill.audit import audit
from corpusmill.journal import Journal
from corpusmill.manifest import read_manifest
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from corpusmill.schemas import OutputMismatchError
from corpusmill.schemas.manifest import RunStarted
from corpusmill.stages import NormalizeText
from support import SMALL_STEPS, prose, stop_after


class Said:
    """A progress display that remembers what was said."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **_: self.messages.append(str(arguments[0])) if name == "message" else None


def ran(crawl: Path, output: Path, *changes: str, **options: Any) -> list[str]:
    said = Said()
    settings = ["tokenize.tokenizer=bytes", "output.text=true", *SMALL_STEPS, *changes]
    settings.remove("tokenize.vocabulary_size=400")
    run(load_recipe("minimal", settings), [crawl], output, progress=said, **options)
    return said.messages


def write(path: Path, seeds: range) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"id": f"{path.stem}{n}", "text": prose(n)}) + "\n" for n in seeds))
    return path


def kept(output: Path) -> list[str]:
    return [row["text"] for path in sorted((output / "shards").glob("*")) for row in pq.read_table(path).to_pylist()]


def batches(output: Path) -> int:
    return sum(isinstance(e, RunStarted) for e in Journal(output / "state" / "journal.jsonl").events)


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    for number in range(3):
        write(tmp_path / "crawl" / f"{number}.jsonl", range(number * 10, number * 10 + 10))
    return tmp_path / "crawl"


def test_a_touched_file_is_not_read_again_and_not_hashed_twice(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "out")
    os.utime(crawl / "1.jsonl", ns=(1, 1))
    assert "nothing is new since the last run" in ran(crawl, tmp_path / "out")
    events = len(Journal(tmp_path / "out" / "state" / "journal.jsonl").events)
    assert "nothing is new since the last run" in ran(crawl, tmp_path / "out")
    assert len(Journal(tmp_path / "out" / "state" / "journal.jsonl").events) == events  # the new time was recorded
    assert audit(tmp_path / "out").ok


def test_touched_inputs_of_an_interrupted_run_are_read_on(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(crawl, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            ran(crawl, tmp_path / "out")
    for path in crawl.iterdir():
        os.utime(path, ns=(1, 1))
    ran(crawl, tmp_path / "out")
    assert kept(tmp_path / "out") == kept(tmp_path / "whole")
    assert read_manifest(tmp_path / "out").documents.quarantined == 0


def test_a_file_of_the_same_size_with_other_bytes_is_changed(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "out")
    path = crawl / "1.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"11"', b'"XX"').replace(b"mill", b"MILL"))
    os.utime(path, ns=(1, 1))
    with pytest.raises(
        OutputMismatchError, match=r"1 inputs changed after they were read: 1.jsonl \(other contents in"
    ):
        ran(crawl, tmp_path / "out")


def test_an_accepted_change_adds_what_is_new_in_it(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out" / "shards").iterdir()}
    with (crawl / "1.jsonl").open("a") as file:
        file.write(json.dumps({"id": "late", "text": prose(99)}) + "\n")
    with pytest.raises(OutputMismatchError, match=r"--accept-new-versions to read them again as new inputs"):
        ran(crawl, tmp_path / "out")
    ran(crawl, tmp_path / "out", accept_new_versions=True)
    assert sorted(kept(tmp_path / "out")) == sorted(prose(n) for n in [*range(30), 99])
    assert all((tmp_path / "out" / "shards" / name).read_bytes() == data for name, data in before.items())
    assert "nothing is new since the last run" in ran(crawl, tmp_path / "out")
    assert audit(tmp_path / "out").ok


def test_a_change_in_the_middle_of_a_run_loses_nothing_when_it_is_accepted(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            ran(crawl, tmp_path / "out")
    write(crawl / "2.jsonl", range(20, 33))
    with pytest.raises(OutputMismatchError, match=r"2.jsonl \(9,968 -> 12,948 bytes\)"):
        ran(crawl, tmp_path / "out")
    ran(crawl, tmp_path / "out", accept_new_versions=True)
    assert sorted(kept(tmp_path / "out")) == sorted(prose(n) for n in range(33))
    manifest = read_manifest(tmp_path / "out")
    assert manifest.documents.quarantined == 1  # the version that is gone
    assert audit(tmp_path / "out").ok


GROWING = """
import json, pathlib, sys
from corpusmill import Pipeline

def grow(document):
    path = pathlib.Path(sys.argv[1], "1.jsonl")
    if path.stat().st_size < 100_000:
        path.write_text(path.read_text() * 50)
    return document

Pipeline([grow]).run(sys.argv[1], sys.argv[2])
"""


def test_an_input_that_changes_while_it_is_read_is_put_away_as_a_whole(crawl: Path, tmp_path: Path) -> None:
    script = tmp_path / "growing.py"
    script.write_text(GROWING)
    subprocess.run([sys.executable, script, crawl, tmp_path / "out"], check=True)
    assert sorted(kept(tmp_path / "out")) == sorted(prose(n) for n in [*range(10), *range(20, 30)])
    (path,) = (tmp_path / "out" / "quarantine").iterdir()
    (row,) = pq.read_table(path).to_pylist()
    assert (row["source"], row["stage"]) == ("1.jsonl", "read")
    assert "changed after this run was planned" in row["error"]
    assert audit(tmp_path / "out").ok


def test_removed_inputs_are_named_and_their_documents_stay(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "out")
    (crawl / "0.jsonl").unlink()
    write(crawl / "3.jsonl", range(30, 40))
    assert "1 inputs of earlier runs are gone; their documents stay in the output: 0.jsonl" in ran(
        crawl, tmp_path / "out"
    )
    assert read_manifest(tmp_path / "out").inputs["removed"] == ["0.jsonl"]
    assert sorted(kept(tmp_path / "out")) == sorted(prose(n) for n in range(40))
    assert audit(tmp_path / "out").ok


def test_another_version_of_a_stage_is_accepted_for_what_is_still_to_be_done(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(crawl, tmp_path / "out")
    old = read_manifest(tmp_path / "out").fingerprint
    was, now = NormalizeText.version, NormalizeText.version + 1
    monkeypatch.setattr(NormalizeText, "version", now)
    write(crawl / "3.jsonl", range(30, 40))
    refused = rf"normalize_text: version {was} -> {now}\n.*or --accept-new-versions to go on"
    with pytest.raises(OutputMismatchError, match=refused):
        ran(crawl, tmp_path / "out")
    (accepted,) = (m for m in ran(crawl, tmp_path / "out", accept_new_versions=True) if m.startswith("accepted"))
    assert f"normalize_text: version {was} -> {now}" in accepted
    manifest = read_manifest(tmp_path / "out")
    assert manifest.fingerprint != old
    assert set(manifest.fingerprints) == {old, manifest.fingerprint}
    assert sum(manifest.fingerprints.values()) == sum(run["splits"] for run in manifest.runs)
    assert audit(tmp_path / "out").ok
    assert not any(m.startswith("accepted") for m in ran(crawl, tmp_path / "out"))


def test_what_would_not_fit_together_cannot_be_accepted(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "out")
    with pytest.raises(OutputMismatchError, match=r"(?s)cannot be accepted.*deduplicate.near: False -> True"):
        ran(crawl, tmp_path / "out", "deduplicate.near=true", accept_new_versions=True)
    with pytest.raises(OutputMismatchError, match=r"(?s)cannot be accepted.*output.validation_share: 0.2 -> 0.5"):
        ran(crawl, tmp_path / "out", "output.validation_share=0.5", accept_new_versions=True)
    assert batches(tmp_path / "out") == 1


def test_a_setting_of_a_filter_can_be_accepted(crawl: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "out")
    write(crawl / "3.jsonl", range(30, 40))
    ran(crawl, tmp_path / "out", "normalize_text.keep_tabs=true", accept_new_versions=True)
    assert len(kept(tmp_path / "out")) == 40


@pytest.mark.parametrize("events", [5, 7, 9, 11])
def test_spilled_documents_are_not_trusted_after_the_machine_was_started_anew(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: int
) -> None:
    boot = tmp_path / "boot_id"
    monkeypatch.setattr("corpusmill.output._BOOT_ID", boot)
    ran(crawl, tmp_path / "whole")
    boot.write_text("one")
    synced: set[Path] = set()
    with monkeypatch.context() as patch:
        patch.setattr("corpusmill.scheduler.sync", synced.add)
        stop_after(patch, events)
        with pytest.raises(KeyboardInterrupt):
            ran(crawl, tmp_path / "out")
    for path in (tmp_path / "out" / "state" / "spill").glob("*"):
        if path not in synced:
            path.write_bytes(b"")  # as a file system may leave what was not synced
    boot.write_text("two")
    ran(crawl, tmp_path / "out")
    for path in sorted((tmp_path / "whole" / "shards").iterdir()):
        assert (tmp_path / "out" / "shards" / path.name).read_bytes() == path.read_bytes()
    assert audit(tmp_path / "out").ok
