"""The records of a run: what the journal holds line by line, and the manifest that is compiled from it.

The journal (`state/journal.jsonl`) is the truth while a run goes on: one line is appended and synced for each product, so
recording the millionth split costs what the first one cost. `manifest.json` is what people and other programs read.
"""

from __future__ import annotations

from typing import Any

import msgspec

from corpusmill.schemas.inputs import InputFile, SkippedFile

__all__ = [
    "CorpusFacts",
    "DocumentCounts",
    "EngineChosen",
    "EngineDistrusted",
    "FileRecord",
    "GroupCounts",
    "GroupRates",
    "InputsMoved",
    "Manifest",
    "MixtureCounts",
    "MixtureShares",
    "PlannedPart",
    "RecipeAccepted",
    "RunFinished",
    "RunStarted",
    "SegmentRecord",
    "ShardRecord",
    "SplitPlanned",
    "StageCounts",
    "TokenizerMade",
]


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the output: its path relative to the output directory, its rows and its SHA-256."""

    path: str
    rows: int
    sha256: str


class MixtureCounts(msgspec.Struct, kw_only=True):
    """What was taken of one table of the mixture.

    Documents that are in shards, their further copies there, the tokens of both and of the copies alone; and documents left out.
    """

    documents: int = 0
    repeats: int = 0
    tokens: int = 0
    repeated_tokens: int = 0
    left_out: int = 0

    def add(self, other: MixtureCounts) -> None:
        """Add the counts of *other*, in place."""
        self.documents += other.documents
        self.repeats += other.repeats
        self.tokens += other.tokens
        self.repeated_tokens += other.repeated_tokens
        self.left_out += other.left_out


class MixtureShares(MixtureCounts, kw_only=True):
    """`MixtureCounts` under the name of the table, beside what there was and what was asked for: tokens in both cases.

    `weight` is the share of the mixture that the recipe asks for; null where it names none.
    """

    name: str
    weight: float | None
    available_tokens: int
    asked_tokens: int


class ShardRecord(msgspec.Struct, frozen=True, kw_only=True, tag="shard", tag_field="event"):
    """A shard: what it holds and from which splits it was made.

    `documents` counts documents even where the rows are packed sequences, each where it begins; `padding` is tokens added to fill
    rows up. With `pack.remainder = "carry"` the first row may begin with tokens of splits before `splits`.
    """

    path: str
    documents: int
    tokens: int
    rows: int
    padding: int
    subset: str
    splits: tuple[int, int]
    sha256: str
    mixture: dict[str, MixtureCounts] = msgspec.field(default_factory=dict)
    """What it took of each table of the mixture, by name."""
    files: list[FileRecord] = msgspec.field(default_factory=list)
    """The rejects that were written with it: documents that the mixture leaves out."""
    groups: dict[str, dict[str, GroupCounts]] = msgspec.field(default_factory=dict)
    """By `language` and `source`, and by the name of the group: its documents and tokens."""

    @property
    def repeats(self) -> int:
        """How many of its documents stand in this shard or another already."""
        return sum(counts.repeats for counts in self.mixture.values())


class StageCounts(msgspec.Struct, kw_only=True):
    """What one stage did: documents in and kept, dropped by reason, crashed (and so quarantined), and CPU seconds.

    `bytes_in` is the size of the documents that went in: of their HTML as long as they have it, and of their text.
    """

    kind: str
    documents_in: int = msgspec.field(default=0, name="in")
    bytes_in: int = 0
    kept: int = 0
    dropped: dict[str, int] = msgspec.field(default_factory=dict)
    quarantined: int = 0
    seconds: float = 0.0

    def add(self, other: StageCounts) -> None:
        """Add the counts of *other*, in place."""
        self.documents_in += other.documents_in
        self.bytes_in += other.bytes_in
        self.kept += other.kept
        self.quarantined += other.quarantined
        self.seconds += other.seconds
        for reason, count in other.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count


class GroupCounts(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What two filters did to the documents of one language or source, and what of them is in shards.

    `filter_toxicity` saw and dropped documents; `redact_pii` saw documents, dropped some (`too_much_pii`), found something to
    replace in some, dropped or not, and so often. What is in shards counts as `documents` and `unique_tokens`, each once, and as
    `tokens`, as often as it is there.
    """

    toxicity_seen: int = 0
    toxicity_dropped: int = 0
    pii_seen: int = 0
    pii_dropped: int = 0
    pii_documents: int = 0
    redactions: int = 0
    documents: int = 0
    unique_tokens: int = 0
    tokens: int = 0


class GroupRates(msgspec.Struct, frozen=True, kw_only=True):
    """`GroupCounts` under the name of the group, with rates; a rate is null where the filter saw nothing."""

    name: str
    toxicity_seen: int
    toxicity_dropped: int
    toxicity_drop_rate: float | None
    pii_seen: int
    pii_documents: int
    pii_document_rate: float | None
    redactions: int
    redactions_per_document: float | None
    pii_dropped: int = 0
    pii_drop_rate: float | None = None
    documents: int = 0
    unique_tokens: int = 0
    tokens: int = 0


class DocumentCounts(msgspec.Struct, kw_only=True):
    """The account of a run: `in == kept + dropped + quarantined`."""

    documents_in: int = msgspec.field(default=0, name="in")
    kept: int = 0
    dropped: int = 0
    quarantined: int = 0


class SegmentRecord(msgspec.Struct, kw_only=True, tag="segment", tag_field="event"):
    """What a worker did with one split in one segment of the stages, and the files that it left."""

    split: int
    segment: int
    fingerprint: str = ""
    """That of the recipe under which the work was done."""
    stored: int = 0
    """Stored bytes of the inputs that were read; only in the first segment."""
    hashes: list[str | None] = msgspec.field(default_factory=list)
    """XXH3 of the stored bytes of each part, by which a file that was only touched is told from a changed one."""
    read: int = 0
    unreadable: int = 0
    skipped_records: dict[str, int] = msgspec.field(default_factory=dict)
    stages: list[StageCounts] = msgspec.field(default_factory=list)
    files: list[FileRecord] = msgspec.field(default_factory=list)
    kept: int = 0
    spill: str | None = None
    sketches: FileRecord | None = None
    first_errors: dict[str, str] = msgspec.field(default_factory=dict)
    """For each stage that crashed on a document: the first error, and the id of that document."""
    subsets: dict[str, int] = msgspec.field(default_factory=dict)
    """Tokens (or characters) of each subset; only in the last segment."""
    mixture: list[int] = msgspec.field(default_factory=list)
    """The same for each table of the mixture; of what is held out nothing counts."""
    sizes: dict[str, int] = msgspec.field(default_factory=dict)
    """Estimated bytes of each subset in a shard; only in the last segment, and with `output.shard_size`."""
    languages: dict[str, int] = msgspec.field(default_factory=dict)
    html_engines: dict[str, int] = msgspec.field(default_factory=dict)
    """Documents by the value of the signal of this name, where they were dropped here or left the last segment."""
    groups: dict[str, dict[str, GroupCounts]] = msgspec.field(default_factory=dict)
    """By `language` and `source`, and by the name of the group: what filters took from it. The others are under no name."""
    engines: dict[str, int] = msgspec.field(default_factory=dict)
    """Documents by the engine that tokenized them, and under `compared` those that two engines tokenized."""
    seconds: float = 0.0
    peak_memory: int = 0
    """Bytes: the largest resident size that the worker process has had so far."""


class RunStarted(msgspec.Struct, frozen=True, kw_only=True, tag="run", tag_field="event"):
    """The start of a batch of new files: their splits follow those of earlier batches."""

    files: tuple[InputFile, ...]
    skipped: tuple[SkippedFile, ...]
    fingerprint: str
    recipe: dict[str, Any]
    versions: dict[str, str]
    started: str
    stages: dict[str, list[Any]] = msgspec.field(default_factory=dict)
    """By stage: its version, and the hash of each file that it names."""


class RecipeAccepted(msgspec.Struct, frozen=True, kw_only=True, tag="accepted", tag_field="event"):
    """From here on another recipe, or other versions of stages, are in force: the user accepted them for this output."""

    fingerprint: str
    recipe: dict[str, Any]
    versions: dict[str, str]
    stages: dict[str, list[Any]]


class PlannedPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A `Part` as the journal keeps it, with the position of its file in the batch instead of the file."""

    file: int
    start: int | None = None
    stop: int | None = None
    first: int = 0
    offset: int = 0
    size: int | None = None
    damage: str | None = None
    hash: str | None = None


class SplitPlanned(msgspec.Struct, frozen=True, kw_only=True, tag="split", tag_field="event"):
    """A split of batch number `batch` (from 0). Large files are cut while the run goes on, so splits come one by one."""

    index: int
    batch: int
    parts: tuple[PlannedPart, ...]


class TokenizerMade(msgspec.Struct, frozen=True, kw_only=True, tag="tokenizer", tag_field="event"):
    """The tokenizer of the output: from now on no other may write into its shards."""

    sha256: str
    vocabulary_size: int


class EngineChosen(msgspec.Struct, frozen=True, kw_only=True, tag="engine", tag_field="event"):
    """What makes the ids from here on, and why; they are those of `tokenizers` whatever it is."""

    engine: str
    version: str
    reason: str


class EngineDistrusted(msgspec.Struct, frozen=True, kw_only=True, tag="distrusted", tag_field="event"):
    """The engine gave other ids than `tokenizers`: the batch was begun again, and only `tokenizers` is used from here on."""

    engine: str
    version: str
    error: str


class InputsMoved(msgspec.Struct, frozen=True, kw_only=True, tag="moved", tag_field="event"):
    """Known inputs that lie elsewhere now, or were touched, with the same contents: path and time of change, by name."""

    paths: dict[str, str] = msgspec.field(default_factory=dict)
    times: dict[str, int] = msgspec.field(default_factory=dict)


class CorpusFacts(msgspec.Struct, frozen=True, kw_only=True, tag="facts", tag_field="event"):
    """What the index of a corpus stage has to say at the end of a batch, of all documents so far; the last event counts.

    Values are numbers and words, or tables: lists of rows with the same names.
    """

    stage: str
    facts: dict[str, Any]


class RunFinished(msgspec.Struct, frozen=True, kw_only=True, tag="done", tag_field="event"):
    """The end of a batch: every split of it is in a shard, a reject, or quarantine."""

    finished: str
    seconds: float
    """Wall time of the process that finished it."""
    workers: int
    resumed: bool = False
    """Whether an earlier process did a part of it."""


class Manifest(msgspec.Struct, kw_only=True):
    """`manifest.json`. Clock times and durations live only here and in logs, never in a shard."""

    documents: DocumentCounts
    tokens: int
    stages: list[StageCounts]
    shards: list[ShardRecord]
    files: list[FileRecord]
    inputs: dict[str, Any]
    languages: dict[str, int]
    recipe: dict[str, Any]
    fingerprint: str
    versions: dict[str, str]
    tokenizer: dict[str, Any] | None
    runs: list[dict[str, Any]]
    fingerprints: dict[str, int] = msgspec.field(default_factory=dict)
    """How many splits were finished under which fingerprint: more than one where other versions were accepted."""
    corpus_stages: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    """By corpus stage: what its index had to say of the whole corpus (see `CorpusFacts`)."""
    html_engines: dict[str, int] = msgspec.field(default_factory=dict)
    """Kept and dropped documents by the engine or fallback that read their HTML last (the signal `html_engine`)."""
    groups: dict[str, list[GroupRates]] = msgspec.field(default_factory=dict)
    """By `language` and `source`: what filters took from all documents, from those of the largest groups, and from others, and
    what of them is in shards. Filters know no language where `filter_language` runs after them."""
    unique_tokens: int = 0
    """`tokens` without the repeats of a mixture."""
    packing: dict[str, int] | None = None
    """Of packed shards: `rows`, `sequence_length`, `padding` (tokens added) and `cropped` (tokens of kept documents that are in
    no row, which must be 0)."""
    mixture: list[MixtureShares] = msgspec.field(default_factory=list)
    """By table of the mixture: what was asked for and what came."""
