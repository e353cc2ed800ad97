"""Signals that hit processes of a run in the middle of a document, sent by a stage so that the moment is always the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from corpusmill.audit import audit
from corpusmill.journal import OutputLock
from support import SMALL_STEPS

PLUGIN = '''
import os, signal
from pathlib import Path
from corpusmill.stages import DocumentStage

class Strike(DocumentStage, frozen=True, kw_only=True):
    """Once, at one document, sends the signal that a file in the directory named by STRIKES asks for."""
    rewrites = ()
    place: str

    def apply(self, document):
        order = Path(os.environ["STRIKES"], self.place)
        if document.id == "r4-2" and order.exists():
            target, name = order.read_text().split()
            order.unlink()
            os.kill(os.getpid() if target == "worker" else os.getppid(), getattr(signal, name))
            signal.pause()  # until this process or its owner has come to its end
        return document
'''
RECIPE = """
[[stage]]
kind = "normalize_text"
[[stage]]
kind = "strike"
place = "early"
[[stage]]
kind = "deduplicate"
near = false
[[stage]]
kind = "strike"
place = "late"
[[stage]]
kind = "tokenize"
"""
COMPARED = ("shards", "rejects", "signals", "quarantine")


class Job:
    """A command over a corpus, with the plugin in its environment."""

    def __init__(self, root: Path, crawl: Path) -> None:
        self.root, self.crawl = root, crawl
        about = root / "plugin" / "strike-1.0.dist-info"
        about.mkdir(parents=True)
        (root / "plugin" / "strike_stage.py").write_text(PLUGIN)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: strike\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[corpusmill.stages]\nstrike = strike_stage:Strike\n")
        (root / "strikes").mkdir()
        (root / "recipe.toml").write_text(RECIPE)
        path = os.pathsep.join(filter(None, [str(root / "plugin"), os.environ.get("PYTHONPATH")]))
        self.environment = {**os.environ, "PYTHONPATH": path, "STRIKES": str(root / "strikes")}

    def run(self, output: str, *options: str, **strikes: str) -> subprocess.CompletedProcess[str]:
        """Run with a strike, such as `worker SIGKILL`, at each place that is named."""
        for place, order in strikes.items():
            (self.root / "strikes" / place).write_text(order)
        command = [sys.executable, "-m", "corpusmill", "run", str(self.crawl), str(self.root / output), "--quiet"]
        command += ["--recipe", str(self.root / "recipe.toml"), *(options or ("-w", "1", "--executor", "processes"))]
        command += [part for change in SMALL_STEPS for part in ("--set", change)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        assert not list((self.root / "strikes").iterdir()), "the strikes have been made"
        return done

    def files(self, output: str) -> dict[str, bytes]:
        root = self.root / output
        paths = [path for folder in COMPARED for path in (root / folder).glob("*")] + [root / "tokenizer.json"]
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def test_signals_to_workers_and_to_their_owner_change_nothing(tmp_path: Path, corpus: Path) -> None:
    job = Job(tmp_path, corpus)
    assert job.run("whole", "--executor", "inline").returncode == 0
    expected = job.files("whole")
    assert any(name.startswith("shards/") for name in expected)

    done = job.run("worker", early="worker SIGKILL", late="worker SIGKILL")  # survived without starting again
    assert done.returncode == 0, done.stderr
    assert job.files("worker") == expected
    assert audit(tmp_path / "worker").ok

    assert job.run("owner", early="owner SIGKILL").returncode == -signal.SIGKILL
    assert job.run("owner", late="owner SIGTERM").returncode == 130
    assert not (tmp_path / "owner" / "manifest.json").exists()
    done = job.run("owner", "-w", "2", late="worker SIGTERM")
    assert done.returncode == 0, done.stderr
    assert job.files("owner") == expected
    assert audit(tmp_path / "owner").ok
    assert not list((tmp_path / "owner").rglob("*.part"))
    assert not (tmp_path / "owner" / "state" / "spill").exists()


def test_an_output_that_is_being_written_is_refused_with_three(tmp_path: Path, corpus: Path) -> None:
    with OutputLock(tmp_path / "out" / "state" / "lock"):
        done = Job(tmp_path, corpus).run("out", "--executor", "inline")
    assert done.returncode == 3
    assert f"process {os.getpid()}" in done.stderr
