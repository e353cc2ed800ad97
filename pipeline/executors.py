"""Where segments run. The engine knows only `concurrent.futures.Executor`; nothing else in the code knows which one it is."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

from corpusmill.limits import CpuLimitError, enter_worker
from corpusmill.schemas import RecipeError, did_you_mean
from corpusmill.schemas.recipe import LimitSettings
from corpusmill.worker_processes import WorkerProcesses

__all__ = ["InlineExecutor", "open_executor"]


class InlineExecutor(Executor):
    """Runs each task at once in the calling process: for one worker, for debugging, and inside other frameworks."""

    def start(self) -> None:
        """Do nothing: the process is there."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the task and return its finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except (Exception, CpuLimitError) as error:  # noqa: BLE001  the future carries it to whoever waits
            future.set_exception(error)
        return future


def open_executor(
    name: str | None, workers: int, limits: LimitSettings | None = None
) -> InlineExecutor | WorkerProcesses:
    """Return the executor called *name*; None takes processes for several workers and the calling process for one."""
    if name is None:
        name = "processes" if workers > 1 else "inline"
    if name == "inline":
        return InlineExecutor()
    if name == "processes":
        return WorkerProcesses(workers, partial(_start_worker, limits or LimitSettings()))
    raise RecipeError(f"unknown executor {name!r}{did_you_mean(name, ['inline', 'processes'])}")


def _start_worker(limits: LimitSettings) -> None:
    """Keep a worker to one processor and its memory, and leave Ctrl-C to the owner, which stops the run in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a worker that dies is expected, gigabytes of core files are not
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    enter_worker(limits)
