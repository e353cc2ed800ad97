"""Removal of exact and near duplicates: a content hash first, then MinHash signatures, banded LSH and verification.

The signature and its words are specified in `signature`, the bands in `banding`, and the ordered half in `near_index`.
datasketch gave the semantics and is kept as an engine (`signature = "datasketch"`) for corpora whose indexes it made; its
tables and its hashing in Python cost 5 kB a document and took 5 MB/s, which is why the engine is not the default.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import RecipeError
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages.banding import PRESETS, bands_for
from corpusmill.stages.base import CorpusStage, SketchReader
from corpusmill.stages.index_plan import IndexPlan, plan_index

if TYPE_CHECKING:
    from corpusmill.stages.near_index import NearIndex

__all__ = ["Deduplicate", "saved_index"]

_INDEX_FOLDER = re.compile(r"deduplicate(?:#(\d+))?-(\d+)")
_BEGUN, _DONE = b'{"event":"run"', b'{"event":"done"'  # how lines of a journal begin


class Deduplicate(CorpusStage, frozen=True, kw_only=True):
    """Drop documents that duplicate an earlier, kept one.

    `exact_duplicate`: same text after case folding and white space (value 1). `near_duplicate`: Jaccard similarity of the
    word shingles at least `threshold` (value: the similarity that was measured). `ref` is the id of the kept document.
    The same with `_against`: the document that it duplicates is in one of the corpora named in `against`.
    """

    reasons = frozenset({"exact_duplicate", "near_duplicate", "exact_duplicate_against", "near_duplicate_against"})
    version: ClassVar[int] = 2

    near: bool = True
    """Look for near duplicates too; False keeps only the exact pass."""
    threshold: Annotated[float, Meta(gt=0, le=1)] = 0.8
    """Jaccard similarity from which a document is a duplicate. Below 0.7, templated pages of one site begin to collapse."""
    preset: Literal["fineweb", "strict"] | None = None
    """`fineweb`: 14 bands of 8 rows, unverified. `strict`: 32 of 4, verified, which misses fewer pairs and compares more."""
    bands: Annotated[int, Meta(ge=2)] | None = None
    """LSH bands; None derives them from the threshold (see `bands_for`). Give both `bands` and `rows`, or neither."""
    rows: Annotated[int, Meta(ge=1)] | None = None
    """Signature rows in a band."""
    verify: Literal["exact", "estimate", "none"] = "exact"
    """`exact` compares shingle sets, which are stored on disk at about 1.2 times the text; `estimate` compares signatures
    and errs by 0.035; `none` trusts the bands, as FineWeb did, and removes documents that are not alike."""
    shingle_words: Annotated[int, Meta(ge=1, le=50)] = 5
    """Words in a shingle. Five is what FineWeb and text-dedup use; fewer make long documents look alike."""
    words: Literal["unicode", "python"] = "unicode"
    r"""What a word is. `unicode`: letters, marks and digits; in scripts without spaces every letter is one. `python`: what
    `\w+` matches, as most tools have it: a Chinese clause is one word, so near duplicates there are missed."""
    permutations: Annotated[int, Meta(ge=16, le=1024)] = 128
    """Length of a MinHash signature."""
    signature: Literal["v1", "datasketch", "datasketch_legacy"] = "v1"
    """`datasketch` gives the signatures of datasketch 2 (and `_legacy` those of datasketch 1) over the same shingles, for
    use with indexes that it made; slower."""
    bucket_size: Annotated[int, Meta(ge=1, le=4096)] = 16
    """Kept documents that a bucket remembers; later ones with the same band are not found through it. Risk of low values:
    near duplicates behind many documents of one template are missed."""
    max_index_memory: str | None = None
    """Cap on the memory of the index, for example `"8GB"`. When its tables reach it they become Bloom filters, which hold
    about five times as many documents and cannot be verified: from then on near duplicates have no `ref`."""
    against: tuple[str, ...] = ()
    """Output directories of other runs: what those corpora hold is dropped here. Nothing is added to them."""
    clusters: bool = False
    """Write `clusters/*.parquet`: for each removed document the kept one and their similarity."""
    alarm_cluster_size: Annotated[int, Meta(ge=2)] = 1_000
    """A kept document for which at least so many were removed is named in the report: a template, or a page of one source that
    swallowed the rest."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preset is not None and (self.bands is not None or self.rows is not None):
            raise RecipeError(
                f"deduplicate: the preset {self.preset} sets bands and rows; leave them out, or the preset"
            )
        if self.preset is not None and not PRESETS[self.preset][2] and self.verify == "estimate":
            raise RecipeError(
                f"deduplicate: the preset {self.preset} is unverified; for a verified one give bands and rows themselves"
            )
        if (self.bands is None) != (self.rows is None):
            raise RecipeError("deduplicate: give both bands and rows, or neither")
        bands, rows = self.banding
        if bands * rows > self.permutations:
            raise RecipeError(
                f"deduplicate: {bands} bands x {rows} rows need more than {self.permutations} permutations"
            )
        if self.max_index_memory is not None:
            parse_size(self.max_index_memory)

    @property
    def banding(self) -> tuple[int, int]:
        """The (bands, rows) in force."""
        if self.preset is not None:
            return PRESETS[self.preset][:2]
        if self.bands is None or self.rows is None:
            return bands_for(self.threshold, self.permutations)
        return self.bands, self.rows

    @property
    def verification(self) -> Literal["exact", "estimate", "none"]:
        """How candidates are verified: as set, or not at all where the preset says so."""
        return self.verify if self.preset is None or PRESETS[self.preset][2] else "none"

    @property
    def max_index_bytes(self) -> int | None:
        """The cap on the memory of the index, in bytes."""
        return None if self.max_index_memory is None else parse_size(self.max_index_memory)

    def resources(self) -> tuple[str, ...]:
        """Return the heads of the indexes that are compared with: they change when what those corpora hold does."""
        folders = [saved_index(path) for path in self.against]
        return tuple(str(path) for folder in folders for path in sorted(folder.glob("*.json")))

    @property
    def kernels(self) -> tuple[str, ...]:
        """Those of signatures and of the index."""
        return "near_sign", "near_index"

    def plan(self, documents: int) -> IndexPlan:
        """Return what an index of so many kept documents takes."""
        return plan_index(documents, self.banding[0] if self.near else 0, self.max_index_bytes)

    @property
    def sketch_bytes(self) -> int:
        """Bytes on disk of the sketch of a document, but for its shingles and the letters of its id."""
        return 20 + (4 * self.permutations if self.near else 0)

    def sketch_schema(self) -> pa.Schema:
        """Return the schema of a sketch: the id, the content hash, the signature and the shingles that verification needs."""
        fields = [pa.field("id", pa.string()), pa.field("content", pa.binary(16))]
        if self.near:
            fields.append(pa.field("signature", pa.list_(pa.uint32(), self.permutations)))
            if self.verification == "exact":
                fields.append(pa.field("shingles", pa.large_list(pa.uint64())))
        return pa.schema(fields)

    def sketch(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """Build the function from a batch (`text`, optional `id`) to one sketch per row."""
        from corpusmill.stages import signature
        from corpusmill.stages.compile_ahead import compile_ahead

        compile_ahead(*self.kernels)
        schema = self.sketch_schema()

        def run(batch: pa.RecordBatch) -> pa.RecordBatch:
            texts = batch.column("text")
            ids = batch.column("id") if "id" in batch.schema.names else pa.nulls(len(texts), pa.string())
            columns = [_named(ids)]
            if not self.near:
                columns.append(signature.content_hashes(texts))
            else:
                sketches = signature.sketch(
                    texts,
                    shingle_words=self.shingle_words,
                    permutations=self.permutations,
                    words=self.words,
                    signature=self.signature,
                    shingles="shingles" in schema.names,
                )
                flat = pa.array(sketches.signatures.reshape(-1))
                columns += [sketches.content, pa.FixedSizeListArray.from_arrays(flat, self.permutations)]
                if sketches.shingles is not None:
                    columns.append(pa.LargeListArray.from_arrays(sketches.shingle_offsets, sketches.shingles))
            return pa.RecordBatch.from_arrays(
                [column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
            )

        return run

    def open_index(self, reader: SketchReader | None = None) -> NearIndex:
        """Return an empty index; about 210 bytes of memory a kept document at 20 bands."""
        from corpusmill.stages.near_index import NearIndex

        return NearIndex(self, reader)

    def check(self) -> None:
        """Open the indexes of the other corpora.

        Raises:
            RecipeError: a corpus has no index, or one that cannot be compared with.

        """
        if self.against:
            from corpusmill.stages.near_index import ReferenceIndex

            for path in self.against:
                ReferenceIndex.open(path, self)

    def load_index(self, folder: Path) -> NearIndex:
        """Return the index that was saved in *folder*."""
        from corpusmill.stages.near_index import NearIndex

        return NearIndex.load(self, folder)


def saved_index(output: str) -> Path:
    """Return the folder of the newest index of the last `deduplicate` stage in the output directory of a finished run.

    Raises:
        RecipeError: there is none, or the run has not finished: it would stand for the whole corpus.

    """
    found: dict[tuple[int, int], Path] = {}
    for head in Path(output).glob("state/index/deduplicate*/index.json"):
        if match := _INDEX_FOLDER.fullmatch(head.parent.name):
            found[int(match[1] or 1), int(match[2])] = head.parent
    if not found:
        raise RecipeError(
            f"deduplicate: {output} has no index in state/index/; name the output of a finished run that removes duplicates"
        )
    journal = Path(output, "state", "journal.jsonl")
    lines = journal.read_bytes().splitlines() if journal.is_file() else []  # none: made by `write_index`
    if sum(line.startswith(_BEGUN) for line in lines) > sum(line.startswith(_DONE) for line in lines):
        raise RecipeError(
            f"deduplicate: the run into {output} has not finished; run it to its end before it is compared with"
        )
    return found[max(found)]


def _named(ids: pa.Array) -> pa.Array:
    """Return ids as strings; a document without one is known by its row."""
    if not ids.null_count:
        return ids.cast(pa.string())
    return pa.array([str(row if id_ is None else id_) for row, id_ in enumerate(ids.to_pylist())], pa.string())
