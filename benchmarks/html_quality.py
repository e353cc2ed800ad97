"""Have every system extract the pages and score what it gave against the marked content.

Systems run one after the other, each in a process of its own, and leave their outputs in a file; then the pages are read once
and everything is scored. What peers gave is kept for the next time.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from html_pages import Page, Score, grams, read_pages, score
from html_systems import System
from processes import FailedError, interpreter, run_child, say

__all__ = ["Scored", "collect", "concerns"]

_HERE = Path(__file__).parent


@dataclass
class Scored:
    """What came of one system: why there is nothing, or its outputs by name of page and its scores in the order of the pages."""

    system: System
    failure: str = ""
    version: str = ""
    outputs: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """The text, and what went wrong: an exception, or the reason for which a stage would have dropped the page."""
    scores: list[Score] = field(default_factory=list)


def collect(systems: Sequence[System], folder: Path, data: Sequence[Path]) -> tuple[list[Page], list[Scored]]:
    """Return the pages that have marked content, without their HTML, and the scores of every system over them."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as fresh:
        rows = [_extract(system, folder, data, Path(fresh)) for system in systems]
    pages: list[Page] = []
    for page in _marked(data):
        pages.append(replace(page, html=""))
        gold = grams(page.gold or "")
        for row in rows:
            if not row.failure:
                row.scores.append(score(row.outputs[page.name][0], gold))
    return pages, rows


def _marked(data: Sequence[Path]) -> Iterator[Page]:
    return (page for path in data for page in read_pages(path) if page.gold is not None)


def _extract(system: System, folder: Path, data: Sequence[Path], fresh: Path) -> Scored:
    """Return what *system* gives, not scored yet. Our own code changes under one version: nothing of it is kept."""
    kept = folder.absolute() / "outputs" if system.environment else fresh
    kept.mkdir(parents=True, exist_ok=True)
    package = system.environment or "corpusmill"
    say(f"quality: {system.label}")
    try:
        command = [str(interpreter(folder, system.environment)), str(_HERE / "html_child.py"), "outputs"]
        command += [system.module, system.variant, package, str(kept), *(str(path.absolute()) for path in data)]
        report = run_child(command, None).report
    except FailedError as error:
        say(f"{system.label}: {error}")
        return Scored(system, failure=str(error))
    say(f"{system.label}: {report['new']:,} pages in {report['cpu']:.1f} s of CPU time")
    row = Scored(system, version=f"{package} {report['versions'].get(package, '')}")
    with Path(report["file"]).open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            record = json.loads(line)
            row.outputs[record["page"]] = record["text"], record["problem"]
    return row


def concerns(systems: Sequence[System], folder: Path, data: Sequence[Path], count: int, write: Path | None) -> str:
    """Return the *count* pages of lowest F1 of each system; *write* is a folder for their HTML, content and outputs."""
    pages, rows = collect(systems, folder, data)
    lines: list[str] = []
    wanted: set[str] = set()
    for row in rows:
        if row.failure:
            lines += [f"{row.system.label}: {row.failure}", ""]
            continue
        order = sorted(zip(pages, row.scores, strict=True), key=lambda found: (found[1].f1, found[0].name))
        lines += [row.system.label, "   F1     P     R  page"]
        for page, found in order[:count]:
            precision = "   –" if found.precision is None else f"{found.precision:.2f}"
            about = "  ".join(filter(None, [page.page_type, page.lang, row.outputs[page.name][1], page.url]))
            lines.append(f" {found.f1:.2f}  {precision}  {found.recall:.2f}  {page.name}  {about[:160]}")
            wanted.add(page.name)
        lines.append("")
    if write is not None:
        for page in _marked(data):
            if page.name in wanted:
                _write(page, rows, write)
    return "\n".join(lines)


def _write(page: Page, rows: Sequence[Scored], folder: Path) -> None:
    """Write a page, its content and what every system gave, under names that begin alike."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"html": page.html, "content.txt": page.gold or ""}
    texts |= {f"{row.system.label}.txt": row.outputs[page.name][0] for row in rows if not row.failure}
    for name, text in texts.items():
        safe = re.sub(r"[^\w.-]+", "-", f"{page.dataset}-{page.id}"[:100] + f".{name}")
        (folder / safe).write_text(text, encoding="utf-8", errors="replace")
