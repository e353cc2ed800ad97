"""Lines on stderr: for people, or one JSON object a line for programs that collect logs.

Not the `logging` module: there is one writer and one reader, and libraries that log into the same stream would break lines
that must each be one JSON object. This module imports nothing heavy, because `--help` does.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Literal

__all__ = ["Level", "Log"]

Level = Literal["info", "warning", "error"]


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _to_stderr(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


class Log:
    """Writes messages as plain lines, or as JSON lines with `time` (ISO 8601, UTC), `level`, `message` and further fields."""

    def __init__(self, write: Callable[[str], Any] = _to_stderr, now: Callable[[], datetime] = _now) -> None:
        self._write = write
        self._now = now
        self._lock = threading.Lock()  # progress lines come from a thread of their own
        self.json = False

    def say(self, message: str, level: Level = "info", **fields: Any) -> None:
        """Write one line. A plain one begins with the level unless that is `info`, and leaves *fields* out."""
        if self.json:
            time = self._now().isoformat(timespec="milliseconds")
            line = json.dumps({"time": time, "level": level, "message": message, **fields})
        else:
            line = message if level == "info" else f"{level}: {message}"
        with self._lock:
            self._write(f"{line}\n")
