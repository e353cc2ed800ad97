"""Documents that kill, hang or bloat the stage that looks at them.

A plugin package, made for the purpose and found through `PYTHONPATH`, registers one stage that does to its worker what a
marker in the text says. Exactly the marked documents must be in quarantine, with the stage and what happened, and all others
must be as in a run without them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
from fault_support import Peak, Result, RowsById, accounted, audit, command, prose, rows_by_id, say, write_recipe

__all__ = ["run_poison"]

_MARKED = 6  # of each kind, spread over the files
_MEMORY = 2_500_000_000  # bytes: the limit of a worker and what the interpreter itself takes

_PLUGIN = '''"""A stage that misbehaves on request."""

import ctypes
import os
import re
import signal
import sys

from corpusmill import Document
from corpusmill.stages import DocumentStage


class Poison(DocumentStage, frozen=True, kw_only=True):
    """Does to the process what the text asks for."""

    rewrites = ()

    def apply(self, document: Document) -> Document:
        found = re.search("poison ([a-z]+)", document.text)
        if found is not None:
            DEEDS[found[1]]()
        return document


def spins():
    while True:
        pass


def allocates():
    kept = []
    while True:
        kept.append(bytearray(b"x") * 50_000_000)


def recurses():
    recurses()


def raises():
    raise ValueError("cannot take this one")


DEEDS = {
    "raises": raises,
    "recurses": recurses,
    "leaves": lambda: sys.exit(3),
    "exits": lambda: os._exit(7),
    "segfaults": lambda: ctypes.string_at(0),
    "aborts": os.abort,
    "kills": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "spins": spins,
    "computes": lambda: pow(3, 10**9),
    "allocates": allocates,
}
'''

_DEEDS = {
    "raises": "ValueError",
    "recurses": "recursion without end",
    "leaves": "sys.exit",
    "exits": "os._exit",
    "segfaults": "SIGSEGV (ctypes.string_at(0))",
    "aborts": "SIGABRT",
    "kills": "SIGKILL, as when memory is short",
    "spins": "an endless loop",
    "computes": "an endless call of compiled code",
    "allocates": "memory without end",
}


def _plugin(root: Path) -> dict[str, str]:
    """Write the package and return the environment in which it is found."""
    about = root / "poison_stages-1.0.dist-info"
    about.mkdir(parents=True)
    (root / "poison_stages.py").write_text(_PLUGIN)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: poison-stages\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[corpusmill.stages]\npoison = poison_stages:Poison\n")
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def _corpus(root: Path, deeds: list[str]) -> set[str]:
    """Write 300 documents in two formats, with marked ones among them, and return the ids of those."""
    root.mkdir(parents=True)
    marked: dict[int, str] = {}
    for kind, deed in enumerate(deeds):
        for number in range(_MARKED):
            marked[(17 + 3 * kind + number * (300 // _MARKED)) % 300] = deed
    assert len(marked) == len(deeds) * _MARKED
    ids = set()
    lines = []
    for number in range(300):
        text = prose(f"document {number}", 100)
        id_ = f"d{number}"
        if number in marked:
            text += f" poison {marked[number]}"
        if number % 10 == 5:  # single files
            (root / f"{id_}.txt").write_text(text)
            id_ += ".txt"
        else:
            lines.append(json.dumps({"id": id_, "text": text}) + "\n")
        if number in marked:
            ids.add(id_)
    (root / "records.jsonl").write_text("".join(lines))
    return ids


def _without(crawl: Path, clean: Path) -> None:
    """Copy a corpus without its marked documents."""
    clean.mkdir()
    for path in crawl.iterdir():
        if path.suffix == ".jsonl":
            kept = [line for line in path.read_text().splitlines(keepends=True) if " poison " not in line]
            (clean / path.name).write_text("".join(kept))
        elif " poison " not in path.read_text():
            shutil.copy(path, clean)


def _everything(output: Path) -> dict[str, RowsById]:
    return {folder: rows_by_id(output, folder) for folder in ("shards", "rejects", "signals")}


def _case(work: Path, name: str, deeds: list[str], recipe: Path, environment: dict[str, str]) -> Result:
    work.mkdir()
    ids = _corpus(work / "crawl", deeds)
    _without(work / "crawl", work / "clean")
    subprocess.run(command(work / "clean", work / "plain", recipe), env=environment, check=True)
    line = command(work / "crawl", work / "out", recipe, "--max-quarantined", "0.5")
    with (
        subprocess.Popen(
            line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
        ) as process,
        Peak(process.pid) as peak,
    ):
        _, said = process.communicate(timeout=900)
    result = Result(f"poison: {name}", len(ids))
    if process.returncode != 0 or not (work / "out" / "manifest.json").exists():
        result.remark = f"exit {process.returncode}: {said.strip()[-240:]!r}"
        return result
    expected, got = _everything(work / "plain"), _everything(work / "out")
    result.lost = sum(max(0, len(rows) - len(got["shards"].get(id_, []))) for id_, rows in expected["shards"].items())
    result.duplicated = sum(
        max(0, len(rows) - len(expected["shards"].get(id_, []))) for id_, rows in got["shards"].items()
    )
    entries = [
        r for path in sorted((work / "out" / "quarantine").glob("*.parquet")) for r in pq.read_table(path).to_pylist()
    ]
    problems = [text for text in (audit(work / "out"), accounted(work / "out")) if text]
    problems += [f"{folder} differ from the run without" for folder in expected if expected[folder] != got[folder]]
    found = {row["id"] for row in entries if row["stage"] == "poison" and row["error"]}
    if len(entries) != len(ids) or found != ids:
        problems.append(f"in quarantine: {len(entries)}, of which {len(found & ids)} of the {len(ids)} marked ones")
    if peak.largest > _MEMORY:
        problems.append(f"a process of {peak.largest / 1e6:,.0f} MB")
    result.survived = len(found & ids) if not problems else 0
    errors = sorted({row["error"] for row in entries if row["id"] in ids}, key=len)
    result.remark = "; ".join([*problems, *(f"“{error[:90]}”" for error in errors[: len(deeds)])])
    return result


def run_poison(work: Path) -> list[Result]:
    """Run with each kind of poison, with all of them, and with a stage behind the deduplicator; return a row for each."""
    environment = _plugin(work / "plugin")
    stage = '[[stage]]\nkind = "poison"\n'
    limits = '[limits]\ndocument_seconds = 2\nworker_memory = "2GB"\n'
    early = write_recipe(work / "early.toml", tokenizer="bytes", stages=stage, limits=limits)
    late = work / "late.toml"
    late.write_text(
        early.read_text()
        .replace(stage, "")
        .replace('[[stage]]\nkind = "tokenize"', f'{stage}[[stage]]\nkind = "tokenize"')
    )
    results = []
    cases = [(name, [deed], early) for deed, name in _DEEDS.items()]
    cases.append(("all of these in one corpus", list(_DEEDS), early))
    cases.append(("os._exit behind the deduplicator", ["exits"], late))
    for number, (name, deeds, recipe) in enumerate(cases):
        results.append(_case(work / f"case{number}", name, deeds, recipe, environment))
        say(f"poison: {results[-1].line()}")
    return results
