"""The manifest: the journal of a run, added up.

It is compiled, never edited: every figure in it is the sum of what workers recorded when their files were complete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from corpusmill.chain import numbered
from corpusmill.group_rates import group_rates
from corpusmill.journal import Event, Journal, by_batch, write_atomically
from corpusmill.mixing import MIXED, STAGE, asked_tokens
from corpusmill.schemas import OutputMismatchError
from corpusmill.schemas.inputs import SkippedFile
from corpusmill.schemas.manifest import (
    CorpusFacts,
    DocumentCounts,
    EngineChosen,
    EngineDistrusted,
    Manifest,
    MixtureShares,
    RecipeAccepted,
    RunFinished,
    RunStarted,
    SegmentRecord,
    ShardRecord,
    StageCounts,
    TokenizerMade,
)
from corpusmill.schemas.recipe import MixtureSettings

__all__ = ["compile_manifest", "read_manifest", "write_manifest"]


def compile_manifest(
    events: Sequence[Event], skipped: Sequence[SkippedFile] = (), removed: Sequence[str] = ()
) -> Manifest:
    """Return the manifest of an output from its journal's *events*.

    *skipped* is what the last look passed over, *removed* the names of inputs that it no longer found.
    """
    starts = [event for event in events if isinstance(event, RunStarted)]
    force = [event for event in events if isinstance(event, RunStarted | RecipeAccepted)][-1]
    ends = [event for event in events if isinstance(event, RunFinished)]
    records = [event for event in events if isinstance(event, SegmentRecord)]
    in_order = sorted(records, key=lambda record: (record.split, record.segment))
    last = max((record.segment for record in records), default=0)
    shards = sorted((event for event in events if isinstance(event, ShardRecord)), key=lambda shard: shard.path)
    written: list[SegmentRecord | ShardRecord] = [*in_order, *shards]
    mixture = _mixture(force, events)
    stages = _stages(force, records)
    if mixture:
        stages.append(_as_stage(mixture, sum(record.kept for record in records if record.segment == last)))
    dropped = sum(sum(stage.dropped.values()) for stage in stages)
    tokens = sum(shard.tokens for shard in shards)
    repeated = sum(table.repeated_tokens for table in mixture) if tokens else 0  # without a tokenizer, characters
    return Manifest(
        documents=DocumentCounts(
            documents_in=sum(r.read + r.unreadable for r in records),
            kept=sum(shard.documents - shard.repeats for shard in shards),
            dropped=dropped,
            quarantined=sum(map(_quarantined, records)),
        ),
        tokens=tokens,
        stages=stages,
        shards=shards,
        files=sorted((file for r in written for file in r.files), key=lambda file: file.path),
        inputs=_inputs(starts, records, skipped, removed),
        languages=_added(r.languages for r in records),
        html_engines=_added(r.html_engines for r in records),
        groups=group_rates(record.groups for record in written),
        recipe=force.recipe,
        fingerprint=force.fingerprint,
        versions=force.versions,
        tokenizer=_tokenizer(events, records),
        runs=[
            _run(start, len(splits), mine, ends[at] if at < len(ends) else None)
            for at, (start, (splits, mine)) in enumerate(zip(starts, by_batch(events), strict=True))
        ],
        fingerprints=_added({r.fingerprint: 1} for r in records if r.segment == last),
        unique_tokens=tokens - repeated,
        packing=_packing(force, records, shards),
        mixture=mixture,
        corpus_stages={event.stage: event.facts for event in events if isinstance(event, CorpusFacts)},
    )


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write `manifest.json`, indented for people."""
    with write_atomically(root / "manifest.json") as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def read_manifest(root: Path) -> Manifest:
    """Return the manifest of the output at *root*.

    Raises:
        OutputMismatchError: there is none, or it cannot be read.

    """
    path = root / "manifest.json"
    journal = root / "state" / "journal.jsonl"
    if journal.exists() and Journal(journal).unfinished:
        raise OutputMismatchError(f"the last run into {root} has not finished: run the same command again")
    if not path.exists():
        raise OutputMismatchError(f"there is no {path}; give the output directory of a run")
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.DecodeError as error:
        raise OutputMismatchError(f"{path} cannot be read: {error}") from None


def _stages(force: RunStarted | RecipeAccepted, records: Sequence[SegmentRecord]) -> list[StageCounts]:
    """Return the counts of every stage of the recipe, in its order, and behind them those of stages that it had before."""
    names = numbered([table["kind"] for table in force.recipe["stage"]])
    totals = {name: StageCounts(kind=name) for name in names}
    for record in records:
        for counts in record.stages:
            totals.setdefault(counts.kind, StageCounts(kind=counts.kind)).add(counts)
    for counts in totals.values():
        counts.dropped = dict(sorted(counts.dropped.items()))
        counts.seconds = round(counts.seconds, 3)
    return [counts for counts in totals.values() if counts.kind != "pack"]


def _mixture(force: RunStarted | RecipeAccepted, events: Sequence[Event]) -> list[MixtureShares]:
    """Return what was asked for and what came of each table of the mixture; every batch is mixed for itself."""
    settings = msgspec.convert(force.recipe.get("mixture", []), list[MixtureSettings])
    whole = sum(table.weight or 0.0 for table in settings)
    shares = [
        MixtureShares(
            name=table.label,
            weight=table.weight / whole if table.weight is not None else None,
            available_tokens=0,
            asked_tokens=0,
        )
        for table in settings
    ]
    for _, records in by_batch(events):
        tokens = [sum(of_table) for of_table in zip(*(r.mixture for r in records if r.mixture), strict=True)]
        if tokens:
            for share, there, asked in zip(shares, tokens, asked_tokens(settings, tokens), strict=True):
                share.available_tokens += there
                share.asked_tokens += round(asked)
    for share in shares:
        for shard in (event for event in events if isinstance(event, ShardRecord)):
            if share.name in shard.mixture:
                share.add(shard.mixture[share.name])
    return shares


def _packing(
    force: RunStarted | RecipeAccepted, records: Sequence[SegmentRecord], shards: Sequence[ShardRecord]
) -> dict[str, int] | None:
    """Return what became of tokens where rows are packed: those that went in are what splits left and mixtures took of it."""
    lengths = [stage["sequence_length"] for stage in force.recipe["stage"] if stage["kind"] == "pack"]
    if not lengths:
        return None
    mixed = [counts.tokens for shard in shards for counts in shard.mixture.values()]
    left = sum(n for r in records for subset, n in r.subsets.items() if not mixed or subset != MIXED)
    return {
        "rows": sum(shard.rows for shard in shards),
        "sequence_length": lengths[-1],
        "padding": sum(shard.padding for shard in shards),
        "cropped": left + sum(mixed) - sum(shard.tokens for shard in shards),
    }


def _as_stage(mixture: Sequence[MixtureShares], documents: int) -> StageCounts:
    """Return the mixture as the last stage, into which so many *documents* went."""
    left_out = sum(share.left_out for share in mixture)
    dropped = {STAGE: left_out} if left_out else {}
    return StageCounts(kind=STAGE, documents_in=documents, kept=documents - left_out, dropped=dropped)


def _inputs(
    starts: Sequence[RunStarted],
    records: Sequence[SegmentRecord],
    skipped: Sequence[SkippedFile],
    removed: Sequence[str],
) -> dict[str, Any]:
    files = [file for start in starts for file in start.files]
    formats = Counter(file.format for file in files)
    return {
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "formats": dict(sorted(formats.items())),
        "skipped": [msgspec.to_builtins(file) for file in skipped],
        "removed": list(removed),
        "skipped_records": _added(r.skipped_records for r in records),
    }


def _added(tables: Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for table in tables:
        total.update(table)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _tokenizer(events: Sequence[Event], records: Sequence[SegmentRecord]) -> dict[str, Any] | None:
    """Return what is known of the tokenizer, and of what made its ids: `compared` documents were tokenized by two engines."""
    made = [event for event in events if isinstance(event, TokenizerMade)]
    if not made:
        return None
    documents = _added(record.engines for record in records)
    compared = documents.pop("compared", 0)
    chosen = [event for event in events if isinstance(event, EngineChosen)]
    distrusted = [event for event in events if isinstance(event, EngineDistrusted)]
    return {
        "path": "tokenizer.json",
        "sha256": made[0].sha256,
        "vocabulary_size": made[0].vocabulary_size,
        "engine": chosen[-1].engine if chosen else None,
        "engine_version": chosen[-1].version if chosen else None,
        "engine_reason": chosen[-1].reason if chosen else None,
        "documents": documents,
        "compared": compared,
        "mismatches": len(distrusted),
    }


def _run(start: RunStarted, splits: int, read: Sequence[SegmentRecord], end: RunFinished | None) -> dict[str, Any]:
    return {
        "started": start.started,
        "finished": end.finished if end else None,
        "seconds": end.seconds if end else None,
        "workers": end.workers if end else None,
        "resumed": end.resumed if end else None,
        "splits": splits,
        "files": len(start.files),
        "bytes": sum(r.stored for r in read),
        "peak_memory": max((r.peak_memory for r in read), default=0),
        "documents": {"in": sum(r.read + r.unreadable for r in read), "quarantined": sum(map(_quarantined, read))},
    }


def _quarantined(record: SegmentRecord) -> int:
    return record.unreadable + sum(stage.quarantined for stage in record.stages)
