"""Documents that kill, hang or eat up a worker: each costs itself and nothing else."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from corpusmill.audit import audit
from corpusmill.run import run
from corpusmill.schemas import RetryableError, StageError
from corpusmill.schemas.inputs import InputSettings
from corpusmill.schemas.recipe import LimitSettings, OutputSettings, Recipe
from corpusmill.stages import Function
from corpusmill.trail import READ, Deaths, Place
from corpusmill.worker_processes import OUT_OF_MEMORY, WorkerDiedError, WorkerProcesses

LIMITS = LimitSettings(document_seconds=1, worker_memory="2GB")


def poisoned(document: dict[str, Any]) -> dict[str, Any]:
    """Do what the text says."""
    deed = document["text"].partition(" ")[0]
    if deed == "exit":
        os._exit(7)
    if deed == "leave":
        raise SystemExit(3)
    if deed == "segfault":
        ctypes.string_at(0)
    if deed == "abort":
        os.abort()
    if deed == "spin":
        while True:
            pass
    if deed == "grow":
        held = []
        while True:
            held.append(bytearray(1 << 24))
    return document


def recipe(**settings: Any) -> Recipe:
    return Recipe(
        stages=(Function(function=poisoned),),
        input=InputSettings(split_size="3kB"),
        output=OutputSettings(validation_share=0),
        limits=LIMITS,
        **settings,
    )


def write(path: Path, deeds: dict[int, str], count: int = 60) -> Path:
    path.mkdir()
    lines = [{"id": f"d{n}", "text": f"{deeds.get(n, 'plain')} text number {n} of many"} for n in range(count)]
    for start in range(0, count, 30):
        path.joinpath(f"{start:03}.jsonl").write_bytes(
            b"".join(msgspec.json.encode(line) + b"\n" for line in lines[start : start + 30])
        )
    return path


def texts(output: Path) -> dict[str, str]:
    rows = [row for path in sorted(output.glob("shards/*.parquet")) for row in pq.read_table(path).to_pylist()]
    return {row["id"]: row["text"] for row in rows}


def quarantined(output: Path) -> dict[str, str]:
    rows = [row for path in sorted(output.glob("quarantine/*.parquet")) for row in pq.read_table(path).to_pylist()]
    return {row["id"]: row["error"] for row in rows}


def test_each_poison_costs_its_own_document(tmp_path: Path) -> None:
    deeds = {3: "exit", 20: "leave", 29: "spin", 40: "grow"}
    output = tmp_path / "out"
    manifest = run(recipe(), [write(tmp_path / "in", deeds)], output, workers=2, executor="processes")
    assert set(texts(output)) == {f"d{n}" for n in range(60)} - {f"d{n}" for n in deeds}
    assert quarantined(output) == {
        "d3": "the worker process ended itself with status 7",
        "d20": "SystemExit: 3",
        "d29": "the worker process died of SIGXCPU (it took more CPU time than limits.document_seconds)",
        "d40": "the worker process needed more memory than limits.worker_memory",
    }
    assert (manifest.documents.documents_in, manifest.documents.kept, manifest.documents.quarantined) == (60, 56, 4)
    assert audit(output).ok


def test_in_the_calling_process_a_document_that_hangs_is_interrupted(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGPROF)
    run(recipe(), [write(tmp_path / "in", {2: "spin", 33: "leave"})], tmp_path / "out", executor="inline")
    assert quarantined(tmp_path / "out") == {"d2": "CpuLimitError: more than 1 CPU seconds", "d33": "SystemExit: 3"}
    assert len(texts(tmp_path / "out")) == 58
    assert signal.getsignal(signal.SIGPROF) == before
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)


def test_a_stage_that_kills_every_worker_ends_the_run() -> None:
    deaths = Deaths("split-000000-0")
    died = WorkerDiedError(-signal.SIGSEGV)
    deaths.add(died, (Place(0, 0), -1), ["normalize_text"])
    for row in range(15):
        deaths.add(died, (Place(0, 0), row), ["normalize_text"])
    assert [culprit.row for culprit in deaths.culprits] == list(range(15))
    with pytest.raises(
        StageError, match="normalize_text killed the worker on every one of the first 16 documents of s"
    ):
        deaths.add(died, (Place(0, 0), 15), ["normalize_text"])


def test_a_stage_that_leaks_ends_the_run_before_documents_are_blamed_for_it() -> None:
    deaths = Deaths("split-000002-0")
    died = WorkerDiedError(OUT_OF_MEMORY)
    for row in (3, 17, 18, 19):  # some are large themselves
        deaths.add(died, (Place(0, 0), row), ["tokenize"])
    with pytest.raises(
        StageError, match=r"tokenize needs more memory with every document: .* 4 documents in a row of split"
    ):
        deaths.add(died, (Place(0, 0), 20), ["tokenize"])


def test_a_death_that_may_come_from_outside_proves_nothing_alone() -> None:
    deaths = Deaths("split")
    killed = WorkerDiedError(-signal.SIGKILL)
    for row in (3, 4, 3, 3, 5):
        deaths.add(killed, (Place(1, 0), row), ["stage"])
    assert deaths.culprits == []
    assert deaths.careful == {Place(1, 0)}
    for _ in range(2):
        deaths.add(killed, (Place(1, 0), 5), ["stage"])
    assert [(culprit.place, culprit.row) for culprit in deaths.culprits] == [(Place(1, 0), 5)]


def test_workers_that_are_killed_again_and_again_end_the_run_with_what_helps() -> None:
    deaths = Deaths("split-000007-0")
    killed = WorkerDiedError(-signal.SIGKILL)
    for row in range(29):
        deaths.add(killed, (Place(0, READ), row), [])
    with pytest.raises(RetryableError, match=r"killed 30 times while they worked on split-000007-0.*fewer --workers"):
        deaths.add(killed, (Place(0, READ), 29), [])
    deaths = Deaths("split-000007-0")
    for _ in range(4):
        deaths.add(killed, None, [])
    with pytest.raises(RetryableError, match=r"5 worker processes died .* before it began with split-000007-0"):
        deaths.add(killed, None, [])


def test_a_death_costs_its_own_job_and_names_its_exit_code() -> None:
    with WorkerProcesses(1, int) as pool:
        jobs = [pool.submit(divmod, 7, 2), pool.submit(os._exit, 9), pool.submit(divmod, 9, 2)]
        assert jobs[0].result() == (3, 1)
        error = jobs[1].exception()
        assert isinstance(error, WorkerDiedError)
        assert error.exit_code == 9
        assert jobs[2].result() == (4, 1)
        assert isinstance(pool.submit(lambda: 1).exception(), Exception)  # cannot be pickled
        assert "cannot be sent" in str(pool.submit(compile, "1", "x", "eval").exception())
        assert isinstance(pool.submit(divmod, 1, 0).exception(), ZeroDivisionError)


def test_stopping_kills_what_runs_and_begins_nothing_more() -> None:
    pool = WorkerProcesses(1, int)
    running, waiting = pool.submit(signal.pause), pool.submit(divmod, 7, 2)
    while not running.running():
        pass
    pool.shutdown(cancel_futures=True)
    assert isinstance(running.exception(), WorkerDiedError | RetryableError)
    assert waiting.cancelled()
