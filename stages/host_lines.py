"""Lines that many documents of one host say: the corpus-wide half of `RemoveRepeatedLines`.

The first documents that hold a line keep it, and it is removed from those after them. The alternative, two passes, would
remove it from all: CCNet (Wenzek et al. 2020) and C4 first count the corpus and then write it. Here, that would mean to
spill the whole corpus before the first shard, and to rewrite the shards of earlier runs whenever new documents come. A line
that is left in six documents of a site of thousands costs nothing.

Counted is by host, not across all, because what two sites share (a quotation, a proverb, a licence) is no boilerplate of
either, and because a host's furniture is found within a few of its pages.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import xxhash

from corpusmill.schemas import Drop, RecipeError, signal_column, verdict_array
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages.base import CorpusStage, Index, Settle, SketchReader, with_columns
from corpusmill.stages.filter_url import split_url
from corpusmill.stages.line_units import characters_of, folded, remove_units, units_of

__all__ = ["HostLines", "host_of"]

_SKETCH = pa.schema(
    [
        pa.field("host", pa.string()),
        pa.field("lines", pa.list_(pa.uint64())),
        pa.field("numbers", pa.list_(pa.uint32())),
        pa.field("characters", pa.list_(pa.uint32())),
    ]
)
_LEAST_MEMORY = 1_000
_LONGEST_HOST = 253  # what DNS allows; longer ones are no hosts, and would fill the report


def host_of(url: str | None) -> str | None:
    """Return the host under which the lines of a document are counted: folded, without port and `www.`; None without one.

    >>> host_of("https://WWW.Example.org:8080/a"), host_of("example.org/b"), host_of(None), host_of("/c")
    ('example.org', 'example.org', None, None)
    """
    host = split_url(url)[0].removeprefix("www.")[:_LONGEST_HOST] if url else ""
    return host or None


class HostLines(CorpusStage, frozen=True, kw_only=True):
    """`RemoveRepeatedLines` with the scope `host`, which see; recipes do not know it by this name."""

    rewrites: ClassVar[tuple[str, ...]] = ("text",)
    keeps_one: ClassVar[bool] = False
    reasons: ClassVar[frozenset[str]] = frozenset({"boilerplate"})
    signals: ClassVar[dict[str, pa.DataType]] = {
        "boilerplate_lines": pa.int32(),
        "boilerplate_line_share": pa.float32(),
    }

    unit: Literal["line", "paragraph"]
    minimum_characters: int
    maximum_share: float | None
    maximum_documents: int
    max_index_memory: str

    @staticmethod
    def check_memory(kind: str, memory: str) -> None:
        """Refuse a setting that is no size, or too small to count anything."""
        try:
            enough = parse_size(memory) >= _LEAST_MEMORY
        except RecipeError as error:
            raise RecipeError(f"{kind}.max_index_memory: {error}") from None
        if not enough:
            raise RecipeError(f"{kind}.max_index_memory: {memory!r} holds no lines; give 1MB or more")

    def sketch(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """Build the function from a batch (`text`, `url`) to the host and the lines of each document.

        A line is a 64-bit hash of the host and the folded line, its number in the document, and its characters. They are
        sorted by hash, so that equal ones are neighbours. Documents without a host have none.
        """
        paragraphs, minimum = self.unit == "paragraph", self.minimum_characters

        def run(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = batch.num_rows
            urls = batch.column("url").to_pylist() if "url" in batch.schema.names else [None] * rows
            hosts = [host_of(url) for url in urls]
            offsets, hashes, numbers, characters = [0], list[int](), list[int](), list[int]()
            for host, text in zip(hosts, batch.column("text").to_pylist(), strict=True):
                if host is not None and text:
                    seed = xxhash.xxh3_64_intdigest(host.encode())
                    for at, unit in enumerate(units_of(text, paragraphs=paragraphs)[0]):
                        # Case folding adds up to two characters to one, and folding white space only takes away.
                        if 3 * len(unit) < minimum or len(key := folded(unit)) < minimum:
                            continue
                        hashes.append(xxhash.xxh3_64_intdigest(key.encode(), seed))
                        numbers.append(at)
                        characters.append(characters_of(unit))
                offsets.append(len(hashes))
            lines = np.maximum(np.array(hashes, np.uint64), np.uint64(1))  # 0 is a free slot of the table
            columns = [lines, np.array(numbers, np.uint32), np.array(characters, np.uint32)]
            documents = np.repeat(np.arange(rows), np.diff(offsets))
            order = np.lexsort((columns[1], columns[0], documents))
            lists = [pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(c[order])) for c in columns]
            return pa.record_batch([pa.array(hosts, pa.string()), *lists], schema=_SKETCH)

        return run

    def open_index(self, reader: SketchReader | None = None) -> Index:  # noqa: ARG002  what it saw it need not see again
        """Return an empty index."""
        from corpusmill.stages.line_index import LineIndex, LineTable

        return LineIndex(self.maximum_documents, LineTable(parse_size(self.max_index_memory)))

    def load_index(self, folder: Path) -> Index:
        """Return the index that was saved in *folder*."""
        from corpusmill.stages.line_index import LineIndex

        return LineIndex.load(folder, self.maximum_documents, parse_size(self.max_index_memory))

    def settle(self) -> Settle:
        """Build the function that removes the lines that were found to be boilerplate."""
        paragraphs = self.unit == "paragraph"

        def run(batch: pa.RecordBatch, resolved: pa.Array) -> tuple[pa.RecordBatch, pa.StructArray]:
            found: list[list[int] | None] = resolved.to_pylist()
            lines = [None if numbers is None else len(numbers) for numbers in found]
            shares = [None if numbers is None else 0.0 for numbers in found]
            drops: list[Drop | None] = [None] * len(found)
            columns: dict[str, pa.Array] = {}
            if any(lines):
                texts = batch.column("text").to_pylist()
                for row, numbers in enumerate(found):
                    if numbers:
                        texts[row], shares[row] = self._without(texts[row], set(numbers), paragraphs=paragraphs)
                        drops[row] = self._judge(shares[row])
                columns["text"] = pa.array(texts, batch.schema.field("text").type)
            measured: dict[str, Any] = {"boilerplate_lines": lines, "boilerplate_line_share": shares}
            columns |= {signal_column(name): pa.array(measured[name], type_) for name, type_ in self.signals.items()}
            return with_columns(batch, columns), verdict_array(drops)

        return run

    def _without(self, text: str, numbers: set[int], *, paragraphs: bool) -> tuple[str, float]:
        """Return *text* without the lines of these *numbers*, and the share of its characters that they had."""
        left, characters = remove_units(text, *units_of(text, paragraphs=paragraphs), numbers)
        return left, characters / max(characters_of(text), 1)

    def _judge(self, share: float | None) -> Drop | None:
        if share is None or self.maximum_share is None or share <= self.maximum_share:
            return None
        return Drop("boilerplate", share, self.maximum_share)
