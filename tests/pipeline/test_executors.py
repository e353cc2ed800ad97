"""Where work runs: results and errors come back, Ctrl-C is the owner's, and no worker outlives its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from corpusmill.executors import InlineExecutor, open_executor
from corpusmill.schemas import RecipeError
from corpusmill.stages.compile_ahead import processors

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


def test_a_worker_does_not_outlive_its_killed_owner(tmp_path: Path) -> None:
    script = tmp_path / "orphaned.py"
    script.write_text(ORPHANED)
    # The worker holds the pipes too, so reading them to the end succeeds only once it is gone.
    pipes = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(script)], stdout=pipes, stderr=pipes, text=True) as owner:
        printed, _ = owner.communicate(timeout=60)
    assert owner.returncode == -signal.SIGKILL
    assert int(printed) != owner.pid
