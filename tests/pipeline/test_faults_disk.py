"""Disks that are full: the run ends with 1 and says so, and goes on to the same bytes when there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from corpusmill.audit import audit
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from support import SMALL_STEPS

ShardBytes = Callable[[Path], dict[str, bytes]]

# A limit on the size of a file makes writes fail half way, as a full disk does, and needs no rights.
LIMITED = """
import resource, signal, sys
from corpusmill.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
main()
"""


RECIPE = load_recipe("minimal", SMALL_STEPS)


def failed(crawl: Path, output: Path, *, largest_file: int | None = None) -> str:
    """Run the command, which must end with 1 and a message, and return the message."""
    start = ["-m", "corpusmill"] if largest_file is None else ["-c", LIMITED, str(largest_file)]
    settings = [part for change in SMALL_STEPS for part in ("--set", change)]
    command = [sys.executable, *start, "run", str(crawl), str(output), "-r", "minimal", "--executor", "inline", "-q"]
    done = subprocess.run([*command, *settings], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    return done.stderr


def test_writes_that_fail_half_way_are_made_good(corpus: Path, tmp_path: Path, shard_bytes: ShardBytes) -> None:
    run(RECIPE, [corpus], tmp_path / "whole")
    for size in (200, 5_000, 12_000):
        message = failed(corpus, tmp_path / "out", largest_file=size)
        assert "File too large; when that is repaired, the same command goes on from here" in message
    run(RECIPE, [corpus], tmp_path / "out")
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")
    assert audit(tmp_path / "out").ok


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A file system of as many bytes as asked for; asked again, it is made larger."""
    place = tmp_path / "disk"
    place.mkdir()

    def resized(size: int) -> Path:
        options = f"{'remount,' if os.path.ismount(place) else ''}size={size}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True, capture_output=True)
        return place

    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a tmpfs needs root")
    try:
        resized(1 << 20)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a tmpfs cannot be mounted here: {error.stderr.decode().strip()}")
    try:
        yield resized
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_ends_the_run_with_one_and_room_lets_it_go_on(
    corpus: Path, tmp_path: Path, shard_bytes: ShardBytes, small_disk: Callable[[int], Path]
) -> None:
    run(RECIPE, [corpus], tmp_path / "whole")
    need = sum(-(-path.stat().st_size // 4096) * 4096 for path in (tmp_path / "whole").rglob("*") if path.is_file())
    for size in (1 << 14, need // 2, need - 4096):
        message = failed(corpus, small_disk(size) / "out")
        assert "No space left on device; when that is repaired, the same command goes on from here" in message
    output = small_disk(1 << 26) / "out"
    run(RECIPE, [corpus], output)
    assert shard_bytes(output) == shard_bytes(tmp_path / "whole")
    assert audit(output).ok


NOTES = """
import sys
from pathlib import Path
from corpusmill.trail import Place, Trail
try:
    with Trail(Path(sys.argv[1])) as trail:
        trail.at(Place(0, 0))
except OSError as error:
    print(error.strerror)
"""


def test_a_worker_on_a_full_disk_is_told_so_and_does_not_die(small_disk: Callable[[int], Path]) -> None:
    place = small_disk(1 << 16)
    with (place / "filler").open("wb", buffering=0) as filler:
        assert filler.write(bytes(1 << 17)) == 1 << 16
    done = subprocess.run(
        [sys.executable, "-c", NOTES, str(place / "note")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "No space left on device\n")
