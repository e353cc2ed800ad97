"""How much memory there is: the machine's, or less where a control group says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from corpusmill.stages import memory_limit
from corpusmill.stages.memory_limit import group_limits, usable_memory


def mounted(folder: Path, files: dict[str, str]) -> tuple[Path, Path]:
    """Return control groups with these *files*, and the file that names ours."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder / "groups", folder / "mine"


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        ({}, set()),
        ({"groups/memory.max": "700\n"}, {700}),  # a container sees its own group as the root
        ({"groups/memory.max": "max\n"}, set()),
        ({"groups/memory/memory.limit_in_bytes": "800\n", "mine": "4:memory:/docker/a\n"}, {800}),
        (
            {
                "mine": "0::/slurm/job_1/step_0\n",
                "groups/slurm/memory.max": "max",
                "groups/slurm/job_1/memory.max": "500",
                "groups/slurm/job_1/step_0/memory.max": "600",
                "groups/slurm/job_2/memory.max": "1",
            },
            {500, 600},
        ),
        (
            {
                "mine": "9:name=systemd:/a\n5:cpu,memory:/slurm/job_1\n4:devices:/b\n0::/\n",
                "groups/memory/slurm/job_1/memory.limit_in_bytes": "300",
                "groups/memory/b/memory.limit_in_bytes": "1",
                "groups/memory/memory.limit_in_bytes": str(2**63 - 4096),
            },
            {300, 2**63 - 4096},
        ),
        ({"mine": "0::/../other\n", "groups/memory.max": "700"}, {700}),
    ],
)
def test_the_groups_of_this_process_and_those_above_limit_it(
    tmp_path: Path, files: dict[str, str], limits: set[int]
) -> None:
    assert set(group_limits(*mounted(tmp_path, files))) == limits


def test_the_least_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups, mine = mounted(tmp_path, {"groups/memory.max": str(10**18)})
    monkeypatch.setattr(memory_limit, "_GROUPS", groups)
    monkeypatch.setattr(memory_limit, "_MINE", mine)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert usable_memory() <= machine
    (groups / "memory.max").write_text("12345")
    assert usable_memory() == 12345
