"""How much memory this process may use, so that a setting that can never be met is refused before anything is read.

The machine is not always the limit: containers and batch systems (Slurm, Kubernetes, systemd) put a process into a control group
with less, and its folder need not be the one at the root. What is free at the moment is not looked at: it is another a second
later, and a recipe would pass or fail by what else runs on the machine.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["group_limits", "usable_memory"]

_GROUPS = Path("/sys/fs/cgroup")
_MINE = Path("/proc/self/cgroup")


def usable_memory() -> int:
    """Return the bytes of memory that this process may use: the machine's, or what a control group or `ulimit -v` allows."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    addresses = resource.getrlimit(resource.RLIMIT_AS)[0]
    return min(memory, memory if addresses == resource.RLIM_INFINITY else addresses, *group_limits(_GROUPS, _MINE))


def group_limits(groups: Path, mine: Path) -> Iterator[int]:
    """Yield the limits in bytes of the control groups of this process: its own and all that this one is in.

    *groups* is where control groups are mounted, *mine* the file that names ours, a line `number:controllers:path` each.
    """
    for file in _limit_files(groups, mine):
        with suppress(
            OSError, ValueError
        ):  # no such group (containers see the paths of their host), or no limit ("max")
            yield int(file.read_text())


def _limit_files(groups: Path, mine: Path) -> Iterator[Path]:
    """Yield the files that hold the limits, some of which may not exist; those at the root are always among them."""
    lines = ["0::/", "0:memory:/"]
    with suppress(OSError):  # no Linux, or no /proc
        lines += mine.read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2: one tree for all
            root, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        folder = root / path.lstrip("/")
        yield from (above / name for above in (folder, *folder.parents) if above.is_relative_to(root))
