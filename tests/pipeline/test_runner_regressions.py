"""Ways in which a run once hung, lost, doubled or blamed the wrong document; each is one test."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpusmill import planning, read_json_lines, worker, worker_processes
from corpusmill.audit import audit
from corpusmill.journal import Event, Journal
from corpusmill.limits import in_worker
from corpusmill.run import run
from corpusmill.schemas import Drop, OutputMismatchError, RecipeError, RetryableError, StageError
from corpusmill.schemas.inputs import InputSettings
from corpusmill.schemas.manifest import RunStarted, SegmentRecord, ShardRecord, SplitPlanned
from corpusmill.schemas.recipe import LimitSettings, OutputSettings, Recipe
from corpusmill.stages import Deduplicate, DocumentStage, Function, NormalizeText, known_stages, signature
from corpusmill.worker_processes import WorkerProcesses
from support import stop_after

QUICK = LimitSettings(document_seconds=0.2)
LIMITS = LimitSettings()
OUTPUT = OutputSettings(validation_share=0)


def recipe(*stages: Any, split: str = "3kB", output: OutputSettings = OUTPUT, limits: LimitSettings = LIMITS) -> Recipe:
    """Return a recipe of stages and functions."""
    made = tuple(stage if hasattr(stage, "kind") else Function(function=stage) for stage in stages)
    return Recipe(stages=made, input=InputSettings(split_size=split), output=output, limits=limits)


def write(path: Path, ids: list[str], padding: int = 200) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"id": i, "text": f"text {i} {'x' * padding}"}) + "\n" for i in ids))
    return path


def rows(output: Path, folder: str = "shards") -> list[dict[str, Any]]:
    return [row for path in sorted((output / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def ids(output: Path, folder: str = "shards") -> list[str]:
    return [row["id"] for row in rows(output, folder)]


def events(output: Path, kind: type[Any]) -> list[Any]:
    return [event for event in Journal(output / "state" / "journal.jsonl").events if isinstance(event, kind)]


def interrupted(
    patch: pytest.MonkeyPatch, when: Callable[[list[Event], Event], bool], *arguments: Any, **options: Any
) -> None:
    """Run until *when*, given the events so far and the next one, says so: that one is recorded, then the run is killed."""
    append = Journal.append

    def stopping(self: Journal, event: Event) -> None:
        stop = when(self.events, event)
        append(self, event)
        if stop:
            raise KeyboardInterrupt

    with patch.context() as inner:
        inner.setattr(Journal, "append", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(*arguments, **options)


def count(seen: list[Event], kind: type[Any]) -> int:
    return sum(isinstance(event, kind) for event in seen)


def as_it_is(document: dict[str, Any]) -> dict[str, Any]:
    return document


def retryable(*_: Any) -> None:
    raise RetryableError("the model cannot be read now")


def test_a_job_that_asks_for_another_attempt_ends_the_run(tmp_path: Path) -> None:
    pool = WorkerProcesses(1, int)
    error = pool.submit(retryable).exception(timeout=60)
    pool.shutdown(wait=False, cancel_futures=True)
    assert isinstance(error, RetryableError)
    write(tmp_path / "in" / "a.jsonl", ["a"])
    with pytest.raises(RetryableError, match="the model cannot be read now"):
        run(recipe(retryable), [tmp_path / "in"], tmp_path / "out", executor="processes")


def test_processes_that_cannot_be_started_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(worker_processes._Process, "__init__", failing)
    pool = WorkerProcesses(2, int)
    error = pool.submit(divmod, 7, 2).exception(timeout=60)
    pool.shutdown(wait=False, cancel_futures=True)
    assert isinstance(error, BlockingIOError)
    write(tmp_path / "in" / "a.jsonl", ["a"])
    with pytest.raises(BlockingIOError):
        run(recipe(as_it_is), [tmp_path / "in"], tmp_path / "out", workers=2)


def test_what_is_behind_a_touch_in_the_middle_of_a_run_is_not_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    every = [f"b{n}" for n in range(60)]
    write(source / "big.jsonl", every, 500)
    job = recipe(Deduplicate(near=False)), [source], output
    interrupted(monkeypatch, lambda seen, event: count([*seen, event], SegmentRecord) == 3, *job)
    planned = len(events(output, SplitPlanned))

    def rest_is_planned(seen: list[Event], event: Event) -> bool:
        return isinstance(event, SplitPlanned) and count(seen, SplitPlanned) == planned

    with monkeypatch.context() as patch:
        # As if the file were touched after the files were found and before the plan goes on.
        patch.setattr(planning, "is_changed", lambda file: True)
        interrupted(patch, rest_is_planned, *job)
    os.utime(source / "big.jsonl", ns=(1, 1))
    assert events(output, SplitPlanned)[-1].parts[0].start  # not the whole file
    run(*job)
    kept = ids(output)
    assert kept == every[: len(kept)]
    assert [row["source"] for row in rows(output, "quarantine")] == ["big.jsonl"]
    assert audit(output).ok
    with pytest.raises(OutputMismatchError, match=r"big\.jsonl"):
        run(*job)
    run(*job, accept_new_versions=True)
    assert ids(output) == every
    assert audit(output).ok


def test_ranges_that_were_cut_out_of_other_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    path = write(source / "big.jsonl", [f"b{n:03}" for n in range(60)], 500)
    append = Journal.append

    def stopping(self: Journal, event: Event) -> None:
        if isinstance(event, SegmentRecord) and event.split == 1:
            raise KeyboardInterrupt  # it is planned, and nothing else is known of it
        append(self, event)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", stopping)
        with pytest.raises(KeyboardInterrupt):
            run(recipe(as_it_is), [source], output)
    planned = events(output, SplitPlanned)
    assert [record.split for record in events(output, SegmentRecord)] == [0]
    assert len(planned) > 1
    size, read = path.stat().st_size, planned[0].parts[0].stop
    other = path.read_bytes()[:read]
    while len(other) < size - 1000:
        other += json.dumps({"id": f"n{len(other)}", "text": "y" * (700 + len(other) % 90)}).encode() + b"\n"
    other += b'{"id": "last", "text": "' + b"z" * (size - len(other) - 27) + b'"}\n'
    assert len(other) == size
    path.write_bytes(other)
    os.utime(path, ns=(1, 1))
    with pytest.raises(
        OutputMismatchError, match=r"1 inputs changed after they were read: big\.jsonl \(other contents"
    ):
        run(recipe(as_it_is), [source], output)


def shard_files(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (output / "shards").iterdir()}


@pytest.mark.parametrize(("trains", "accepted"), [(1, False), (2, False), (3, False), (2, True)])
def test_a_machine_started_anew_neither_loses_nor_doubles_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trains: int, accepted: bool
) -> None:
    source, output, boot = tmp_path / "in", tmp_path / "out", tmp_path / "boot_id"
    for file in range(6):
        write(source / f"{file}.jsonl", [f"{file}-{n}" for n in range(12)])
    settings = recipe(NormalizeText(), split="2kB", output=OutputSettings(validation_share=0.2, shard_tokens=2000))
    monkeypatch.setattr("corpusmill.output._BOOT_ID", boot)
    run(settings, [source], tmp_path / "whole")
    boot.write_text("one")
    synced: set[Path] = set()
    with monkeypatch.context() as patch:
        patch.setattr("corpusmill.scheduler.sync", synced.add)
        interrupted(
            patch,
            lambda seen, event: isinstance(event, ShardRecord) and count(seen, ShardRecord) == trains - 1,
            *(settings, [source], output),
        )
    written = events(output, ShardRecord)
    covered = {s: max((e.splits[1] for e in written if e.subset == s), default=-1) for s in ("train", "validation")}
    assert any(  # rows for validation wait, whose split is in a train shard
        covered["validation"] < record.split <= covered["train"] and "validation" in record.subsets
        for record in events(output, SegmentRecord)
    )
    for path in (output / "state" / "spill").glob("*"):
        if path not in synced:
            path.write_bytes(b"")  # as a file system may leave what was not synced
    boot.write_text("two")
    if not accepted:
        run(settings, [source], output)
        assert shard_files(output) == shard_files(tmp_path / "whole")
        assert audit(output).ok
        return
    for file in (0, 1):
        write(source / f"{file}.jsonl", [f"{file}-{n}" for n in range(13)])
    run(settings, [source], output, accept_new_versions=True)
    kept = ids(output)
    assert sorted(i for i in kept if i[0] not in "01") == sorted(
        f"{file}-{n}" for file in range(2, 6) for n in range(12)
    )
    assert {i for i in kept if i[0] in "01"} == {f"{file}-{n}" for file in range(2) for n in range(13)}
    assert audit(output).ok


class Wobbly(DocumentStage, frozen=True, kw_only=True):
    """Drops every second document when its model is there."""

    rewrites = ()
    reasons = frozenset({"odd"})

    def apply(self, document: Any) -> Any:
        if not MODEL:
            raise ValueError("no model")
        return Drop("odd") if int(document.id[-1]) % 2 else document


MODEL: list[str] = []


def test_a_broken_stage_takes_back_only_what_it_put_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    every = {f"{file}-{n}" for file in range(8) for n in range(7)}
    for file in range(8):
        write(source / f"{file}.jsonl", [f"{file}-{n}" for n in range(7)])
    monkeypatch.setattr("corpusmill.output.known_stages", lambda: {**known_stages(), "wobbly": Wobbly})
    monkeypatch.setattr(f"{__name__}.MODEL", [])
    settings = OutputSettings(validation_share=0, shard_tokens=3000)
    before = recipe(NormalizeText(), split="2kB", output=settings)
    after = recipe(NormalizeText(), Wobbly(), split="2kB", output=settings)

    def one_is_done_behind_a_shard(seen: list[Event], event: Event) -> bool:
        return isinstance(event, SegmentRecord) and count(seen, ShardRecord) == 1

    interrupted(monkeypatch, one_is_done_behind_a_shard, before, [source], output)
    done = events(output, SegmentRecord)
    (shard,) = events(output, ShardRecord)
    assert max(record.split for record in done) > shard.splits[1]
    with pytest.raises(StageError, match=r"wobbly failed on every one of .* ValueError: no model"):
        run(after, [source], output, accept_new_versions=True)
    assert events(output, SegmentRecord) == done
    assert events(output, ShardRecord) == [shard]
    MODEL.append("here")
    manifest = run(after, [source], output)
    kept, rejected = ids(output), ids(output, "rejects")
    assert sorted(kept + rejected) == sorted(every)
    assert rejected
    assert manifest.documents.quarantined == 0
    assert audit(output).ok


def test_a_broken_deduplicator_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    for file in range(4):
        write(source / f"{file}.jsonl", [f"{file}-{n}" for n in range(10)])

    whole = signature.content_hashes

    def broken(texts: Any) -> Any:
        if texts.to_pylist() in ([], ["a"]):  # what the stage tries before anything is read
            return whole(texts)
        raise OSError("xxhash is broken")

    with monkeypatch.context() as patch:
        patch.setattr(signature, "content_hashes", broken)
        with pytest.raises(StageError, match=r"deduplicate failed on every one of .* OSError: xxhash is broken"):
            run(recipe(Deduplicate(near=False)), [source], output)
    run(recipe(Deduplicate(near=False)), [source], output)
    assert ids(output) == [f"{file}-{n}" for file in range(4) for n in range(10)]
    assert audit(output).ok


HELD: list[bytearray] = []


def leaking(document: dict[str, Any]) -> dict[str, Any]:
    HELD.append(bytearray(40_000_000))
    return document


def test_what_a_stage_leaks_is_no_fault_of_the_documents_that_follow(tmp_path: Path) -> None:
    for file in range(7):
        write(tmp_path / "in" / f"{file}.jsonl", [f"{file}-{n}" for n in range(4)])
    limits = LimitSettings(worker_memory="1GB")  # reached by all documents together, by no split alone
    run(recipe(leaking, split="1kB", limits=limits), [tmp_path / "in"], tmp_path / "out", executor="processes")
    assert rows(tmp_path / "out", "quarantine") == []
    assert ids(tmp_path / "out") == [f"{file}-{n}" for file in range(7) for n in range(4)]


def burn(seconds: float) -> None:
    """Take CPU time."""
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass


class SlowToOpen(DocumentStage, frozen=True, kw_only=True):
    """Loads for longer than a document may take."""

    rewrites = ()

    def open(self) -> Any:
        # A worker is given whole seconds and one more. Where nothing counts there, nothing would come of waiting for it.
        counted = in_worker() and resource.getrlimit(resource.RLIMIT_CPU)[0] != resource.RLIM_INFINITY
        burn(3 if counted else 0.4)
        return super().open()

    def apply(self, document: Any) -> Any:
        return document


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_the_time_that_a_stage_takes_to_open_is_no_documents(tmp_path: Path, executor: str) -> None:
    write(tmp_path / "in" / "a.jsonl", ["0", "1", "2"])
    run(recipe(SlowToOpen(), limits=QUICK), [tmp_path / "in"], tmp_path / "out", executor=executor)
    assert ids(tmp_path / "out") == ["0", "1", "2"]


class Unopened(DocumentStage, frozen=True, kw_only=True):
    """Cannot be opened, or notes where it was."""

    note: str
    how: str = "open"

    def open(self) -> Any:
        if self.how == "raise":
            raise RecipeError("unopened.note: there is no such thing; give another")
        if self.how == "end":
            os._exit(7)
        with Path(self.note).open("a") as file:
            print(os.getpid(), file=file)
        opened = len(Path(self.note).read_text().split())
        if self.how == "killed" or (self.how == "killed once" and opened == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().open()

    def apply(self, document: Any) -> Any:
        return document


class Modelled(DocumentStage, frozen=True, kw_only=True):
    """Cannot be opened without a file, of which the recipe knows nothing but the name."""

    model: str

    def open(self) -> Any:
        Path(self.model).read_text()
        return super().open()

    def apply(self, document: Any) -> Any:
        return document


def test_stages_are_opened_where_they_work_and_only_if_something_is_new(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.jsonl", ["0", "1", "2"])
    job = recipe(Unopened(note=str(tmp_path / "note")))
    for _ in range(2):  # the second has nothing to do
        run(job, [tmp_path / "in"], tmp_path / "out", workers=2)
        (opened,) = (tmp_path / "note").read_text().split()
        assert int(opened) != os.getpid()
    write(tmp_path / "in" / "b.jsonl", ["3"])
    run(job, [tmp_path / "in"], tmp_path / "out", workers=2)
    assert len((tmp_path / "note").read_text().split()) == 2
    run(job, [tmp_path / "in"], tmp_path / "other", executor="inline")
    assert (tmp_path / "note").read_text().split()[2:] == [str(os.getpid())]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", "unopened.note: there is no such thing; give another"),
        ("end", "the stages cannot be opened: the worker process ended itself with status 7"),
    ],
)
def test_what_cannot_be_opened_is_said_before_anything_is_read(tmp_path: Path, how: str, message: str) -> None:
    write(tmp_path / "in" / "a.jsonl", ["0", "1", "2"])
    with pytest.raises(RecipeError, match=message):
        run(recipe(Unopened(note="", how=how)), [tmp_path / "in"], tmp_path / "out", workers=2)
    assert not (tmp_path / "out").exists()


def test_a_worker_that_is_killed_while_it_opens_stages_is_replaced(tmp_path: Path) -> None:
    note = tmp_path / "note"
    write(tmp_path / "in" / "a.jsonl", ["0", "1", "2"])
    run(recipe(Unopened(note=str(note), how="killed once")), [tmp_path / "in"], tmp_path / "out", workers=2)
    assert ids(tmp_path / "out") == ["0", "1", "2"]
    assert len(set(note.read_text().split())) == 2
    with pytest.raises(RetryableError, match=r"5 workers were killed while they opened the stages.*SIGKILL"):
        run(recipe(Unopened(note=str(note), how="killed")), [tmp_path / "in"], tmp_path / "other", workers=2)
    assert not (tmp_path / "other").exists()


def test_a_run_goes_on_when_the_stages_of_a_recorded_batch_can_be_opened_again(tmp_path: Path) -> None:
    model = write(tmp_path / "model", ["a"])
    job = recipe(Modelled(model=str(model))), [tmp_path / "in"], tmp_path / "out"
    write(tmp_path / "in" / "a.jsonl", ["0", "1", "2"])
    run(*job, workers=2)
    write(tmp_path / "in" / "b.jsonl", ["3"])
    model.rename(tmp_path / "away")
    for workers in (2, 1):
        with pytest.raises(FileNotFoundError):
            run(*job, workers=workers)
    assert [len(run.files) for run in events(tmp_path / "out", RunStarted)] == [1, 1]
    (tmp_path / "away").rename(model)
    run(*job, workers=2)
    assert ids(tmp_path / "out") == ["0", "1", "2", "3"]
    assert audit(tmp_path / "out").ok


class UnspeakableError(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("cannot say")


def unspeakable(document: dict[str, Any]) -> dict[str, Any]:
    if document["id"] == "5":
        raise ValueError("half a character: \ud800")
    if document["id"] == "7":
        raise UnspeakableError
    return document


def test_errors_whose_words_cannot_be_written_cost_their_document(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.jsonl", [str(n) for n in range(10)])
    run(recipe(unspeakable), [tmp_path / "in"], tmp_path / "out")
    assert ids(tmp_path / "out") == [str(n) for n in range(10) if n not in {5, 7}]
    five, seven = rows(tmp_path / "out", "quarantine")
    assert (five["id"], seven["id"], seven["error"]) == ("5", "7", "UnspeakableError")
    assert five["error"].startswith("ValueError: half a character: ")


def test_a_touched_new_version_does_not_move_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    path = write(source / "big.jsonl", [f"a{n:02}" for n in range(60)], 500)
    job = recipe(as_it_is), [source], output
    interrupted(monkeypatch, lambda seen, event: count([*seen, event], SegmentRecord) == 2, *job)
    read = sum(record.read for record in events(output, SegmentRecord))
    path.write_text(path.read_text().replace('"a', '"b'))
    os.utime(path, ns=(1, 1))
    interrupted(monkeypatch, lambda _, event: isinstance(event, RunStarted), *job, accept_new_versions=True)
    os.utime(path, ns=(2, 2))
    run(*job)
    assert ids(output) == [f"a{n:02}" for n in range(read)] + [f"b{n:02}" for n in range(60)]
    assert {row["source"] for row in rows(output, "quarantine")} == {
        "big.jsonl"
    }  # the rest of the version that is gone
    assert audit(output).ok


def dying_once(job: Any) -> Any:
    """Die at the first job before it has begun, as a library may that crashes when it is loaded."""
    flag = Path(job.output).with_name("died")
    if not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    return worker.run_segment(job)


def test_the_trail_of_a_killed_run_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in" / "a.jsonl", [str(n) for n in range(20)])
    job = recipe(as_it_is), [tmp_path / "in"], tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_after(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            run(*job)
    trail = tmp_path / "out" / "state" / "trail" / "split-000000-0"
    trail.parent.mkdir(exist_ok=True)
    trail.write_bytes(struct.pack("<qqq", 1, 0, 7))  # as an owner and its worker leave it that are killed together
    monkeypatch.setattr("corpusmill.scheduler.run_segment", dying_once)
    run(*job, executor="processes")
    assert (tmp_path / "died").exists()
    assert ids(tmp_path / "out") == [str(n) for n in range(20)]
    assert rows(tmp_path / "out", "quarantine") == []


def test_a_record_that_hangs_the_reader_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in" / "a.jsonl", [str(n) for n in range(20)])
    decoded = read_json_lines._decoded

    def hanging(decoder: Any, line: bytes) -> Any:
        burn(60 if b'"7"' in line else 0.02)  # the others take more than the limit together
        return decoded(decoder, line)

    monkeypatch.setattr(read_json_lines, "_decoded", hanging)
    run(recipe(as_it_is, split="1MB", limits=QUICK), [tmp_path / "in"], tmp_path / "out")
    assert ids(tmp_path / "out") == [str(n) for n in range(20) if n != 7]
    (row,) = rows(tmp_path / "out", "quarantine")
    assert (row["stage"], row["offset"]) == ("read", 7)
    assert "document_seconds" in row["error"]


def tolerant(document: dict[str, Any]) -> dict[str, Any]:
    try:
        burn(60 if document["id"] == "3" else 0)
    except Exception:  # noqa: BLE001
        document["text"] = "another text"
    return document


def stubborn(document: dict[str, Any]) -> dict[str, Any]:
    try:
        burn(60 if document["id"] == "3" else 0)
    except BaseException:  # noqa: BLE001
        burn(60)  # as if nothing had been said
    return document


class Lingering:
    """Takes its time to be gone."""

    def __del__(self) -> None:
        burn(
            0.4
        )  # Python drops what is raised here: the limit has to come again, and nobody needs to hear of the first


def lingering(document: dict[str, Any]) -> dict[str, Any]:
    if document["id"] == "3":
        Lingering()
        burn(60)
    return document


@pytest.mark.parametrize("stage", [tolerant, stubborn, lingering])
def test_no_stage_swallows_the_limit_of_cpu_time(tmp_path: Path, stage: Any) -> None:
    for number in range(5):
        write(tmp_path / "in" / f"{number}.jsonl", [str(number)])
    run(recipe(stage, split="200B", limits=QUICK), [tmp_path / "in"], tmp_path / "out")
    assert ids(tmp_path / "out") == ["0", "1", "2", "4"]
    (row,) = rows(tmp_path / "out", "quarantine")
    assert (row["id"], row["error"]) == ("3", "CpuLimitError: more than 0.2 CPU seconds")


def test_a_file_that_was_gone_when_its_turn_came_is_read_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    paths = [write(source / f"{file}.jsonl", [f"{file}-{n}" for n in range(10)]) for file in range(3)]
    append = Journal.append

    def moving(self: Journal, event: Event) -> None:
        append(self, event)
        if isinstance(event, SegmentRecord) and event.split == 0:
            paths[2].rename(tmp_path / "away")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", moving)
        run(recipe(as_it_is), [source], output)
    assert ids(output) == [f"{file}-{n}" for file in range(2) for n in range(10)]
    assert [row["source"] for row in rows(output, "quarantine")] == ["2.jsonl"]
    (tmp_path / "away").rename(paths[2])
    run(recipe(as_it_is), [source], output)
    assert ids(output) == [f"{file}-{n}" for file in range(3) for n in range(10)]
    assert audit(output).ok
