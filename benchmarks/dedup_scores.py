"""Run everything that removes duplicates over evaluation data with known pairs, and make the tables of scores."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import dedup_quality as quality
import pyarrow as pa
import pyarrow.parquet as pq
from dedup_processes import System, one_run
from dedup_systems import OURS, PEERS
from processes import FailedError, say

from corpusmill.stages.signature import words


@dataclass(frozen=True)
class Row:
    """A mask, or why there is none, and the truth that it is held against."""

    label: str
    truth: quality.Truth
    keep: list[bool] | str


def score_all(environments: Path, data: Path, only: str) -> str:
    """Return the tables of scores as Markdown; *data* holds docs.jsonl.gz and pairs.jsonl.gz.

    Words are a matter of definition, and the given truth has Python's. So our own rows come three times: with those words,
    with our own, and with our own against all pairs compared by our own.
    """
    texts = [record["text"] for record in quality.read_lines(data / "docs.jsonl.gz")]
    given = quality.Truth.read(len(texts), data / "pairs.jsonl.gz")
    say("comparing all pairs by the words of this project")
    own = quality.Truth.compute(texts, words)
    rows = [
        Row("perfect, first wins, 0.8: what the scoring gives", given, quality.first_wins(given, 0.8)),
        Row("the same with default words", given, quality.first_wins(own, 0.8)),
    ]
    with tempfile.TemporaryDirectory(prefix="dedup-") as folder:
        parquet = Path(folder, "texts.parquet")
        ids = [str(number) for number in range(len(texts))]
        pq.write_table(pa.table({"id": ids, "text": pa.array(texts, pa.large_string())}), parquet)
        for system in OURS:
            if re.search(only, system.label):
                keep = _mask(system, environments, parquet)
                python = System(system.label, "", system.module, f"{system.variant}, words of Python", "mask")
                rows += [
                    Row(f"{system.label}: words of the given truth", given, _mask(python, environments, parquet)),
                    Row(f"{system.label}: default words, given truth", given, keep),
                    Row(f"{system.label}: default words, truth by them", own, keep),
                ]
        rows += [Row(s.label, given, _mask(s, environments, parquet)) for s in PEERS if re.search(only, s.label)]
    pairs = sum(map(len, given.neighbours)) // 2
    return (
        f"{len(texts):,} documents, {pairs:,} pairs of at least {quality.LEAST}.\n\n{_scores(rows)}\n\n{_curves(rows)}"
    )


def _mask(system: System, environments: Path, texts: Path) -> list[bool] | str:
    """Return which documents *system* keeps, or why it does not say."""
    say(f"quality: {system.label}")
    with tempfile.TemporaryDirectory(prefix="dedup-") as folder:
        path = Path(folder, "mask.json")
        try:
            one_run(system, environments, texts, texts, None, path)
        except FailedError as error:
            return str(error)
        keep: list[bool] = json.loads(path.read_text())
    return keep


def _scores(rows: list[Row]) -> str:
    thresholds = " | ".join(f"P, R, F1 at {threshold:g}" for threshold in quality.THRESHOLDS)
    lines = [
        f"| | removed | of these unlike (< 0.5) | {thresholds} |",
        "|---|---:|---:|" + "---:|" * len(quality.THRESHOLDS),
    ]
    for row in rows:
        label, truth, keep = row.label, row.truth, row.keep
        if isinstance(keep, str):
            lines.append(f"| {label} | not measured: {keep.replace('|', '/')} | | | | |")
            continue
        cells = []
        for threshold in quality.THRESHOLDS:
            found = quality.score(truth, keep, threshold)
            cells.append(f"{found.precision:.4f} {found.recall:.4f} **{found.f1:.4f}**")
        lines.append(f"| {label} | {len(keep) - sum(keep):,} | {quality.unlike(truth, keep)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _curves(rows: list[Row]) -> str:
    lines = [
        f"| found, % | {' | '.join(f'{step:g}' for step in quality.STEPS)} |",
        "|---|" + "---:|" * len(quality.STEPS),
    ]
    counts: list[str] = []
    for row in rows:
        if isinstance(row.keep, list):
            found = quality.curve(row.truth, row.keep)
            counts = counts or [str(there) for _, there in found.values()]
            cells = [f"{100 * hits / there:.0f}" if there else "" for hits, there in found.values()]
            lines.append(f"| {row.label} | {' | '.join(cells)} |")
    return "\n".join([*lines[:2], f"| isolated pairs in the given truth | {' | '.join(counts)} |", *lines[2:]])
