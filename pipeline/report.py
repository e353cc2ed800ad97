"""The report: what happened to the corpus, as one HTML page that opens offline.

Everything comes from the manifest and the side tables, so a report can be made again at any time. Every value that comes
from a document is escaped; the page holds no script and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from corpusmill.journal import write_atomically
from corpusmill.readable import rate, shown, spoken
from corpusmill.schemas.manifest import GroupRates, Manifest
from corpusmill.side_tables import examples, quarantined, signals
from corpusmill.summary import budget, epochs, ids_by, mixture_table, packing, parameters, reasons, speed, stage_rate

__all__ = ["write_report"]

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


def write_report(root: Path, manifest: Manifest) -> None:
    """Write `report.html`."""
    with write_atomically(root / "report.html") as temporary:
        temporary.write_text("".join(_page(root, manifest)), encoding="utf-8")


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
        yield f" {manifest.tokens:,} tokens are {budget(manifest.tokens)}. {escape(ids_by(manifest))}."
    yield "</p><h2>Funnel</h2>"
    yield _table(["stage", "#in", "#dropped", "#kept", "", "#CPU s", "#MB/s"], _funnel(manifest))
    yield f"<p>{escape(speed(manifest))}. MB/s of a stage: bytes that went in per CPU second.</p>"
    yield "<h2>Why documents were dropped</h2>"
    total = max(documents.documents_in, 1)
    yield _table(
        ["stage", "reason", "#documents", "#share of all"],
        (
            [escape(stage), escape(reason), f"{n:,}", f"{n / total:.2%}"]
            for stage, reason, n in reasons(manifest.stages)
        ),
    )
    for stage, facts in manifest.corpus_stages.items():
        yield f"<h2>{escape(stage)}: across the corpus</h2>"
        yield from _facts(facts)
    if manifest.tokens:
        yield "<h2>What these tokens train</h2>"
        yield f"<p>{manifest.tokens:,} tokens, {manifest.unique_tokens:,} of them unique.</p>"
        yield from (f"<p>Sequences: {line}.</p>" for line in packing(manifest))
        yield _table(
            ["epochs", "#tokens seen", "#parameters, at 20 tokens each"],
            ([f"{times}", f"{seen:,}", size] for times, seen, size in epochs(manifest.tokens)),
        )
        if any(share.repeated_tokens for share in manifest.mixture):
            yield "<p>An epoch is one pass over the shards, in which documents of the mixture are several times already.</p>"
        yield "<p>20 tokens per parameter: Hoffmann et al. 2022. Up to four epochs repeated tokens are worth about as much "
        yield "as new ones: Muennighoff et al. 2023.</p>"
        for by, groups in manifest.groups.items():
            yield f"<h3>Tokens by {escape(by)}</h3>"
            yield from _budgets(groups)
    if manifest.mixture:
        heads, *rows = mixture_table(manifest)
        yield "<h2>Mixture</h2>"
        yield _table([heads[0], *(f"#{head}" for head in heads[1:])], ([escape(cell) for cell in row] for row in rows))
        yield "<p>Each document counts as often as it is in the shards."
        if manifest.mixture[0].weight is not None:
            yield " The source that is used up first decides what the others give."
        yield "</p>"
    if manifest.languages:
        yield "<h2>Languages of kept documents</h2>"
        most = max(manifest.languages.values())
        yield _table(
            ["language", "#documents", ""],
            ([escape(c), f"{n:,}", _bar(n / most)] for c, n in manifest.languages.items()),
        )
    for by, groups in manifest.groups.items():
        if not any(group.toxicity_seen or group.pii_seen for group in groups):
            continue
        yield f"<h2>What filters took, by {escape(by)}</h2>"
        yield from _group_rates(groups)
    if manifest.html_engines:
        yield "<h2>How pages were read</h2>"
        most = max(manifest.html_engines.values())
        yield _table(
            ["engine or fallback", "#documents", ""],
            ([escape(name), f"{n:,}", _bar(n / most)] for name, n in manifest.html_engines.items()),
        )
    yield "<h2>Quality signals</h2>"
    yield from _signals(root, manifest)
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
            stage_rate(stage),
        ]


def _budgets(groups: Sequence[GroupRates]) -> Iterator[str]:
    """Yield a table of what is in shards of each group, and the model that its tokens suffice for."""
    whole = max(groups[0].tokens, 1)
    heads = ["", "#documents", "#unique tokens", "#tokens", "#share", "", "#parameters, at 20 tokens each"]
    yield _table(
        heads,
        (
            [
                escape(group.name),
                f"{group.documents:,}",
                f"{group.unique_tokens:,}",
                f"{group.tokens:,}",
                f"{group.tokens / whole:.2%}",
                _bar(group.tokens / whole),
                parameters(group.tokens),
            ]
            for group in sorted(groups, key=lambda group: -group.tokens)
        ),
    )


def _group_rates(groups: Sequence[GroupRates]) -> Iterator[str]:
    """Yield a table of drops and redactions by group; a rate far from the first row's shows a filter that is unfair."""
    heads = ["", "#seen by filter_toxicity", "#dropped", "#rate", "#seen by redact_pii", "#dropped", "#rate"]
    yield _table(
        [*heads, "#with redactions", "#rate", "#redactions", "#a document"],
        (
            [
                escape(group.name),
                f"{group.toxicity_seen:,}",
                f"{group.toxicity_dropped:,}",
                _share(group.toxicity_drop_rate),
                f"{group.pii_seen:,}",
                f"{group.pii_dropped:,}",
                _share(group.pii_drop_rate),
                f"{group.pii_documents:,}",
                _share(group.pii_document_rate),
                f"{group.redactions:,}",
                "" if group.redactions_per_document is None else rate(group.redactions_per_document),
            ]
            for group in groups
        ),
    )


def _share(part: float | None) -> str:
    return "" if part is None else f"{part:.2%}"


def _facts(facts: dict[str, Any]) -> Iterator[str]:
    """Yield what a corpus stage told: one table of single values, and one for each table."""
    single = {name: value for name, value in facts.items() if not isinstance(value, list)}
    if single:
        yield _table(["", "#"], ([escape(spoken(name)), escape(shown(value))] for name, value in single.items()))
    for name, rows in facts.items():
        if name == "detection":
            yield from _detection(rows, facts["threshold"])
        elif isinstance(rows, list) and rows:
            heads = [
                f"#{spoken(key)}" if isinstance(value, int | float) else spoken(key) for key, value in rows[0].items()
            ]
            yield f"<h3>{escape(spoken(name))}</h3>"
            yield _table([escape(head) for head in heads], ([escape(shown(v)) for v in row.values()] for row in rows))


def _detection(points: Sequence[dict[str, float]], threshold: float) -> Iterator[str]:
    """Yield the curve of how surely a pair of some similarity becomes a candidate, and the threshold."""
    line = " ".join(f"{40 + point['similarity'] * 360:.1f},{170 - point['found'] * 150:.1f}" for point in points)
    at = 40 + threshold * 360
    found = min(points, key=lambda point: abs(point["similarity"] - threshold))["found"]
    yield "<h3>Which pairs are found</h3>"
    yield "<svg viewBox='0 0 440 200' width=440 role=img aria-label='probability of detection by similarity'>"
    yield "<g fill=none stroke=currentColor><path d='M40 20V170H400' stroke-opacity=.5 />"
    yield f"<path d='M{at:.1f} 20V170' stroke-dasharray=4 stroke-opacity=.5 />"
    yield f"<polyline points='{line}' stroke='#3a7bd5' stroke-width=2 /></g><g fill=currentColor font-size=12>"
    yield "<text x=40 y=187 text-anchor=middle>0</text><text x=400 y=187 text-anchor=middle>1</text>"
    yield "<text x=34 y=24 text-anchor=end>1</text><text x=34 y=174 text-anchor=end>0</text>"
    yield f"<text x={at:.1f} y=187 text-anchor=middle>{threshold:g}</text></g></svg>"
    yield f"<p>Probability that a pair becomes a candidate, by its Jaccard similarity; {found:.1%} about the threshold.</p>"


def _signals(root: Path, manifest: Manifest) -> Iterator[str]:
    """Yield the distribution of every numeric signal over kept and dropped documents alike."""
    found = list(signals(root, manifest))
    yield _table(
        ["signal", "#documents", "#5 %", "#median", "#95 %"],
        ([escape(signal.name), f"{signal.count:,}", *map(rate, signal.quantiles)] for signal in found),
    )
    step = max((signal.step for signal in found), default=1)
    if step > 1:
        yield f"<p>Where there are more than a million values, these are the quantiles of every {step:,}th or more of them.</p>"


def _examples(root: Path, manifest: Manifest) -> Iterator[str]:
    """Yield the first rejects of every reason."""
    for key, rows in examples(root, manifest, _EXAMPLES).items():
        for row in rows:
            yield f"<p><b>{escape('/'.join(key))}</b> <code>{escape(row['id'])}</code>{escape(_measured(row))}</p>"
            yield f"<blockquote>{escape(row['excerpt'])}</blockquote>"


def _measured(row: dict[str, Any]) -> str:
    parts = [f"{name} {row[name]:.4g}" for name in ("value", "limit") if row[name] is not None]
    parts += [f"see {row['ref']}"] if row["ref"] else []
    return f" ({', '.join(parts)})" if parts else ""


def _quarantine(root: Path, manifest: Manifest) -> Iterator[str]:
    rows = quarantined(root, manifest, _LISTED)
    if rows:
        yield "<h2>Quarantine</h2>"
        names = ("source", "offset", "stage", "error")
        yield _table(
            list(names),
            ([escape(str(row[name])) if row[name] is not None else "" for name in names] for row in rows),
        )


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
