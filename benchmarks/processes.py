"""Run a system in a process and an environment of its own: what the benchmarks that hold us against peers share.

Peers get a virtual environment each, because their dependencies exclude each other's (and some of ours). A measured process
has one core and one thread, and prints its report as JSON on its last line, whatever the system printed before.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["FailedError", "Finished", "interpreter", "machine", "make_environments", "run_child", "say"]

# Everything on one thread, and nothing that could ask a server for anything.
_SURROUNDINGS = {
    **dict.fromkeys(
        ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"], "1"
    ),
    **dict.fromkeys(["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "NO_COLOR"], "1"),
}


class FailedError(Exception):
    """A system did not come to its end."""


@dataclass(frozen=True)
class Finished:
    """A process that came to its end: its report, and what the whole of it took. Seconds, megabytes."""

    report: dict[str, Any]
    elapsed: float
    cpu: float
    peak: float


def interpreter(environments: Path, environment: str) -> Path:
    """Return the interpreter of an environment; "" is the environment that this script runs in.

    Raises:
        FailedError: there is no such environment.

    """
    if not environment:
        return Path(sys.executable)
    python = environments.absolute() / environment / "bin" / "python"
    if not python.exists():
        raise FailedError(f"no environment {environment}")
    return python


def run_child(command: Sequence[str], core: int | None) -> Finished:
    """Run *command* in a folder of its own, on *core* if there is one, and return its report and what it took.

    Raises:
        FailedError: the process ended with an error; the message is the last line that it printed.

    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as home, Path(home, "out").open("w+") as out:
        surroundings = {**os.environ, **_SURROUNDINGS, "HF_HOME": home}
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=surroundings, cwd=home)
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        elapsed = time.perf_counter() - began
        out.seek(0)
        lines = [line for line in out.read().split("\n") if line.strip()]
    if process.returncode:
        raise FailedError(lines[-1] if lines else f"exit code {process.returncode}")
    return Finished(json.loads(lines[-1]), elapsed, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def make_environments(
    folder: Path, packages: Mapping[str, Sequence[str]], only: str, python: str = sys.executable
) -> None:
    """Make the environments whose names match *only*, with what pip is to install in each; exit 1 if one cannot be made."""
    failed = []
    for name, wanted in packages.items():
        if not re.search(only, name):
            continue
        inner = str(folder / name / "bin" / "python")
        commands = [
            [python, "-m", "venv", str(folder / name)],
            [inner, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted],
        ]
        say(f"{name}: {' '.join(wanted)}")
        if any(subprocess.run(command).returncode for command in commands):
            failed.append(name)
    if failed:
        sys.exit(f"could not be made: {', '.join(failed)}")


def machine() -> str:
    """Return the processor and the interpreter in one line."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.processor()
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def say(line: str) -> None:
    """Show progress."""
    print(line, file=sys.stderr, flush=True)
