"""Removal of exact and near duplicates: a content hash first, then MinHash signatures, banded LSH and verification.

datasketch is the engine here: its signatures and its banding are the reference that any faster kernel has to agree with.
Banding alone is not trusted. At the usual 14 x 8 bands it removes documents whose best kept neighbour has a Jaccard
similarity below 0.5; checking candidates against the kept document's own shingles raised F1 from 0.86 to 0.99 on a
benchmark with exact all-pairs truth. The price is eight bytes a shingle on disk, read on demand.

Semantics: streaming and first-wins. A document is compared with *kept* documents only, so that every removal names a
document that is really there; chains of near duplicates do not collapse into one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from msgspec import Meta

from corpusmill.schemas import Drop, RecipeError, verdict_array
from corpusmill.stages.base import CorpusStage, SketchReader

__all__ = ["Deduplicate", "bands_for", "jaccard", "shingle_hashes", "words"]

Hashes = npt.NDArray[np.uint64]

# Scripts written without spaces: Thai to Myanmar, Khmer, kana, bopomofo, Han and its extensions. Each code point is a word,
# because a run of \w there is a whole sentence and 5 sentences as one shingle would find no near duplicate at all.
_NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u3096\u30a0-\u30ff\u3105-\u312f"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_NO_SPACES}]|[^\W{_NO_SPACES}]+")
_BLANKS = re.compile(r"\s+")

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = (
    8192  # shingles permuted at once: n x permutations integers are materialised, 400,000 of them would take 200 MB
)
_MISSED = 0.0025  # share of pairs exactly at the threshold that the derived banding may miss


def words(text: str) -> list[str]:
    """Return the lower-cased words of *text*; in scripts without spaces every letter is one.

    >>> words("The Mill, 2nd ed. 水車小屋")
    ['the', 'mill', '2nd', 'ed', '水', '車', '小', '屋']
    """
    return _WORD.findall(text.lower())


def shingle_hashes(text: str, size: int) -> Hashes:
    """Return the sorted distinct 64-bit hashes of the word *size*-grams of *text*.

    A text of fewer than *size* words is one shingle; a text without any word has none.
    """
    hashes = np.array([xxhash.xxh64_intdigest(word.encode()) for word in words(text)], np.uint64)
    if not len(hashes):
        return hashes
    size = min(size, len(hashes))
    rolled = np.zeros(len(hashes) - size + 1, np.uint64)
    for offset in range(size):
        rolled = rolled * _PRIME + hashes[offset : offset + len(rolled)]
    distinct: Hashes = np.unique(_mix(rolled))
    return distinct


def _mix(values: Hashes) -> Hashes:
    """Apply the 64-bit MurmurHash3 finalizer: the low bits of a polynomial hash alone are too regular to permute."""
    for multiplier in (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)):
        values = (values ^ (values >> np.uint64(33))) * multiplier
    mixed: Hashes = values ^ (values >> np.uint64(33))
    return mixed


def jaccard(left: Hashes, right: Hashes) -> float:
    """Return the Jaccard similarity of two sorted arrays of distinct hashes.

    >>> jaccard(np.array([1, 2, 3], np.uint64), np.array([2, 3, 4], np.uint64))
    0.5
    """
    union = len(left) + len(right)
    if not union:
        return 0.0
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common / (union - common)


def bands_for(threshold: float, permutations: int) -> tuple[int, int]:
    """Return the (bands, rows) that miss at most 1 in 400 pairs exactly at *threshold*, with as many rows as fit.

    More rows mean fewer false candidates to verify. The rule gives 20 x 6 for 0.8 and 128 permutations.

    >>> bands_for(0.8, 128)
    (20, 6)
    """
    for rows in range(permutations // 2, 0, -1):
        hit = threshold**rows
        bands = 1 if hit >= 1 else math.ceil(math.log(_MISSED) / math.log1p(-hit)) if hit > 1e-12 else permutations + 1
        if max(bands, 2) * rows <= permutations:
            return max(bands, 2), rows
    raise RecipeError(
        f"deduplicate: no banding of {permutations} permutations finds pairs at threshold {threshold}; "
        "raise the threshold or the permutations"
    )


class Deduplicate(CorpusStage, frozen=True, kw_only=True):
    """Drop documents that duplicate an earlier, kept one.

    `exact_duplicate`: same text after case folding and white space (value 1). `near_duplicate`: Jaccard similarity of the
    word shingles at least `threshold` (value: the similarity that was measured). `ref` is the id of the kept document.
    """

    reasons = frozenset({"exact_duplicate", "near_duplicate"})
    version: ClassVar[int] = 1

    near: bool = True
    """Look for near duplicates too; False keeps only the exact pass."""
    threshold: Annotated[float, Meta(gt=0, le=1)] = 0.8
    """Jaccard similarity from which a document is a duplicate. Below 0.7, templated pages of one site begin to collapse."""
    permutations: Annotated[int, Meta(ge=16, le=1024)] = 128
    """Length of a MinHash signature."""
    shingle_words: Annotated[int, Meta(ge=1, le=50)] = 5
    """Words in a shingle. Five is what FineWeb and text-dedup use; fewer make long documents look alike."""
    bands: Annotated[int, Meta(ge=2)] | None = None
    """LSH bands; None derives them from the threshold (see `bands_for`). Give both `bands` and `rows`, or neither."""
    rows: Annotated[int, Meta(ge=1)] | None = None
    """Signature rows in a band."""
    verify: Literal["exact", "estimate", "none"] = "exact"
    """`exact` compares shingle sets, `estimate` signatures; `none` trusts the bands, as FineWeb did, and errs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.bands is None) != (self.rows is None):
            raise RecipeError("deduplicate: give both bands and rows, or neither")
        bands, rows = self.banding
        if bands * rows > self.permutations:
            raise RecipeError(
                f"deduplicate: {bands} bands x {rows} rows need more than {self.permutations} permutations"
            )

    @property
    def banding(self) -> tuple[int, int]:
        """The (bands, rows) in force."""
        if self.bands is None or self.rows is None:
            return bands_for(self.threshold, self.permutations)
        return self.bands, self.rows

    def sketch_schema(self) -> pa.Schema:
        """Return the schema of a sketch: the id, the content hash, the signature and the shingles that verification needs."""
        fields = [pa.field("id", pa.string()), pa.field("content", pa.binary(16))]
        if self.near:
            fields.append(pa.field("signature", pa.list_(pa.uint32(), self.permutations)))
            if self.verify == "exact":
                fields.append(pa.field("shingles", pa.large_list(pa.uint64())))
        return pa.schema(fields)

    def sketch(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """Build the function from a batch (`text`, optional `id`) to one sketch per row."""
        schema = self.sketch_schema()

        def run(batch: pa.RecordBatch) -> pa.RecordBatch:
            texts = [text or "" for text in batch.column("text").to_pylist()]
            ids = batch.column("id").to_pylist() if "id" in batch.schema.names else [None] * len(texts)
            columns: dict[str, Any] = {
                "id": [str(row if i is None else i) for row, i in enumerate(ids)],
                "content": [_content_hash(text) for text in texts],
            }
            if self.near:
                shingles = [shingle_hashes(text, self.shingle_words) for text in texts]
                columns["signature"] = _signatures(shingles, self.permutations)
                columns["shingles"] = shingles
            return pa.record_batch([pa.array(columns[field.name], field.type) for field in schema], schema=schema)

        return run

    def open_index(self, reader: SketchReader | None = None) -> _Index:  # noqa: ARG002
        """Return an empty index; about 5 kB of memory a kept document (datasketch's tables are Python sets)."""
        return _Index(self)


def _content_hash(text: str) -> bytes:
    """Return the 128-bit hash of *text* after case folding and collapsing white space."""
    return xxhash.xxh3_128_digest(_BLANKS.sub(" ", text.lower()).strip().encode())


def _minhash(permutations: int, values: Any = None) -> Any:
    """Return a datasketch MinHash over integers that are hashes already."""
    from datasketch import MinHash

    return MinHash(num_perm=permutations, hashfunc=int, hashvalues=values, scheme="affine32")


def _signatures(shingles: list[Hashes], permutations: int) -> list[npt.NDArray[np.uint32]]:
    """Return one signature per document; no shingles give datasketch's empty signature, which no index ever holds."""
    empty = _minhash(permutations)
    signatures = []
    for hashes in shingles:
        signature = empty.copy()
        low = (hashes & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        for start in range(0, len(low), _BLOCK):
            signature.update_batch(low[start : start + _BLOCK])
        signatures.append(signature.hashvalues)
    return signatures


class _Index:
    """First-wins resolution over everything seen so far. Owned by one process, fed in split order."""

    def __init__(self, settings: Deduplicate) -> None:
        from datasketch import MinHashLSH

        self._settings = settings
        self._lsh = MinHashLSH(num_perm=settings.permutations, params=settings.banding)
        self._content: dict[bytes, str] = {}
        # Where each kept document lies. Batches that come from disk are memory-mapped and must not be combined: that would
        # copy every shingle of the corpus into memory.
        self._batches: list[pa.RecordBatch] = []
        self._kept: list[tuple[int, int]] = []

    def add(self, split: int, sketches: pa.Table) -> list[tuple[int, pa.StructArray]]:
        """Judge the documents of *split* against all kept ones, in row order; the verdicts are known at once."""
        drops: list[Drop | None] = []
        for batch in sketches.to_batches():
            self._batches.append(batch)
            ids, contents = batch.column("id").to_pylist(), batch.column("content").to_pylist()
            signatures = self._matrix(batch)
            for row, (id_, content) in enumerate(zip(ids, contents, strict=True)):
                drops.append(self._judge(row, id_, content, None if signatures is None else signatures[row]))
        return [(split, verdict_array(drops))]

    def finish(self) -> list[tuple[int, pa.StructArray]]:
        """Return nothing: no split ever waits."""
        return []

    def _matrix(self, sketches: pa.RecordBatch) -> npt.NDArray[np.uint32] | None:
        if not self._settings.near:
            return None
        flat: npt.NDArray[np.uint32] = sketches.column("signature").flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(-1, self._settings.permutations)

    def _judge(self, row: int, id_: str, content: bytes, signature: Any) -> Drop | None:
        """Return why the document is dropped, or remember it as kept."""
        if content in self._content:
            return Drop("exact_duplicate", 1.0, None, self._content[content])
        # The signature of a document without a single word is all ones: it resembles nothing, whatever the bands say.
        if signature is not None and (signature != np.iinfo(np.uint32).max).any():
            minhash = _minhash(self._settings.permutations, signature)
            found = self._nearest(row, minhash)
            if found is not None:
                return found
            self._lsh.insert(len(self._kept), minhash)
        self._kept.append((len(self._batches) - 1, row))
        self._content[content] = id_
        return None

    def _nearest(self, row: int, minhash: Any) -> Drop | None:
        """Return the drop for the most similar kept candidate, the earliest of equals, if it is similar enough."""
        limit = self._settings.threshold
        best: tuple[float, int] | None = None
        for ordinal in sorted(self._lsh.query(minhash)):
            similarity = self._similarity(row, ordinal, minhash)
            if self._settings.verify != "none" and similarity < limit:
                continue
            if best is None or similarity > best[0]:
                best = similarity, ordinal
        if best is None:
            return None
        batch, kept_row = self._kept[best[1]]
        ref = self._batches[batch].column("id")[kept_row].as_py()
        return Drop("near_duplicate", best[0], limit, ref)

    def _similarity(self, row: int, ordinal: int, minhash: Any) -> float:
        batch, kept_row = self._kept[ordinal]
        if self._settings.verify == "exact":
            return jaccard(self._shingles(len(self._batches) - 1, row), self._shingles(batch, kept_row))
        values = self._batches[batch].column("signature")[kept_row].values.to_numpy(zero_copy_only=False)
        return float(np.count_nonzero(values == minhash.hashvalues)) / self._settings.permutations

    def _shingles(self, batch: int, row: int) -> Hashes:
        values: Hashes = self._batches[batch].column("shingles")[row].values.to_numpy(zero_copy_only=False)
        return values
