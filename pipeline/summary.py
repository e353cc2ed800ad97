"""The outcome of a run as lines for a terminal: about a screenful, whatever the corpus. The report has the rest."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from corpusmill.readable import aligned, duration, rate, rounded, shown, size, spoken
from corpusmill.schemas.inputs import SkippedFile
from corpusmill.schemas.manifest import Manifest, StageCounts

__all__ = [
    "budget",
    "epochs",
    "ids_by",
    "mixture_table",
    "packing",
    "parameters",
    "reasons",
    "skipped_lines",
    "speed",
    "stage_rate",
    "summary",
    "unusable",
]

_TOKENS_PER_PARAMETER = (
    20  # compute-optimal training: Hoffmann et al. 2022, Training Compute-Optimal Large Language Models
)
_EPOCHS = 4
_REASONS = 15  # lines for reasons
_SKIPPED = 6  # lines for reasons why files were skipped


def summary(root: Path, manifest: Manifest) -> str:
    """Return the account of the whole output, what each stage did and cost, and where the shards are."""
    documents = manifest.documents
    lines = [
        f"documents in   {documents.documents_in:>12,}",
        f"  kept         {documents.kept:>12,}  {_share(documents.kept, documents.documents_in)}",
        f"  dropped      {documents.dropped:>12,}  {_share(documents.dropped, documents.documents_in)}",
        *_dropped(manifest.stages),
        f"  quarantined  {documents.quarantined:>12,}  {_share(documents.quarantined, documents.documents_in)}",
        f"files skipped  {len(manifest.inputs['skipped']):>12,}",
        *(f"    {line}" for line in _few(skipped_lines(_skipped(manifest)), _SKIPPED)),
    ]
    records = sum(manifest.inputs["skipped_records"].values())
    if records:
        lines.append(f"WARC records that are no documents {records:,}")
    lines += ["", *_stages(manifest.stages), speed(manifest), *_facts(manifest), ""]
    if manifest.tokenizer is not None:
        lines += [
            f"tokens         {manifest.tokens:>12,}  {budget(manifest.tokens)}",
            *_unique(manifest),
            *(f"sequences      {line}" for line in packing(manifest)),
            *textwrap.wrap(ids_by(manifest), 110),
        ]
    if manifest.mixture:
        lines += [line.rstrip() for line in aligned(mixture_table(manifest))]
    if manifest.languages:
        lines.append(
            f"languages      {', '.join(f'{code} {count:,}' for code, count in list(manifest.languages.items())[:12])}"
        )
    lines.append(f"shards         {len(manifest.shards):>12,}  in {root / 'shards'}")
    lines.append(f"report         {root / 'report.html'}")
    return "\n".join(lines)


def _unique(manifest: Manifest) -> list[str]:
    if manifest.unique_tokens == manifest.tokens:
        return []
    return [
        f"  unique       {manifest.unique_tokens:>12,}  read {manifest.tokens / max(manifest.unique_tokens, 1):.2f} times"
    ]


def packing(manifest: Manifest) -> list[str]:
    """Return a line about the rows of packed shards: how many, what of them is padding, and what is missing in them."""
    if manifest.packing is None:
        return []
    rows, length, padding, cropped = (
        manifest.packing[name] for name in ("rows", "sequence_length", "padding", "cropped")
    )
    return [
        f"{rows:>12,}  of {length:,} tokens; padded {padding / max(rows * length, 1):.3%}, cropped {cropped:,} tokens"
    ]


def mixture_table(manifest: Manifest) -> list[list[str]]:
    """Return a row for each table of the mixture, under one of heads: its share and tokens, as asked and as they came.

    Without a tokenizer they are characters.
    """
    whole = max(sum(share.tokens for share in manifest.mixture), 1)
    name = "mixture" if manifest.tokenizer is not None else "mixture, in characters"
    rows = [[name, "available", "asked", "got", "share asked", "share got", "times", "documents", "left out"]]
    for share in manifest.mixture:
        unique = share.tokens - share.repeated_tokens
        rows.append(
            [
                share.name,
                *(f"{tokens:,}" for tokens in (share.available_tokens, share.asked_tokens, share.tokens)),
                "" if share.weight is None else f"{share.weight:.2%}",
                f"{share.tokens / whole:.2%}",
                f"{share.tokens / unique:.2f}" if unique else "",
                f"{share.documents:,}",
                f"{share.left_out:,}",
            ]
        )
    return rows if manifest.mixture else []


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


def reasons(stages: Sequence[StageCounts]) -> Iterator[tuple[str, str, int]]:
    """Yield (stage, reason, documents dropped) by stage, the commonest reason first."""
    for stage in stages:
        for reason, count in sorted(stage.dropped.items(), key=lambda item: (-item[1], item[0])):
            yield stage.kind, reason, count


def stage_rate(stage: StageCounts) -> str:
    """Return the megabytes (1,000,000 bytes of what went in) that a stage takes per CPU second."""
    return f"{stage.bytes_in / stage.seconds / 1e6:,.2f}" if stage.seconds else "–"


def speed(manifest: Manifest) -> str:
    """Return a line with the wall time of all runs, stored megabytes per second, and the memory of the largest worker.

    The time of a batch that was interrupted is only that of its last run, so it has no speed.
    """
    runs = [run for run in manifest.runs if run["seconds"] is not None]
    whole = [run for run in runs if not run.get("resumed")]
    seconds, stored = sum(run["seconds"] for run in whole), sum(run.get("bytes", 0) for run in whole)
    parts = [f"{duration(sum(run['seconds'] for run in runs))} of wall time"]
    if len(runs) > 1:
        parts[0] += f" in {len(runs):,} runs"
    if len(whole) < len(runs):
        parts.append("without what was interrupted")
    if seconds and stored:
        parts.append(f"{rate(stored / seconds / 1e6)} MB/s of stored bytes")
    peak = max((run.get("peak_memory", 0) for run in runs), default=0)
    if peak:
        parts.append(f"at most {size(peak)} in a worker")
    return ", ".join(parts)


def budget(tokens: int) -> str:
    """Return how large a model so many tokens train at the compute optimum."""
    return f"compute-optimal for a model of about {parameters(tokens)} parameters (20 tokens per parameter)"


def parameters(tokens: int) -> str:
    """Return the parameters of the model for which so many tokens suffice, at 20 each (Hoffmann et al. 2022)."""
    return rounded(tokens / _TOKENS_PER_PARAMETER)


def ids_by(manifest: Manifest) -> str:
    """Return a line that says what made the ids, and what checking it found; nothing where that is not known."""
    made = manifest.tokenizer or {}
    if not made.get("engine"):
        return ""
    name = " ".join(part for part in (made["engine"], made["engine_version"]) if part)
    documents = ", ".join(f"{engine} {count:,}" for engine, count in made["documents"].items() if count)
    line = f"ids by {name} ({made['engine_reason']}); documents: {documents or 'none'}"
    if made["compared"] or made["mismatches"]:
        line += f"; {made['compared']:,} compared with tokenizers"
    if made["mismatches"]:
        line += f"; MISMATCHES {made['mismatches']:,}, after which all was made again by tokenizers"
    return line


def epochs(tokens: int) -> Iterator[tuple[int, int, str]]:
    """Yield how often the corpus is read, the tokens that a model sees then, and the parameters of the model they suffice for.

    Up to four times, repeated tokens are worth about as much as new ones; beyond that their value decays fast (Muennighoff et al.
    2023, Scaling Data-Constrained Language Models).
    """
    for times in range(1, _EPOCHS + 1):
        yield times, times * tokens, parameters(times * tokens)


def _skipped(manifest: Manifest) -> list[SkippedFile]:
    return [msgspec.convert(file, SkippedFile) for file in manifest.inputs["skipped"]]


def _dropped(stages: Sequence[StageCounts]) -> list[str]:
    """Return a line for each reason, of which the rarest are added up if there are too many."""
    found = list(reasons(stages))
    limit = sorted((count for *_, count in found), reverse=True)[_REASONS - 2] if len(found) > _REASONS else 0
    shown = [item for item in found if item[2] >= limit][: _REASONS - 1 if limit else None]
    lines = [f"    {stage}/{reason:<{44 - len(stage)}} {count:>8,}" for stage, reason, count in shown]
    rest = len(found) - len(shown)
    if rest:
        lines.append(f"    {f'… {rest} more reasons':<45} {sum(n for *_, n in found) - sum(n for *_, n in shown):>8,}")
    return lines


def _few(lines: Sequence[str], limit: int) -> list[str]:
    """Return at most *limit* lines, the last of which says how many more there are."""
    return list(lines) if len(lines) <= limit else [*lines[: limit - 1], f"… {len(lines) - limit + 1} more reasons"]


def _stages(stages: Sequence[StageCounts]) -> list[str]:
    """Return a table of what each stage did and cost; its last row is the sum."""
    whole = StageCounts(kind="all stages")
    for stage in stages:
        whole.add(stage)
    whole.documents_in = stages[0].documents_in if stages else 0
    whole.kept = stages[-1].kept if stages else 0
    crashed = whole.quarantined > 0
    rows = [["stage", "in", "out", "dropped", *(["crashed"] if crashed else []), "CPU s", "MB/s"]]
    for stage in (*stages, whole):
        counts = [stage.documents_in, stage.kept, sum(stage.dropped.values())]
        counts += [stage.quarantined] if crashed else []
        speed_ = stage_rate(stage) if stage is not whole else ""
        rows.append([stage.kind, *(f"{count:,}" for count in counts), f"{stage.seconds:,.2f}", speed_])
    return [line.rstrip() for line in aligned(rows)]


def _facts(manifest: Manifest) -> Iterator[str]:
    """Yield what each corpus stage told: its single values, and its alarms in full; the report has its tables."""
    for stage, facts in manifest.corpus_stages.items():
        parts = [f"{spoken(name)} {shown(value)}" for name, value in facts.items() if not isinstance(value, list)]
        if parts:
            yield from textwrap.wrap(f"{stage}: {', '.join(parts)}", 110, subsequent_indent="    ")
        yield from (f"ALARM {stage}: {row['alarm']}" for row in facts.get("alarms", ()))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:6.1%}" if whole else ""
