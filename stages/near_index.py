"""First-wins resolution of duplicates over everything seen so far: the ordered half of `Deduplicate`.

A document is compared with *kept* documents only, so every removal names a document that is really there, and chains of near
duplicates do not collapse into one. Bands name candidates; whether a candidate is similar enough is decided from the
sketches, which stay on disk.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.schemas import Drop, OutputMismatchError, RecipeError, verdict_array
from corpusmill.stages.band_index import BandIndex
from corpusmill.stages.banding import s_curve
from corpusmill.stages.base import SketchReader
from corpusmill.stages.deduplicate import Deduplicate, saved_index
from corpusmill.stages.signature import SPECIFICATION, band_keys
from corpusmill.stages.sketch_store import SketchStore, sketch_reader
from corpusmill.stages.verification import Ordinals, Verifier

__all__ = ["NearIndex", "ReferenceIndex", "sketch_keys"]

_NAMED = 20  # clusters that are named
_HEADER = "index.json"

Keys = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


def sketch_keys(batch: pa.RecordBatch, banding: tuple[int, int] | None) -> Keys:
    """Return the keys of a batch of sketches, shape (1 + bands, rows): row 0 is the content hash, the others are LSH bands."""
    column = batch.column("content")
    words = np.frombuffer(column.buffers()[1], "<u8").reshape(-1, 2)[column.offset : column.offset + len(column), 0]
    content: Keys = words.reshape(1, -1)  # 0, a document whose content is not known, is in no band
    if banding is None:
        return np.array(content)
    signatures = batch.column("signature")
    flat = signatures.flatten().to_numpy(zero_copy_only=True).reshape(len(column), signatures.type.list_size)
    keys: Keys = np.concatenate([content, band_keys(flat, *banding)])
    return keys


class NearIndex:
    """Everything that was seen, owned by one process and fed in split order.

    About 210 bytes of memory a kept document at 20 bands, and on disk the sketches, which it reads through *reader*.
    """

    def __init__(self, settings: Deduplicate, reader: SketchReader | None = None) -> None:
        self._settings = settings
        self._banding = settings.banding if settings.near else None
        self._bands = BandIndex(
            1 + (self._banding[0] if self._banding else 0),
            entries=settings.bucket_size,
            max_memory=settings.max_index_bytes if settings.near else None,
        )
        self._store = SketchStore(reader)
        self._verifier = Verifier(settings.near, settings.threshold, settings.permutations, settings.verification)
        self._copies: npt.NDArray[np.uint32] = np.zeros(0, np.uint32)  # by ordinal: how many were dropped for it
        self._counts: Counter[str] = Counter()
        self._references = [ReferenceIndex.open(path, settings) for path in settings.against]

    def add(self, split: int, sketches: pa.Table) -> list[tuple[int, pa.StructArray]]:
        """Judge the documents of *split* against all kept ones, in row order; the verdicts are known at once."""
        first = self._store.append(split, sketches)
        self._room_for(self._store.documents)
        found: dict[int, Drop] = {}
        keys: list[Keys] = []
        row = 0
        for batch in sketches.to_batches():
            for reference in self._references:
                found = reference.find(batch, row, self._store, first, self._verifier) | found
            keys.append(sketch_keys(batch, self._banding))
            row += batch.num_rows
        if keys:
            self._resolve(np.concatenate(keys, axis=1), first, found)
        self._counts["documents"] += row
        self._counts["kept"] += row - len(found)
        for drop in found.values():
            self._counts[drop.reason] += 1
        return [(split, verdict_array([found.get(row) for row in range(sketches.num_rows)]))]

    def expect(self, documents: int) -> None:
        """Make room for about so many documents, if as large a share of them is kept as of those before."""
        self._bands.expect(documents * self._bands.kept // max(self._store.documents, 1))

    def finish(self) -> list[tuple[int, pa.StructArray]]:
        """Return nothing: no split ever waits."""
        return []

    @property
    def documents(self) -> int:
        """How many documents it has seen."""
        return self._store.documents

    def hold(self, split: int, sketches: pa.Table) -> None:
        """Take in the documents of *split* without judging them: a reference corpus holds what it holds."""
        first = self._store.append(split, sketches)
        self._room_for(self._store.documents)
        for batch in sketches.to_batches():
            self._bands.resolve(sketch_keys(batch, self._banding), first, lambda *_: False)
            first += batch.num_rows

    @staticmethod
    def kept_of(folder: Path) -> tuple[SketchStore, list[int]]:
        """Return the sketches of the index saved in *folder*, and the ordinals of kept documents that have a signature.

        Raises:
            RecipeError: there are no signatures.

        """
        header = json.loads((folder / _HEADER).read_text())
        if header["banding"] is None:
            raise RecipeError(f"{folder} knows contents only: it was made with near = false")
        return _stored(folder, header), BandIndex.load(folder / "bands").ordinals().tolist()

    def _resolve(self, keys: Keys, first: int, found: dict[int, Drop]) -> None:
        """Judge the documents from *first* on that are not *found* to be duplicates already, and add their verdicts."""
        keys[:, list(found)] = 0

        def are_duplicates(rows: Rows, ends: Rows, ordinals: Ordinals, bands: Ordinals) -> list[bool]:
            verdicts = []
            for row, (begin, end) in zip(rows.tolist(), pairwise(ends.tolist()), strict=True):
                match = self._verifier(self._store, first + row, self._store, ordinals[begin:end], bands[begin:end])
                verdicts.append(match is not None)
                if match is not None:
                    found[row], kept = match
                    self._copies[kept] += 1
            return verdicts

        for row in np.flatnonzero(~self._bands.resolve(keys, first, are_duplicates)).tolist():
            if row not in found:  # what a filter drops, nothing can name
                self._counts["filtered"] += 1
                found[row] = Drop("near_duplicate", None, self._settings.threshold)

    def _room_for(self, documents: int) -> None:
        if documents > len(self._copies):
            grown = np.zeros(max(documents, 2 * len(self._copies), 1024), np.uint32)
            grown[: len(self._copies)] = self._copies
            self._copies = grown

    def facts(self) -> dict[str, Any]:
        """Return what the report says: how surely pairs are found and were compared, what it took, and the largest clusters."""
        settings, compared = self._settings, self._verifier.counts
        facts: dict[str, Any] = {"documents": self._counts["documents"], "kept": self._counts["kept"]}
        facts["clusters"] = int(np.count_nonzero(self._copies))
        facts |= {"index_bytes": self._bands.nbytes, "signature_specification": SPECIFICATION}
        if self._banding is not None:
            bands, rows = self._banding
            facts |= {
                "signature": settings.signature,
                "threshold": settings.threshold,
                "bands": bands,
                "rows": rows,
                "compared_exactly": compared["exact"],
                "compared_by_signature": compared["estimate"],
                "not_compared": compared["none"],
                "left_out_by_signature": compared["far"],
                "dropped_by_filter": self._counts["filtered"],
                "refused_by_full_buckets": self._bands.full_keys,
                "detection": [{"similarity": similarity, "found": found} for similarity, found in s_curve(bands, rows)],
            }
        facts["largest_clusters"] = self._largest()
        facts["alarms"] = [{"alarm": text} for text in self._alarms(facts["largest_clusters"])]
        return facts

    def _alarms(self, largest: list[dict[str, Any]]) -> Iterator[str]:
        """Yield what somebody should look at: a template can swallow a source without a word."""
        limit = self._settings.alarm_cluster_size
        for cluster in largest:
            if cluster["documents"] > limit:
                # An id is data: as a line of its own, or written backwards, it could pose as something else.
                id_ = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cluster["id"])
                yield f"{cluster['documents'] - 1:,} documents were removed as duplicates of {id_}"
        if full := self._bands.full_keys:
            yield (
                f"{full:,} times a kept document found a bucket full: more than {self._settings.bucket_size} documents that are "
                "no duplicates share a band, as pages of one template do; near duplicates may be missed there (bucket_size)"
            )
        if self._counts["filtered"]:
            yield (
                f"{self._counts['filtered']:,} documents were removed by a filter, unverified, because the index reached "
                f"max_index_memory ({self._settings.max_index_memory})"
            )

    def _largest(self) -> list[dict[str, Any]]:
        """Return the clusters with most documents, the kept one included; of equals the earlier first."""
        copies = self._copies[: self._store.documents]
        count = min(_NAMED, len(copies))
        limit = np.partition(copies, len(copies) - count)[len(copies) - count] if count else 0
        ordinals = np.flatnonzero(copies >= max(limit, 1))
        ranked = ordinals[np.argsort(-copies[ordinals].astype(np.int64), kind="stable")][:count]
        return [{"id": self._store.id(int(o)), "documents": int(copies[o]) + 1} for o in ranked]

    def save(self, folder: Path, sketches: str) -> None:
        """Write the index into an empty *folder*.

        *sketches* is the path of the sketches of a split, relative to the folder, with `{split}` in it.
        """
        self._bands.save(folder / "bands")
        splits, starts = self._store.layout
        arrays = {"splits": splits, "starts": starts, "copies": self._copies[: self._store.documents]}
        for name, values in arrays.items():
            dtype = np.uint32 if name == "copies" else np.int64
            np.save(folder / f"{name}.npy", np.asarray(values, dtype), allow_pickle=False)
        header = {
            "sketches": sketches,
            "documents": self._store.documents,
            "counts": dict(self._counts),
            "verified": dict(self._verifier.counts),
            "banding": self._banding,
            **_shape(self._settings),
        }
        (folder / _HEADER).write_text(json.dumps(header, indent=1))

    @classmethod
    def load(cls, settings: Deduplicate, folder: Path) -> NearIndex:
        """Return the index that was saved in *folder*; the tables are memory-mapped."""
        header = json.loads((folder / _HEADER).read_text())
        index = cls(settings)
        index._bands = BandIndex.load(folder / "bands")
        index._store = _stored(folder, header)
        index._copies = np.load(folder / "copies.npy", allow_pickle=False)
        index._counts = Counter(header["counts"])
        index._verifier.counts = Counter(header["verified"])
        return index


class ReferenceIndex:
    """The index of another corpus, read only: what it holds is dropped here, and nothing is added to it."""

    def __init__(self, bands: BandIndex, store: SketchStore, banding: tuple[int, int] | None) -> None:
        self._bands = bands
        self._store = store
        self._banding = banding

    @classmethod
    def open(cls, path: str, settings: Deduplicate) -> ReferenceIndex:
        """Open the newest index of the output directory *path*.

        Raises:
            RecipeError: it has none, or one whose signatures cannot be compared with those of *settings*.

        """
        folder = saved_index(path)
        try:
            header = json.loads((folder / _HEADER).read_text())
            bands, store = BandIndex.load(folder / "bands"), _stored(folder, header)
        except (OSError, ValueError, LookupError, TypeError, EOFError, OutputMismatchError) as error:
            raise RecipeError(
                f"deduplicate: the index of {path} cannot be read ({error}); run that recipe once more over a new file, "
                "or leave it out of against"
            ) from error
        both = settings.near and header["banding"] is not None  # else contents are compared, and no more
        differences = [
            f"{name} is {header.get(name)!r} there and {value!r} here"
            for name, value in _shape(settings).items()
            if header.get(name) != value and (both or name == "specification")
        ]
        if differences:
            raise RecipeError(
                f"deduplicate: the index of {path} cannot be compared with this recipe: {'; '.join(differences)}"
            )
        banding = tuple(header["banding"]) if both else None
        return cls(bands, store, banding)

    def find(
        self, batch: pa.RecordBatch, row: int, mine: SketchStore, first: int, verifier: Verifier
    ) -> dict[int, Drop]:
        """Return the verdicts on those documents of a batch that this corpus holds, by row.

        The batch begins at *row* of a split, and the split at ordinal *first* of the store *mine*.
        """
        found = {}
        keys = sketch_keys(batch, self._banding)
        keys = np.pad(keys, ((0, self._bands.bands - len(keys)), (0, 0)))  # 0: not looked for in that band
        offsets, ordinals, bands = self._bands.query(keys)
        for at in np.flatnonzero(np.diff(offsets)).tolist():
            part = slice(offsets[at], offsets[at + 1])
            near = self._banding is not None
            match = verifier(mine, first + row + at, self._store, ordinals[part], bands[part], near=near)
            if match is not None:
                drop, _ = match
                found[row + at] = Drop(f"{drop.reason}_against", drop.value, drop.limit, drop.ref)
        for at in np.flatnonzero(self._bands.seen(keys)).tolist():  # by its filters, which cannot name a document
            found.setdefault(row + at, Drop("near_duplicate_against", None, verifier.limit))
        return found


def _shape(settings: Deduplicate) -> dict[str, Any]:
    """Return what two indexes must have in common to be compared."""
    names = ("signature", "words", "permutations", "shingle_words")
    return {"specification": SPECIFICATION} | {name: getattr(settings, name) for name in names}


def _stored(folder: Path, header: dict[str, Any]) -> SketchStore:
    """Return the store of a saved index, which reads the sketches from where they lie."""
    reader = sketch_reader(folder, header["sketches"])
    splits, starts = (np.load(folder / f"{name}.npy", allow_pickle=False).tolist() for name in ("splits", "starts"))
    return SketchStore.restored(reader, splits, starts, header["documents"])
