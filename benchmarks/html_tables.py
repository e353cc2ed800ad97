"""Tables of quality: by set, by page type, by language, and held against chosen systems page by page."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from html_pages import Page, interval, summarise
from html_quality import Scored, collect
from html_systems import System

__all__ = ["quality"]

_LEAST = 8  # pages, below which a group has no column
_ALL = "mean of the sets"
_LEARNED = (
    "The model of `fast` has learned from pages of scrapinghub and wcxb_dev: its figures there do not hold for other pages. "
    "Those of the row out of fold do: no page is read by a model that has seen its host."
)


def quality(systems: Sequence[System], folder: Path, data: Sequence[Path], against: str) -> str:
    """Run *systems* over the pages that have marked content, and return all tables as Markdown."""
    pages, rows = collect(systems, folder, data)
    done = [row for row in rows if not row.failure]
    parts = [
        _scores(pages, rows),
        *([_LEARNED] if any(row.system.variant == "fast" for row in done) else []),
        "### By page type: mean F1 of the pages\n\n" + _by_group(pages, done, lambda page: page.page_type),
        "### By language: mean F1 of the pages\n\n" + _by_group(pages, done, lambda page: page.lang),
        *(_differences(pages, done, row) for row in done if re.search(against, row.system.label)),
        "### Pages without output\n\n" + _empty(pages, done),
        "\n".join(f"- {version}" for version in dict.fromkeys(row.version for row in done)),
    ]
    return "\n\n".join(parts)


def _members(pages: Sequence[Page], key: Callable[[Page], str | None]) -> dict[str, list[int]]:
    """Return the numbers of the pages of every group, groups in the order of their first page."""
    groups: dict[str, list[int]] = {}
    for number, page in enumerate(pages):
        if (name := key(page)) is not None:
            groups.setdefault(name, []).append(number)
    return groups


def _scores(pages: Sequence[Page], rows: Sequence[Scored]) -> str:
    sets = _members(pages, lambda page: page.dataset)
    heading = [f"{name} ({len(numbers):,})" for name, numbers in sets.items()]
    lines = [
        _line("precision, recall, **F1 of their means** (mean F1 of the pages)", [*heading, _ALL]),
        _rule(len(sets) + 1),
    ]
    for row in rows:
        if row.failure:
            lines.append(_line(row.system.label, [f"not measured: {row.failure.replace('|', '/')}", *[""] * len(sets)]))
            continue
        found = [summarise(row.scores[number] for number in numbers) for numbers in sets.values()]
        cells = [f"{one.precision:.3f} {one.recall:.3f} **{one.f1:.3f}** ({one.page_f1:.3f})" for one in found]
        mean = f"**{fmean(one.f1 for one in found):.3f}** ({fmean(one.page_f1 for one in found):.3f})"
        lines.append(_line(row.system.label, [*cells, mean]))
    return "\n".join(lines)


def _by_group(pages: Sequence[Page], rows: Sequence[Scored], key: Callable[[Page], str | None]) -> str:
    """Return the mean F1 per set and group; a set of one group has no column of its own."""
    groups = _members(pages, lambda page: f"{page.dataset}: {key(page)}" if key(page) else None)
    groups = {name: numbers for name, numbers in groups.items() if len(numbers) >= _LEAST}
    alone = {name for name in groups if sum(other.split(":")[0] == name.split(":")[0] for other in groups) == 1}
    groups = {name: numbers for name, numbers in sorted(groups.items()) if name not in alone}
    if not groups:
        return "No set has two groups."
    lines = [_line("", [f"{name} ({len(numbers):,})" for name, numbers in groups.items()]), _rule(len(groups))]
    for row in rows:
        means = [fmean(row.scores[number].f1 for number in numbers) for numbers in groups.values()]
        lines.append(_line(row.system.label, [f"{mean:.3f}" for mean in means]))
    return "\n".join(lines)


def _differences(pages: Sequence[Page], rows: Sequence[Scored], reference: Scored) -> str:
    sets = _members(pages, lambda page: page.dataset)
    lines = [_line("", list(sets)), _rule(len(sets))]
    for row in rows:
        if row is reference:
            continue
        cells = []
        for numbers in sets.values():
            ours, theirs = ([one.scores[number].f1 for number in numbers] for one in (row, reference))
            mean, low, high = interval(ours, theirs)
            sure = "**" if low > 0 or high < 0 else ""
            cells.append(f"{sure}{mean:+.3f}{sure} ({low:+.3f} to {high:+.3f})")
        lines.append(_line(row.system.label, cells))
    about = (
        "Mean F1 of the pages less that of the other, and its 95 % interval (paired bootstrap, 2,000 draws); "
        "bold where 0 lies outside."
    )
    return f"### Against {reference.system.label}\n\n{about}\n\n" + "\n".join(lines)


def _empty(pages: Sequence[Page], rows: Sequence[Scored]) -> str:
    sets = _members(pages, lambda page: page.dataset)
    lines = [_line("", [*sets, "what went wrong on all pages"]), _rule(len(sets) + 1)]
    for row in rows:
        counts = [summarise(row.scores[number] for number in numbers).empty for numbers in sets.values()]
        problems = [problem for page in pages if (problem := row.outputs[page.name][1])]
        wrong = ", ".join(f"{name} {problems.count(name)}" for name in sorted(set(problems)))
        lines.append(_line(row.system.label, [*map(str, counts), wrong]))
    return "\n".join(lines)


def _line(label: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([label, *cells])} |"


def _rule(columns: int) -> str:
    return "|---|" + "---:|" * columns
