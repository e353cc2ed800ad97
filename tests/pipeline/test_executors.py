"""Where work runs: results and errors come back, Ctrl-C is the owner's, and no worker outlives its owner."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from corpusmill.executors import InlineExecutor, open_executor
from corpusmill.schemas import RecipeError
from corpusmill.stages.compile_ahead import processors
from corpusmill.worker_processes import WorkerDiedError, WorkerProcesses, _serve

ORPHANED = """
import os, signal, sys
from corpusmill.executors import open_executor
if __name__ == "__main__":
    pool = open_executor("processes", 2)
    print(pool.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_inline_runs_at_once_and_carries_errors() -> None:
    with InlineExecutor() as pool:
        assert pool.submit(divmod, 7, 2).result() == (3, 1)
        assert isinstance(pool.submit(divmod, 7, 0).exception(), ZeroDivisionError)


def test_processes_are_others_and_leave_ctrl_c_to_the_owner() -> None:
    with open_executor("processes", 1) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


STARTING = """
import os, signal
from corpusmill.executors import open_executor

if __name__ == "__main__":
    with open_executor("processes", 2) as pool:
        print(*[job.result() for job in [pool.submit(abs, -1), pool.submit(abs, -2)]])
else:
    os.kill(os.getpid(), signal.SIGINT)
"""


def test_the_number_of_workers_chooses_the_executor() -> None:
    with open_executor(None, 1) as pool:
        assert isinstance(pool, InlineExecutor)
    assert processors() >= 1
    with pytest.raises(RecipeError, match=r"unknown executor 'inlin'; did you mean 'inline'\\?"):
        open_executor("inlin", 1)


def slow(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def meet(folder: Path, name: str) -> int:
    """Wait for another job, which is to run at the same time."""
    (folder / name).touch()
    end = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2:
        if time.monotonic() > end:
            raise TimeoutError("nobody else came")
        time.sleep(0.01)
    return os.getpid()


def test_processes_are_started_for_jobs_that_no_other_has_time_for(tmp_path: Path) -> None:
    with open_executor("processes", 3) as pool:
        assert isinstance(pool, WorkerProcesses)
        pool.start()
        one = {pool.submit(slow, 0).result() for _ in range(4)}
        assert len(one) == len(pool._processes) == 1
        both = [pool.submit(meet, tmp_path, name) for name in ("a", "b")]  # the second has a process started
        assert len({job.result() for job in both} | one) == len(pool._processes) == 2
        assert {pool.submit(slow, 0).result() for _ in range(4)} <= {job.result() for job in both} | one
        assert len(pool._processes) == 2


def test_processes_end_with_the_jobs_that_were_queued_and_at_once_after_an_error() -> None:
    with open_executor("processes", 2) as pool:
        jobs = [pool.submit(slow, 0.1) for _ in range(5)]
    assert all(job.done() and job.result() for job in jobs)
    jobs.clear()

    def interrupted() -> None:
        with open_executor("processes", 1) as pool:
            pool.submit(slow, 0).result()
            jobs.append(pool.submit(slow, 60))
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        interrupted()
    assert jobs[0].cancelled() or isinstance(jobs[0].exception(), WorkerDiedError)


def fail() -> None:
    raise ValueError("as it should")


def test_an_error_comes_with_the_lines_of_the_worker_that_raised_it() -> None:
    with open_executor("processes", 1) as pool, pytest.raises(ValueError, match="as it should") as caught:
        pool.submit(fail).result()
    assert 'raise ValueError("as it should")' in str(caught.value.__cause__)


def first_only(flag: Path) -> None:
    """Let the first process be ready, and no other."""
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        signal.pause()


def test_jobs_are_for_processes_that_are_ready_and_others_are_not_waited_for(tmp_path: Path) -> None:
    with WorkerProcesses(2, partial(first_only, tmp_path / "flag")) as pool:
        jobs = [pool.submit(os.getpid) for _ in range(3)]
        assert len({job.result(timeout=60) for job in jobs}) == 1
        assert len(pool._keepers) == 2


class OddError(Exception):
    """Cannot be made again from its arguments, nor say what it is."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(one + other)

    def __str__(self) -> str:
        raise RuntimeError("cannot say")


def fail_oddly() -> None:
    raise OddError(1, 2)


def fail_without_a_pickle() -> None:
    raise ValueError("as it should", lambda: None)


@pytest.mark.parametrize(
    ("job", "words"),
    [(fail_oddly, "OddError: <exception str() failed>"), (fail_without_a_pickle, "ValueError: ('as it should', ")],
)
def test_an_error_that_cannot_be_sent_is_told_with_its_lines(job: Callable[[], None], words: str) -> None:
    with open_executor("processes", 1) as pool:
        process = pool.submit(os.getpid).result()
        with pytest.raises(RuntimeError, match="cannot be sent to the owner") as caught:
            pool.submit(job).result()
        assert words in str(caught.value)
        assert f"in {job.__name__}" in str(caught.value.__cause__)
        assert pool.submit(os.getpid).result() == process


def test_a_job_that_the_worker_does_not_know_fails_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def here_only() -> None:
        """Is at the top of a module, but not of the one that the worker imports."""

    here_only.__qualname__ = "here_only"
    monkeypatch.setitem(globals(), "here_only", here_only)
    with open_executor("processes", 1) as pool:
        with pytest.raises(AttributeError, match="here_only"):
            pool.submit(here_only).result()
        assert pool.submit(abs, -1).result() == 1


def test_no_job_is_taken_that_nobody_would_do() -> None:
    pool = open_executor("processes", 1)
    with pool:
        assert pool.submit(abs, -1).result() == 1
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(abs, -1)


def test_a_worker_leaves_ctrl_c_to_its_owner_while_it_starts(tmp_path: Path) -> None:
    script = tmp_path / "starting.py"
    script.write_text(STARTING)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("1 2\n", "", 0)


def test_a_worker_whose_owner_is_gone_before_it_is_ready_ends_without_a_word() -> None:
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    _serve(theirs, int)  # raises nothing


def test_a_worker_does_not_outlive_its_killed_owner(tmp_path: Path) -> None:
    script = tmp_path / "orphaned.py"
    script.write_text(ORPHANED)
    # The worker holds the pipes too, so reading them to the end succeeds only once it is gone.
    pipes = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(script)], stdout=pipes, stderr=pipes, text=True) as owner:
        printed, _ = owner.communicate(timeout=60)
    assert owner.returncode == -signal.SIGKILL
    assert int(printed) != owner.pid
