"""What a split leaves for shards: the rows of its last segment, a file for each subset, sorted where the corpus is shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.ipc_file import IpcFile
from corpusmill.mixing import MIXED, MIXTURE, lengths, tables_of
from corpusmill.schemas.recipe import MixtureSettings, OutputSettings
from corpusmill.shard_sizes import estimated_size
from corpusmill.shuffling import in_order_of_hashes, with_hashes
from corpusmill.stages import Pack
from corpusmill.stages.base import as_batch
from corpusmill.subsets import SUBSETS, subset_of

__all__ = ["FinishedRows", "finished_rows"]

_COLUMNS = ("id", "url", "source", "language", "n_tokens", "input_ids")


class FinishedRows:
    """The files of one split; they exist once *stack* is closed."""

    def __init__(
        self,
        root: Path,
        split: int,
        segment: int,
        settings: OutputSettings,
        mixture: Sequence[MixtureSettings],
        seed: int,
        stack: ExitStack,
    ) -> None:
        self._root = root
        self._settings = settings
        self._mixture = mixture
        self._seed = seed
        # Rows that wait for the end of the run reach the disk anyway; as they last, a machine may be started anew meanwhile.
        lasting = settings.shuffle == "corpus"
        self._files = {
            subset: stack.enter_context(IpcFile(root, finished_rows(split, segment, subset), lasting=lasting))
            for subset in SUBSETS
        }
        self._to_shuffle: dict[str, list[pa.RecordBatch]] = {}
        self.tokens: dict[str, int] = {}
        """Tokens (without a tokenizer: characters) of each subset that has rows."""
        self.mixture = [0] * len(mixture)
        """Tokens of the documents of each table of the mixture."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in the documents of *batch*, as the last stage left them."""
        ids, urls = batch.column("id").to_pylist(), batch.column("url").to_pylist()
        subsets = pa.array([subset_of(*one, self._seed, self._settings) for one in zip(ids, urls, strict=True)])
        tokenized = "input_ids" in batch.schema.names
        names = (*_COLUMNS, "text") if self._settings.text or not tokenized else _COLUMNS
        rows = batch.select([name for name in names if name in batch.schema.names])
        for subset in self._files:
            mine = pc.equal(subsets, subset)
            if not mine.true_count:
                continue
            part = rows if mine.true_count == len(mine) else rows.filter(mine)
            self.tokens[subset] = self.tokens.get(subset, 0) + (pc.sum(lengths(part)).as_py() or 0)
            if self._mixture and subset == MIXED:
                part = self._with_tables(part)
            if self._settings.shuffle == "corpus":
                self._to_shuffle.setdefault(subset, []).append(with_hashes(part, self._seed))
            else:
                self._files[subset].write(part)

    def _with_tables(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return *rows* with the table of the mixture to which each belongs, and count their tokens."""
        tables = tables_of(rows, self._mixture)
        sums = np.bincount(tables.to_numpy(), np.asarray(lengths(rows)), len(self._mixture))
        self.mixture = [before + int(more) for before, more in zip(self.mixture, sums, strict=True)]
        return rows.append_column(MIXTURE, tables)

    def finish(self) -> None:
        """Write what waited for the end of the split: rows in another order."""
        for subset, waiting in self._to_shuffle.items():
            self._files[subset].write(
                as_batch(in_order_of_hashes([pa.Table.from_batches([batch]) for batch in waiting]))
            )

    def sizes(self, pack: Pack | None) -> dict[str, int]:
        """Return the bytes that the rows of each subset will take in shards, about; call it after the files are closed."""
        return {
            subset: estimated_size(self._root, self._files[subset], tokens, self._settings, pack)
            for subset, tokens in self.tokens.items()
        }


def finished_rows(split: int, segment: int, subset: str) -> str:
    """Return the path, relative to the output, of the rows that a split left for a subset."""
    return f"state/spill/split-{split:06d}-{segment}.{subset}.arrow"
