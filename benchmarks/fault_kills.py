"""SIGKILL at random moments: of the main process, of one worker, of all of them at once.

The same command is started again after each death of the main process, until it ends by itself; the death of a worker must
be survived without that. Then every byte is held against a run that nobody disturbed. Rounds come in three kinds, so that
kills also hit the taking in of new files and of changed ones: a corpus in one piece, in two, and one that changes between.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fault_support import Result, audit, command, descendants, difference, make_corpus, say, write_recipe

__all__ = ["run_kills"]

_ROUNDS = (("first",), ("first", "second"), ("first", "changes"))
_KINDS = ("main", "worker", "all")
_HANGS = 180.0  # seconds without an end after which a run counts as hanging; an undisturbed one takes a few


class _Soak:
    """What does not change between rounds, and the counts."""

    def __init__(self, work: Path, kills: int, seed: int) -> None:
        self.work, self.kills = work, kills
        self.dice = random.Random(seed)
        self.recipe = write_recipe(work / "recipe.toml")
        make_corpus(work / "first" / "old", 2 * seed)
        make_corpus(work / "second" / "new", 2 * seed + 1)
        changes = work / "changes" / "old"
        (changes / "pages").mkdir(parents=True)
        for name in ("big.jsonl", "frames.jsonl.zst", "table.parquet", "pages/003.html"):
            shutil.copy2(work / "second" / "new" / name, changes / name)
        self.tried: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.duplicated: Counter[str] = Counter()
        self.problems: list[str] = []
        self.moments: list[float] = []  # how far the run was at each kill, by lines of the journal
        self.rounds = 0

    @property
    def enough(self) -> bool:
        return sum(self.tried.values()) >= self.kills

    def reference(self, parts: tuple[str, ...]) -> tuple[Path, int]:
        """Run undisturbed over *parts*, one after the other; return the output and the size of its journal."""
        output = self.work / f"reference-{parts[-1]}"
        for part in parts:
            line = self.bring(part, output, parts[-1])
            subprocess.run(line, check=True)
        problem = audit(output)
        assert not problem, problem
        shutil.rmtree(self.work / "crawl")
        return output, _progress(output)

    def bring(self, part: str, output: Path, last: str) -> list[str]:
        """Put a part of the corpus into the input, with its times of change, and return the command that takes it in."""
        shutil.copytree(self.work / part, self.work / "crawl", dirs_exist_ok=True)
        return command(
            self.work / "crawl", output, self.recipe, *(["--accept-new-versions"] if last == "changes" else [])
        )

    def round(self, parts: tuple[str, ...], expected: Path, whole: int) -> None:
        """Run over *parts* with kills and compare."""
        self.rounds += 1
        output = self.work / "round"
        shutil.rmtree(output, ignore_errors=True)
        killed: list[str] = []
        for part in parts:
            line = self.bring(part, output, parts[-1])
            while not self._one(line, output, whole, killed):
                pass
        files, lost, duplicated = difference(expected, output)
        problem = audit(output)
        left = [path.name for path in output.rglob("*.part")]
        if killed and (files or problem or left):
            self.failed.update(killed)
            self.lost[killed[-1]] += lost
            self.duplicated[killed[-1]] += duplicated
            self.problems.append(f"round {self.rounds} ({', '.join(killed)}): {files[:4]} {problem[:200]} {left[:2]}")
            say(f"  {self.problems[-1]}")
            shutil.copytree(output, self.work / f"failed{self.rounds}", dirs_exist_ok=True)
        say(f"kills: {sum(self.tried.values())}/{self.kills} after round {self.rounds} ({', '.join(killed) or 'none'})")
        shutil.rmtree(self.work / "crawl")

    def _one(self, line: list[str], output: Path, whole: int, killed: list[str]) -> bool:
        """Start the command and kill until the main process is gone; return whether it came to its end."""
        with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            workers_killed = 0
            while self._wait(process, output, whole):
                if self.enough:
                    self.problems.append(f"round {self.rounds}: hangs after {killed[-1] if killed else 'no kill'}")
                    self.failed[killed[-1] if killed else "main"] += 1
                    _kill([process.pid, *(pid for pid, _ in descendants(process.pid))])
                    return False
                kind = self.dice.choice(_KINDS)
                if not self._strike(process, kind):
                    continue
                self.tried[kind] += 1
                killed.append(kind)
                self.moments.append(_progress(output) / whole)
                workers_killed += kind == "worker"
                if kind != "worker":
                    process.wait()
                    return False
            said = process.stderr.read() if process.stderr else ""
        if process.returncode == 0:
            return True
        assert workers_killed, f"the command ended with {process.returncode} by itself: {said}"
        self.failed["worker"] += workers_killed
        self.problems.append(f"round {self.rounds}: ended with {process.returncode} after a worker died: {said[:160]}")
        return False

    def _wait(self, process: subprocess.Popen[Any], output: Path, whole: int) -> bool:
        """Wait for the next moment to kill; return whether the process still runs.

        Three in four moments are measured in progress, so that they lie in the middle of the work however slow the machine is.
        """
        until = time.monotonic() + (_HANGS if self.enough else self.dice.uniform(0.0, 2.0))
        if not self.enough and self.dice.random() < 0.75:
            progress = _progress(output) + self.dice.randrange(whole // 4)
            until = time.monotonic() + _HANGS
            while _progress(output) < progress and time.monotonic() < until and process.poll() is None:
                time.sleep(0.002)
            until = time.monotonic() + self.dice.uniform(0.0, 0.2)
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return True
        return False

    def _strike(self, process: subprocess.Popen[Any], kind: str) -> bool:
        """Kill; return whether what was to be killed was alive."""
        below = descendants(process.pid)
        workers = [pid for pid, line in below if "resource_tracker" not in line]
        if process.poll() is not None or (kind != "main" and not workers):
            return False
        if kind == "main":
            return _kill([process.pid])
        if kind == "worker":
            return _kill([self.dice.choice(workers)])
        everyone = [process.pid, *(pid for pid, _ in below)]
        self.dice.shuffle(everyone)
        return _kill(everyone)


def _kill(pids: list[int]) -> bool:
    struck = 0
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        struck += 1
    return struck > 0


def _progress(output: Path) -> int:
    """Return the size of the journal: it grows by a line with each product."""
    journal = output / "state" / "journal.jsonl"
    return journal.stat().st_size if journal.exists() else 0


def run_kills(work: Path, kills: int, seed: int) -> list[Result]:
    """Kill *kills* times in rounds over fresh outputs and return a row for each kind of victim."""
    soak = _Soak(work, kills, seed)
    kinds = [(parts, *soak.reference(parts)) for parts in _ROUNDS]
    while not soak.enough:
        soak.round(*kinds[soak.rounds % len(kinds)])
    middle = sum(0 < moment < 1 for moment in soak.moments)
    names = {"main": "main process", "worker": "one worker", "all": "all processes at once"}
    rows = []
    for kind in _KINDS:
        survived = max(0, soak.tried[kind] - soak.failed[kind])
        rows.append(
            Result(
                f"SIGKILL of {names[kind]}",
                soak.tried[kind],
                survived,
                soak.lost[kind],
                soak.duplicated[kind],
                "the command goes on by itself" if kind == "worker" else "the same command started again",
            )
        )
    hit = f"{middle} of {len(soak.moments)} kills hit between the first and the last product"
    rows[0].remark += f"; {soak.rounds} rounds, {hit}"
    for problem in soak.problems[:10]:
        say(f"kills: {problem}")
    return rows
