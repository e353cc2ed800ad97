"""The metrics file: what it says after each kind of end, and that it never ends a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from corpusmill.cli import cli
from corpusmill.journal import Journal
from corpusmill.log import Level, Log
from corpusmill.metrics import MetricsFile
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from corpusmill.schemas import LockedError, RecipeError
from corpusmill.schemas.manifest import Manifest, SegmentRecord, StageCounts
from support import SMALL_STEPS, stop_after

Samples = dict[tuple[str, ...], float]


def read(path: Path, output: Path) -> Samples:
    """The samples by name and by the values of their labels, which are all of *output*."""
    found = {}
    for family in text_string_to_metric_families(path.read_text("utf-8")):
        assert family.documentation
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("output") == str(output)
            key = (sample.name.removeprefix("corpusmill_"), *[labels[name] for name in sorted(labels)])
            found[key] = sample.value
    return found


class Job:
    """A scheduled run over a corpus, with a metrics file."""

    def __init__(self, corpus: Path, now: float = 1e9) -> None:
        self.corpus, self.now = corpus, now
        self.output = corpus.parent / "out"
        self.path = corpus.parent / "job.prom"
        self.warnings: list[str] = []

    def file(self) -> MetricsFile:
        return MetricsFile(self.path, self.output, self._warn, clock=lambda: self.now, main_memory=lambda: 7)

    def _warn(self, text: str, level: Level) -> None:
        self.warnings.append(f"{level}: {text}")

    def run(self) -> Manifest:
        recipe = load_recipe("minimal", SMALL_STEPS)
        metrics = self.file()
        manifest = run(recipe, [self.corpus], self.output, progress=metrics)
        metrics.finish(None, 0)
        return manifest

    def samples(self) -> Samples:
        return read(self.path, self.output)


@pytest.fixture
def job(corpus: Path) -> Job:
    return Job(corpus)


def account(manifest: Manifest, prefix: str, total: str) -> Samples:
    documents = manifest.documents
    told: dict[tuple[str, ...], float] = {
        (f"{prefix}documents_in{total}",): documents.documents_in,
        (f"{prefix}documents_kept{total}",): documents.kept,
        (f"{prefix}documents_quarantined{total}",): documents.quarantined,
        (f"{prefix}tokens{total}",): manifest.tokens,
        (f"{prefix}input_bytes{total}",): manifest.inputs["bytes"],
    }
    for stage in manifest.stages:
        for reason, count in stage.dropped.items():
            told[f"{prefix}documents_dropped{total}", reason, stage.kind] = count
    return told


def test_the_file_says_what_the_manifest_says(job: Job) -> None:
    manifest = job.run()
    samples = job.samples()
    expected = {**account(manifest, "", "_total"), **account(manifest, "run_", "")}
    assert {key: samples.get(key) for key in expected} == expected
    assert any(key[0] == "run_documents_dropped" for key in expected)
    assert samples["run_exit_code",] == samples["run_running",] == 0
    assert samples["last_success_timestamp_seconds",] == 1e9
    assert samples["batch_splits_done",] == samples["batch_splits_planned",] > 1
    assert samples["batch_done_bytes",] == samples["batch_input_bytes",] == manifest.inputs["bytes"]
    assert samples["run_peak_memory_bytes", "main"] == 7
    assert samples["run_peak_memory_bytes", "worker"] > 1e6
    assert ("stage_cpu_seconds_total", "deduplicate") in samples


def test_nothing_new_is_a_success_and_a_failure_keeps_the_last_one(job: Job) -> None:
    manifest = job.run()
    job.now = 2e9
    job.run()
    samples = job.samples()
    assert samples["last_success_timestamp_seconds",] == 2e9
    assert samples["documents_in_total",] == manifest.documents.documents_in
    assert samples["run_documents_in",] == 0
    job.now = 3e9
    job.file().finish(RecipeError("no such input"), 2)  # it did not come as far as to begin
    samples = job.samples()
    assert samples["last_success_timestamp_seconds",] == 2e9
    assert samples["run_exit_code",] == 2
    assert samples["documents_in_total",] == manifest.documents.documents_in
    job.path.unlink()
    job.file().finish(RecipeError("no such input"), 2)
    finished = manifest.runs[0]["finished"]
    assert finished.startswith("20")
    assert 0 < job.samples()["last_success_timestamp_seconds",] < 2e9  # from the journal


def test_a_run_that_is_under_way(job: Job) -> None:
    job.run()
    job.file().finish(RecipeError("broken"), 2)
    metrics = job.file()
    metrics.begin(Journal(job.output / "state" / "journal.jsonl"))
    job.now += 61
    metrics.write()
    samples = job.samples()
    assert (samples["run_running",], samples["run_exit_code",]) == (1, 2)
    assert samples["run_duration_seconds",] == 61
    metrics.finish(None, 0)
    assert job.samples()["run_running",] == 0


def test_a_refused_second_run_leaves_the_file_to_the_first(job: Job) -> None:
    job.run()
    before = job.path.read_bytes()
    job.now += 5
    job.file().finish(LockedError("another run"), 3)
    assert job.path.read_bytes() == before


def test_a_file_that_cannot_be_written_is_refused_before_the_work(job: Job) -> None:
    for path, message in [
        (job.corpus.parent / "nowhere" / "job.prom", "No such file or directory"),
        (job.corpus, "is a directory"),
        (job.corpus / "note.txt" / "job.prom", "Not a directory"),
        (job.output / "job.prom", "lies in the output"),
    ]:
        job.path = path
        with pytest.raises(RecipeError, match=message):
            job.file()
    assert not job.output.exists()


def test_a_write_that_fails_later_is_a_warning(job: Job) -> None:
    folder = job.corpus.parent / "metrics"
    folder.mkdir()
    job.path = folder / "job.prom"
    metrics = job.file()
    folder.rmdir()
    metrics.write()
    metrics.write()
    assert len(job.warnings) == 1
    assert job.warnings[0].startswith(f"warning: metrics cannot be written to {job.path}: No such file or directory")
    folder.mkdir()
    metrics.finish(None, 0)
    assert job.samples()["run_exit_code",] == 0
    assert [path.name for path in folder.iterdir()] == ["job.prom"]


def test_names_from_stages_are_escaped(job: Job) -> None:
    metrics = job.file()
    reason = 'a "quoted"\nreason \\ {x="y"}'
    stages = [StageCounts(kind="function", documents_in=1, dropped={reason: 1})]
    standing: Any = None
    metrics.update(SegmentRecord(split=0, segment=0, read=1, stages=stages), standing)
    metrics.write()
    assert job.samples()["run_documents_dropped", reason, "function"] == 1


def test_the_command_writes_it_however_it_ends(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    steps = [part for change in SMALL_STEPS for part in ("--set", change)]
    arguments = ["-r", "minimal", "-w", "1", *steps, "--metrics", str(job.path), "--log-format", "json"]

    def ended(*more: str) -> tuple[Samples, int]:
        result = CliRunner().invoke(cli, ["run", *more, *arguments], obj=Log())
        return job.samples(), result.exit_code

    inputs = (str(job.corpus), str(job.output))
    with monkeypatch.context() as patch:
        stop_after(patch, 8)
        with pytest.raises(click.Abort):
            cli.main(["run", *inputs, *arguments], standalone_mode=False, obj=Log())
    assert all("time" in json.loads(line) for line in capsys.readouterr().err.splitlines())
    samples = job.samples()
    assert samples["run_exit_code",] == 130
    assert samples["last_success_timestamp_seconds",] == 0
    assert samples["documents_in_total",] > 0
    samples, _ = ended(str(job.corpus / "nowhere"), str(job.output))
    assert samples["run_exit_code",] == 2
    samples, code = ended(*inputs, "--max-quarantined", "0")
    assert (code, samples["run_exit_code",]) == (1, 1)
    assert samples["last_success_timestamp_seconds",] > 0  # all is taken in; the exit code says what is wrong with it
    samples, code = ended(*inputs)
    assert (code, samples["run_exit_code",]) == (0, 0)
