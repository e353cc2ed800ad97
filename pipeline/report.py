"""The report: what happened to the corpus, as text for a terminal and as one HTML page that opens offline.

Everything comes from the manifest and the side tables, so a report can be made again at any time. Every value that comes
from a document is escaped; the page holds no script and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpusmill.journal import write_atomically
from corpusmill.schemas.inputs import SkippedFile
from corpusmill.schemas.manifest import Manifest, StageCounts

__all__ = ["skipped_lines", "summary", "unusable", "write_report"]

_TOKENS_PER_PARAMETER = (
    20  # compute-optimal training: Hoffmann et al. 2022, Training Compute-Optimal Large Language Models
)
_EXAMPLES = 3  # rejects shown of each reason
_LISTED = 200  # skipped files and quarantined inputs that are listed
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bar: #3a7bd5; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.room { min-width: 12rem; }
.bar { background: var(--bar); height: .7rem; min-width: 1px; }
.big { display: flex; flex-wrap: wrap; gap: 2rem; margin: 1rem 0 2rem; }
.big b { display: block; font-size: 1.8rem; }
blockquote { margin: .3rem 0; padding: .3rem .8rem; border-left: 3px solid var(--line); white-space: pre-wrap;
  overflow-wrap: anywhere; }
code { font-size: .9em; }
"""


def summary(root: Path, manifest: Manifest) -> str:
    """Return the outcome as lines for a terminal: documents in, kept, dropped by reason, tokens, and where the shards are."""
    documents = manifest.documents
    lines = [
        f"documents in   {documents.documents_in:>12,}",
        f"  kept         {documents.kept:>12,}  {_share(documents.kept, documents.documents_in)}",
        f"  dropped      {documents.dropped:>12,}  {_share(documents.dropped, documents.documents_in)}",
        *(f"    {stage}/{reason:<{44 - len(stage)}} {count:>8,}" for stage, reason, count in _reasons(manifest.stages)),
        f"  quarantined  {documents.quarantined:>12,}  {_share(documents.quarantined, documents.documents_in)}",
        f"files skipped  {len(manifest.inputs['skipped']):>12,}",
        *(f"    {line}" for line in skipped_lines(_skipped(manifest))[:8]),
    ]
    records = sum(manifest.inputs["skipped_records"].values())
    if records:
        lines.append(f"WARC records that are no documents {records:,}")
    if manifest.tokenizer is not None:
        lines += [f"tokens         {manifest.tokens:>12,}  {_budget(manifest.tokens)}"]
    if manifest.languages:
        lines.append(
            f"languages      {', '.join(f'{code} {count:,}' for code, count in list(manifest.languages.items())[:12])}"
        )
    lines.append(f"shards         {len(manifest.shards):>12,}  in {root / 'shards'}")
    lines.append(f"report         {root / 'report.html'}")
    return "\n".join(lines)


def unusable(manifest: Manifest) -> list[str]:
    """Return a line for each file of records that was skipped although documents may be in it: more than a stray picture."""
    return [f"{file.name} was not read: {file.why}" for file in _skipped(manifest) if file.why.startswith("no field")][
        :5
    ]


def skipped_lines(files: Sequence[SkippedFile]) -> list[str]:
    """Return the reasons for which files were skipped, the commonest first, each with a count and an example."""
    names: dict[str, list[str]] = {}
    for file in files:
        names.setdefault(file.why, []).append(file.name)
    ranked = sorted(names.items(), key=lambda item: (-len(item[1]), item[0]))
    return [f"{len(found):,} × {why} ({found[0]}{', …' if len(found) > 1 else ''})" for why, found in ranked]


def _skipped(manifest: Manifest) -> list[SkippedFile]:
    return [msgspec.convert(file, SkippedFile) for file in manifest.inputs["skipped"]]


def write_report(root: Path, manifest: Manifest) -> None:
    """Write `report.html`."""
    with write_atomically(root / "report.html") as temporary:
        temporary.write_text("".join(_page(root, manifest)), encoding="utf-8")


def _budget(tokens: int) -> str:
    parameters = tokens / _TOKENS_PER_PARAMETER
    return f"compute-optimal for a model of about {_round(parameters)} parameters (20 tokens per parameter)"


def _round(number: float) -> str:
    """Return a number with two figures and its unit.

    >>> _round(64_700), _round(1.24e9)
    ('65 thousand', '1.2 billion')
    """
    for limit, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if number >= limit:
            return f"{float(f'{number / limit:.2g}'):g} {name}"
    return f"{number:.0f}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:6.1%}" if whole else ""


def _reasons(stages: Sequence[StageCounts]) -> Iterator[tuple[str, str, int]]:
    for stage in stages:
        for reason, count in sorted(stage.dropped.items(), key=lambda item: (-item[1], item[0])):
            yield stage.kind, reason, count


def _page(root: Path, manifest: Manifest) -> Iterator[str]:
    documents = manifest.documents
    yield "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    yield f"<title>corpusmill report</title><style>{_STYLE}</style><h1>Corpus report</h1><div class=big>"
    figures = {
        "documents in": documents.documents_in,
        "kept": documents.kept,
        "dropped": documents.dropped,
        "quarantined": documents.quarantined,
        "tokens": manifest.tokens,
        "shards": len(manifest.shards),
    }
    yield from (f"<div><b>{number:,}</b>{name}</div>" for name, number in figures.items())
    name = escape(str(manifest.recipe["name"]))
    yield f"</div><p>Recipe <code>{name}</code>, fingerprint <code>{manifest.fingerprint[:16]}</code>."
    if manifest.tokens:
        yield f" {manifest.tokens:,} tokens are {_budget(manifest.tokens)}."
    yield "</p><h2>Funnel</h2>"
    yield _table(["stage", "#in", "#dropped", "#kept", "", "#CPU s"], _funnel(manifest))
    yield "<h2>Why documents were dropped</h2>"
    total = max(documents.documents_in, 1)
    yield _table(
        ["stage", "reason", "#documents", "#share of all"],
        (
            [escape(stage), escape(reason), f"{n:,}", f"{n / total:.2%}"]
            for stage, reason, n in _reasons(manifest.stages)
        ),
    )
    if manifest.languages:
        yield "<h2>Languages of kept documents</h2>"
        most = max(manifest.languages.values())
        yield _table(
            ["language", "#documents", ""],
            ([escape(c), f"{n:,}", _bar(n / most)] for c, n in manifest.languages.items()),
        )
    yield "<h2>Quality signals</h2>"
    yield _table(["signal", "#documents", "#5 %", "#median", "#95 %"], _signals(root, manifest))
    yield "<h2>Examples of what was dropped</h2>"
    yield from _examples(root, manifest)
    yield "<h2>Inputs</h2>"
    inputs = manifest.inputs
    formats = ", ".join(f"{count:,} {name}" for name, count in inputs["formats"].items())
    yield f"<p>{inputs['files']:,} files, {inputs['bytes']:,} bytes: {escape(formats)}.</p>"
    if inputs["skipped"]:
        yield _table(
            ["skipped file", "why"],
            ([escape(file["name"]), escape(file["why"])] for file in inputs["skipped"][:_LISTED]),
        )
    yield from _quarantine(root, manifest)


def _funnel(manifest: Manifest) -> Iterator[list[str]]:
    whole = max(manifest.documents.documents_in, 1)
    for stage in manifest.stages:
        dropped = sum(stage.dropped.values()) + stage.quarantined
        yield [
            escape(stage.kind),
            f"{stage.documents_in:,}",
            f"{dropped:,}",
            f"{stage.kept:,}",
            _bar(stage.kept / whole),
            f"{stage.seconds:.2f}",
        ]


def _signals(root: Path, manifest: Manifest) -> Iterator[list[str]]:
    """Yield the distribution of every numeric signal over kept and dropped documents alike."""
    paths = [root / file.path for file in manifest.files if file.path.startswith("signals/")]
    if not paths:
        return
    schema = pq.read_schema(paths[0])
    for field in schema:
        if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            continue
        values = pa.chunked_array(
            [c for path in paths for c in pq.read_table(path, columns=[field.name])[0].chunks], field.type
        )
        count = len(values) - values.null_count
        if count:
            cuts = pc.quantile(values, q=[0.05, 0.5, 0.95]).to_pylist()
            yield [escape(field.name.removeprefix("signals.")), f"{count:,}", *map(_figure, cuts)]


def _figure(value: float) -> str:
    """Return a measured value with three figures, and large ones in full.

    >>> _figure(0.00327), _figure(29612.0), _figure(0.0)
    ('0.00327', '29,612', '0')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _examples(root: Path, manifest: Manifest) -> Iterator[str]:
    """Yield the first rejects of every reason."""
    seen: dict[tuple[str, str], int] = {}
    for file in manifest.files:
        if not file.path.startswith("rejects/"):
            continue
        for row in _side_rows(root / file.path):
            key = (row["stage"], row["reason"])
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > _EXAMPLES:
                continue
            yield f"<p><b>{escape('/'.join(key))}</b> <code>{escape(row['id'])}</code>{escape(_measured(row))}</p>"
            yield f"<blockquote>{escape((row['excerpt'] or '')[:300])}</blockquote>"


def _measured(row: dict[str, Any]) -> str:
    parts = [f"{name} {row[name]:.4g}" for name in ("value", "limit") if row[name] is not None]
    parts += [f"see {row['ref']}"] if row["ref"] else []
    return f" ({', '.join(parts)})" if parts else ""


def _quarantine(root: Path, manifest: Manifest) -> Iterator[str]:
    tables = [root / file.path for file in manifest.files if file.path.startswith("quarantine/")]
    rows = list(islice((row for path in tables for row in _side_rows(path)), _LISTED))
    if rows:
        yield "<h2>Quarantine</h2>"
        names = ("source", "offset", "stage", "error")
        yield _table(
            list(names),
            ([escape(str(row[name])) if row[name] is not None else "" for name in names] for row in rows),
        )


def _side_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a side table, a bounded number in memory."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()


def _bar(share: float) -> str:
    return f"<div class=room><div class=bar style='width:{max(0.0, min(share, 1.0)):.1%}'></div></div>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an HTML table; a head that begins with # is a column of numbers. Cells are HTML already."""
    numbers = [head.startswith("#") for head in heads]
    mark = [" class=number" if number else "" for number in numbers]
    head = "".join(f"<th{m}>{name.lstrip('#')}</th>" for name, m in zip(heads, mark, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{m}>{cell}</td>' for cell, m in zip(row, mark, strict=True))}</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
