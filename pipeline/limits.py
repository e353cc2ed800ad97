"""The last resort against documents that hang a stage or eat all memory: CPU seconds and allocated bytes, never wall clock.

A wall-clock limit drops other documents on a busier machine: on three runs of the same command over 400 pages another tool kept
400, 398 and 391 (research note on datatrove). CPU time is the work itself. In a worker process the kernel enforces the
limit, so that it also holds for compiled code that never returns to the interpreter; the process dies, and the owner finds out
which document it was. In the calling process (`inline`) a signal raises `CpuLimitError` instead, which compiled code may
delay.
"""

from __future__ import annotations

import contextlib
import math
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from corpusmill.schemas.recipe import LimitSettings
from corpusmill.schemas.sizes import parse_size

__all__ = ["CpuLimit", "CpuLimitError", "enter_worker", "in_worker"]

_in_worker = False  # whether this process is ours to kill


class CpuLimitError(BaseException):
    """A document took more CPU time than the recipe allows. No `except Exception` of a stage may take it for its own."""


class CpuLimit:
    """Gives each piece of work the same number of CPU seconds."""

    def __init__(self, limits: LimitSettings) -> None:
        self._seconds = limits.document_seconds
        self._before = resource.getrlimit(resource.RLIMIT_CPU)
        self._in_worker = _in_worker
        # Only the main thread can be interrupted by a signal's handler.
        self._in_main = threading.current_thread() is threading.main_thread()

    def renew(self) -> None:
        """Begin to count anew."""
        if self._in_worker:
            # Whole seconds of this process; the second more makes sure that no work gets less than it was promised.
            soft = math.ceil(time.process_time() + self._seconds) + 1
            hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
            if hard == resource.RLIM_INFINITY or soft < hard:
                resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
        elif self._in_main:
            # Again each second, should a stage swallow the first, or Python, which drops what a destructor raises.
            signal.setitimer(signal.ITIMER_PROF, self._seconds, 1)

    def pause(self) -> None:
        """Stop counting until the next piece of work: opening a stage or writing files is no document's fault."""
        if self._in_worker:
            resource.setrlimit(resource.RLIMIT_CPU, self._before)
        elif self._in_main:
            signal.setitimer(signal.ITIMER_PROF, 0)

    @contextlib.contextmanager
    def enforced(self) -> Iterator[None]:
        """Enforce the limit in the block, and leave the process as it was."""
        if self._in_worker:
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_CPU, self._before)
        elif self._in_main:
            handler = signal.signal(signal.SIGPROF, self._exceeded)
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._dropped
            try:
                yield
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.signal(signal.SIGPROF, handler)
                sys.unraisablehook = self._unraisable
        else:
            yield

    def _dropped(self, dropped: sys.UnraisableHookArgs) -> None:
        """Report what Python drops, but for the limit itself: it comes again, and a warning would be about nothing."""
        if not isinstance(dropped.exc_value, CpuLimitError):
            self._unraisable(dropped)

    def _exceeded(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        raise CpuLimitError(f"more than {self._seconds:g} CPU seconds")


def in_worker() -> bool:
    """Return whether this process is a worker."""
    return _in_worker


def enter_worker(limits: LimitSettings) -> None:
    """Mark this process as a worker, which limits may kill, and limit its memory.

    Beyond that allocations fail, and most libraries say so with `MemoryError`, at which a worker ends: a process that holds
    all it may would fail on every document to come. macOS does not enforce such limits.
    """
    global _in_worker
    _in_worker = True
    if sys.platform == "linux":
        size = parse_size(limits.worker_memory)
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))
