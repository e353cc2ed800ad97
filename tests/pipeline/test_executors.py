"""Where work runs: results and errors come back, Ctrl-C is the owner's, and no worker outlives its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corpusmill.executors import InlineExecutor, open_executor
from corpusmill.schemas import RecipeError
from corpusmill.stages.compile_ahead import processors
from corpusmill.worker_processes import WorkerDiedError, WorkerProcesses

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


def test_the_number_of_workers_chooses_the_executor() -> None:
    with open_executor(None, 1) as pool:
        assert isinstance(pool, InlineExecutor)
    assert processors() >= 1
    with pytest.raises(RecipeError, match=r"unknown executor 'inlin'; did you mean 'inline'\\?"):
        open_executor("inlin", 1)


def slow(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def test_processes_are_started_for_jobs_that_no_other_has_time_for() -> None:
    with open_executor("processes", 3) as pool:
        assert isinstance(pool, WorkerProcesses)
        pool.start()
        one = {pool.submit(slow, 0).result() for _ in range(4)}
        assert len(one) == len(pool._processes) == 1
        both = [pool.submit(slow, 2) for _ in range(2)]  # the second waits for the process that it is the reason of
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
            jobs.append(pool.submit(slow, 600))
            raise RuntimeError("enough")

    began = time.monotonic()
    with pytest.raises(RuntimeError, match="enough"):
        interrupted()
    assert jobs[0].cancelled() or isinstance(jobs[0].exception(), WorkerDiedError)
    assert time.monotonic() - began < 300


def fail() -> None:
    raise ValueError("as it should")


def test_an_error_comes_with_the_lines_of_the_worker_that_raised_it() -> None:
    with open_executor("processes", 1) as pool, pytest.raises(ValueError, match="as it should") as caught:
        pool.submit(fail).result()
    assert 'raise ValueError("as it should")' in str(caught.value.__cause__)


def test_a_worker_does_not_outlive_its_killed_owner(tmp_path: Path) -> None:
    script = tmp_path / "orphaned.py"
    script.write_text(ORPHANED)
    # The worker holds the pipes too, so reading them to the end succeeds only once it is gone.
    pipes = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(script)], stdout=pipes, stderr=pipes, text=True) as owner:
        printed, _ = owner.communicate(timeout=60)
    assert owner.returncode == -signal.SIGKILL
    assert int(printed) != owner.pid
