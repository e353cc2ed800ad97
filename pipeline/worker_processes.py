"""Worker processes as a `concurrent.futures.Executor` in which a death costs the job at hand and nothing else.

The standard library's pool breaks as a whole when one process dies: every job in flight fails, and nobody knows which of them
was to blame. Here each process has a keeper, a thread of the owner that hands it one job at a time, so a death is the death
of a known job with a known exit code, the other processes never notice, and a new one takes its place.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future
from multiprocessing import resource_tracker
from multiprocessing.reduction import ForkingPickler
from typing import Any

from corpusmill.schemas import RetryableError

__all__ = ["OUT_OF_MEMORY", "WorkerDiedError", "WorkerProcesses"]

_HINTS: dict[int, str] = {
    signal.SIGKILL: " (out of memory, or killed from outside)",
    signal.SIGXCPU: " (it took more CPU time than limits.document_seconds)",
}
OUT_OF_MEMORY = 82
"""The status with which a worker ends that cannot get more memory: what it holds is no fault of the documents to come."""
Task = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class WorkerDiedError(Exception):
    """A worker process ended in the middle of a job; `exit_code` is negative for a signal, as in `subprocess`."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code

    @property
    def doubtful(self) -> bool:
        """Whether others may have sent the signal, which then says nothing about the job."""
        return self.exit_code in (-signal.SIGKILL, -signal.SIGTERM)

    def __str__(self) -> str:
        if self.exit_code == OUT_OF_MEMORY:
            return "the worker process needed more memory than limits.worker_memory"
        if self.exit_code >= 0:
            return f"the worker process ended itself with status {self.exit_code}"
        try:
            name = signal.Signals(-self.exit_code).name
        except ValueError:
            name = f"signal {-self.exit_code}"
        return f"the worker process died of {name}{_HINTS.get(-self.exit_code, '')}"


class _CannotStartError(RetryableError):
    """A worker process ended before it took its first job."""


class _WorkerLines(Exception):  # noqa: N818  it is never raised, but shown as the cause of an error
    """Where a worker raised an error, as text: a traceback does not pickle."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class WorkerProcesses(Executor):
    """Runs each job in one of *workers* processes; *prepare* is called in each of them first (both must pickle).

    They are started as jobs come that no other process has time for, so a small input does not pay for all of them.

    A job whose process dies fails with `WorkerDiedError`. A process that cannot even start, because the main script is not
    protected by `if __name__ == "__main__":` for example, fails its job with `RetryableError`.
    """

    def __init__(self, workers: int, prepare: Callable[[], object]) -> None:
        self._prepare = prepare
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._processes: dict[int, _Process] = {}  # by keeper
        self._stopped = False  # with cancel_futures: no process may start any more
        self._shut_down = False
        self._workers = workers
        self._keepers: list[threading.Thread] = []
        self._jobs = 0  # queued or running
        self._counting = threading.Lock()

    def start(self) -> None:
        """Start a process ahead of the first job, which takes most of a second."""
        with self._counting:
            if not self._keepers:
                self._add_keeper()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Queue a job and return its future."""
        future: Future[Any] = Future()
        with self._counting:
            if self._shut_down:
                raise RuntimeError("the worker processes were shut down: nobody would take the job")
            self._jobs += 1
            if len(self._keepers) < min(self._jobs, self._workers):
                self._add_keeper()
            self._tasks.put((future, fn, args, kwargs))
        return future

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the processes: when they are idle, or at once after an error."""
        self.shutdown(cancel_futures=kind is not None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes when they are idle; with *cancel_futures* at once, whatever they are doing.

        A killed worker leaves only temporary files, which the next run removes.
        """
        with self._counting:
            self._shut_down = True
        if cancel_futures:
            with self._starting:
                self._stopped = True
                for process in list(self._processes.values()):
                    process.kill()
            with contextlib.suppress(queue.Empty):
                while (task := self._tasks.get_nowait()) is None or task[0].cancel():
                    pass
        for _ in self._keepers:
            self._tasks.put(None)
        if not self._jobs:
            for process in list(self._processes.values()):
                if not process.ready:  # started for jobs that others have done
                    process.kill()
        if wait:
            for keeper in self._keepers:
                keeper.join()

    def _add_keeper(self) -> None:
        self._keepers.append(threading.Thread(target=self._keep, args=(len(self._keepers),), daemon=True))
        self._keepers[-1].start()

    def _done(self) -> None:
        with self._counting:
            self._jobs -= 1

    def _keep(self, number: int) -> None:
        """Hand jobs to one process, and put a new one in its place when it dies."""
        with contextlib.suppress(Exception):  # the first job tries again, and gets the error
            self._start(number).wait()  # jobs that come meanwhile are for those that are ready
        while (task := self._tasks.get()) is not None:
            future, fn, args, kwargs = task
            if not future.set_running_or_notify_cancel():
                self._done()
                continue
            try:
                process = self._processes.get(number) or self._start(number)
                answer = process.call(fn, args, kwargs)
                self._done()  # before anybody hears of it and sends the next
                future.set_result(answer)
            except BaseException as error:  # noqa: BLE001  the future carries it to whoever waits
                # A job may raise RetryableError too: only these two say that the process is gone.
                if isinstance(error, WorkerDiedError | _CannotStartError) and number in self._processes:
                    self._processes.pop(number).join()
                self._done()
                future.set_exception(error)
        if number in self._processes:
            self._processes[number].end()

    def _start(self, number: int) -> _Process:
        with self._starting:
            if self._stopped:
                raise RetryableError("the run is being stopped")
            process = self._processes[number] = _Process(self._prepare)
        return process


class _Process:
    """A worker process and the owner's end of its pipe."""

    def __init__(self, prepare: Callable[[], object]) -> None:
        # spawn: forking a process that holds Arrow's thread pool or a tokenizer's can deadlock, and macOS spawns anyway.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, prepare), daemon=True)
        # Ctrl-C is for the owner, also while the process cannot ignore it yet. The tracker has to be there: it lets it through.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
        self.ready = False

    def wait(self) -> None:
        """Wait until the process can take a job."""
        if not self.ready:
            self._receive()
            self.ready = True

    def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a job in the process and return its result, or raise its error."""
        job = ForkingPickler.dumps((fn, args, kwargs))
        self.wait()
        try:
            self._pipe.send_bytes(job)
        except OSError:  # it died while it waited for work
            raise WorkerDiedError(self._exit_code()) from None
        done, value, lines = self._receive()
        if done:
            return value
        raise value from _WorkerLines(lines)

    def _receive(self) -> Any:
        multiprocessing.connection.wait([self._pipe, self._process.sentinel])
        try:
            if self._pipe.poll():
                return self._pipe.recv()
        except (EOFError, OSError):
            pass
        code = self._exit_code()
        if not self.ready and code >= 0:
            raise _CannotStartError(
                "no worker process could start; a script that calls run() with worker processes must do so under "
                '`if __name__ == "__main__":`'
            )
        raise WorkerDiedError(code)

    def _exit_code(self) -> int:
        self._process.join()
        return self._process.exitcode or 0

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
        self._process.join()
        self._pipe.close()

    def end(self) -> None:
        """Let the process end: it reads the end of its pipe. One that never had a job may still be starting."""
        if not self.ready:
            self.kill()
        self._pipe.close()
        self._process.join()


def _serve(pipe: Any, prepare: Callable[[], object]) -> None:
    """Run jobs until the owner closes the pipe."""
    prepare()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # prepare() has said what becomes of it
    threading.Thread(target=_end_with_owner, daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):  # there are no more jobs, or the owner is gone
        pipe.send(None)
        while True:
            pipe.send_bytes(_answer(pipe.recv_bytes()))


def _answer(job: bytes) -> memoryview:
    """Run a pickled job and return, pickled, whether it succeeded and its result, or its error."""
    try:
        fn, args, kwargs = pickle.loads(job)  # noqa: S301  from our own owner, over a private pipe
        result = fn(*args, **kwargs)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BaseException as error:  # noqa: BLE001  it is raised again in the owner, with the lines where it came from
        return _pickled(False, error, "".join(traceback.format_exception(error)), _said(error))
    return _pickled(True, result, "", f"a result of type {type(result).__name__}")


def _pickled(done: bool, value: Any, lines: str, words: str) -> memoryview:
    """Pickle an answer; of one that cannot be pickled, or not be unpickled, say so in *words*."""
    try:
        data = ForkingPickler.dumps((done, value, lines))
        pickle.loads(data)  # noqa: S301  an error whose arguments do not fit its class fails only here
    except Exception as error:  # noqa: BLE001  whatever the parts of an answer do when they are pickled
        unsent = RuntimeError(f"{words} cannot be sent to the owner: {_said(error)}")
        return ForkingPickler.dumps((False, unsent, lines or "".join(traceback.format_exception(error))))
    return data


def _said(error: BaseException) -> str:
    """Return what an error is and says, even if it cannot say it."""
    return "".join(traceback.format_exception_only(error)).strip()


def _end_with_owner() -> None:
    """End this worker when its owner is gone, even in the middle of a job."""
    owner = multiprocessing.parent_process()
    if owner is not None:
        multiprocessing.connection.wait([owner.sentinel])
        os._exit(1)
