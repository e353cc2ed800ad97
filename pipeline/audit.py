"""The audit: whether the output is what its manifest says, and every document is accounted for.

Files are hashed and counted again, the sum is made from what lies in shards, rejects and quarantine, and it is held against
what the readers counted when they read. That count stands in the journal, which was written line by line as work was
finished; the manifest is compiled from it once more and must be the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow.parquet as pq

from corpusmill.journal import Journal, file_hash
from corpusmill.manifest import compile_manifest, read_manifest
from corpusmill.schemas.manifest import DocumentCounts, FileRecord, Manifest, RunStarted, SegmentRecord, ShardRecord
from corpusmill.stages.pack import documents_begun

__all__ = ["AuditResult", "audit"]


class AuditResult(msgspec.Struct):
    """What was found: the counts as re-derived from the files, and every difference from the manifest."""

    counted: DocumentCounts
    files: int
    problems: list[str]

    @property
    def ok(self) -> bool:
        """Whether the output is what its manifest says."""
        return not self.problems


def audit(output: str | Path) -> AuditResult:
    """Check the output directory against its manifest.

    Raises:
        OutputMismatchError: there is no manifest to check against.

    """
    root = Path(output)
    manifest = read_manifest(root)
    problems = [*_checksums(root, manifest), *_strangers(root, manifest), *_against_journal(root, manifest)]
    counted = DocumentCounts()
    if not problems:
        reasons = _count(root, manifest, counted)
        problems += _differences(manifest, counted, reasons)
    return AuditResult(counted=counted, files=len(manifest.shards) + len(manifest.files), problems=problems)


def _checksums(root: Path, manifest: Manifest) -> Iterator[str]:
    files: list[ShardRecord | FileRecord] = [*manifest.shards, *manifest.files]
    for record in files:
        path = root / record.path
        if not path.is_file():
            yield f"{record.path} is missing"
        elif file_hash(path) != record.sha256:
            yield f"{record.path} was changed: its SHA-256 is not the one in the manifest"
    if manifest.tokenizer is not None:
        path = root / str(manifest.tokenizer["path"])
        if not path.is_file() or file_hash(path) != manifest.tokenizer["sha256"]:
            yield f"{path.name} is missing or was changed: the shards cannot be decoded with it"


def _against_journal(root: Path, manifest: Manifest) -> Iterator[str]:
    """Yield what the manifest says otherwise than the journal, and sketches that are not as they were."""
    path = root / "state" / "journal.jsonl"
    if not path.is_file():
        yield "state/journal.jsonl is missing: later runs cannot go on from here"
        return
    events = Journal(path).events
    if not any(isinstance(event, RunStarted) for event in events):
        yield "state/journal.jsonl holds no run"
        return
    told, compiled = msgspec.to_builtins(manifest), msgspec.to_builtins(compile_manifest(events))
    for inputs in (told["inputs"], compiled["inputs"]):  # what the last look found is in the manifest only
        del inputs["skipped"], inputs["removed"]
    yield from (f"manifest.json: {key} is not what the journal says" for key in told if told[key] != compiled[key])
    for event in events:
        if isinstance(event, SegmentRecord) and event.sketches is not None:
            sketches = root / event.sketches.path
            if not sketches.is_file() or file_hash(sketches) != event.sketches.sha256:
                yield f"{event.sketches.path} is missing or was changed: later runs would judge duplicates wrongly"


def _strangers(root: Path, manifest: Manifest) -> Iterator[str]:
    """Yield a problem for every Parquet file that the manifest does not name: a loader would read it."""
    named = {shard.path for shard in manifest.shards} | {file.path for file in manifest.files}
    for folder in ("shards", "rejects", "signals", "quarantine", "clusters"):
        for path in sorted((root / folder).glob("*")):
            name = path.relative_to(root).as_posix()
            if name not in named:
                yield f"{name} is not in the manifest"


def _count(root: Path, manifest: Manifest, counted: DocumentCounts) -> Counter[tuple[str, str]]:
    """Count documents in the files, into *counted*; return the rejects by (stage, reason)."""
    reasons: Counter[tuple[str, str]] = Counter()
    counted.documents_in = sum(run["documents"]["in"] for run in manifest.runs)
    for shard in manifest.shards:
        counted.kept += _documents(root / shard.path) - shard.repeats
    for file in manifest.files:
        folder = file.path.partition("/")[0]
        if folder == "rejects":
            table = pq.read_table(root / file.path, columns=["stage", "reason"])
            reasons.update(zip(table["stage"].to_pylist(), table["reason"].to_pylist(), strict=True))
        elif folder == "quarantine":
            counted.quarantined += pq.read_metadata(root / file.path).num_rows
    counted.dropped = sum(reasons.values())
    return reasons


def _documents(path: Path) -> int:
    """Return the number of documents in a shard: its rows, or in packed rows the pieces that begin a document."""
    with pq.ParquetFile(path) as file:
        if "document_offsets" not in file.schema_arrow.names:
            return int(file.metadata.num_rows)
        begins = 0
        for batch in file.iter_batches(columns=["document_offsets"]):
            begins += documents_begun(batch)
        return begins


def _differences(manifest: Manifest, counted: DocumentCounts, reasons: Counter[tuple[str, str]]) -> Iterator[str]:
    said = manifest.documents
    for name in ("kept", "dropped", "quarantined"):
        if getattr(said, name) != getattr(counted, name):
            yield f"{name}: the manifest says {getattr(said, name):,}, the files hold {getattr(counted, name):,}"
    signals = sum(file.rows for file in manifest.files if file.path.startswith("signals/"))
    if signals != counted.kept + counted.dropped:
        yield f"signals: {signals:,} rows for {counted.kept + counted.dropped:,} judged documents"
    if manifest.packing is not None and manifest.packing["cropped"]:
        yield f"packing: {manifest.packing['cropped']:,} tokens of kept documents are in no row"
    total = counted.kept + counted.dropped + counted.quarantined
    if said.documents_in != total:
        yield f"{said.documents_in:,} documents were read, {total:,} are accounted for"
    written = Counter({(s.kind, reason): n for s in manifest.stages for reason, n in s.dropped.items()})
    for key in sorted(set(written) | set(reasons)):
        if written[key] != reasons[key]:
            yield f"{key[0]}/{key[1]}: the manifest says {written[key]:,}, the rejects hold {reasons[key]:,}"
    for stage in manifest.stages:
        if stage.documents_in != stage.kept + sum(stage.dropped.values()) + stage.quarantined:
            yield f"{stage.kind}: {stage.documents_in:,} in are not kept + dropped + quarantined"
