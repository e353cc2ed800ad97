"""Training data out of shards: `TokenDataset`, for PyTorch and for plain loops.

With PyTorch it is an `IterableDataset` whose items can be had by number, too. PyTorch itself is optional: items are NumPy arrays,
which its loaders turn into tensors. What is read where follows from the shards alone: each of `world_size` ranks, and within it
each worker of a loader, has one contiguous part of the order, all of the same length, so that no rank runs out before the others
and each file is read by as few of them as can be.

Rejected: every n-th sequence for each of n ranks (every rank reads every row group), and a share of the shards for each (ranks
get different numbers of sequences, and a training with several of them hangs at the end of an epoch).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from corpusmill.schemas import RecipeError
from corpusmill.token_shards import ShardOrder, TokenShards

if TYPE_CHECKING:
    _Base = object
else:
    try:
        from torch.utils.data import IterableDataset as _Base
    except ImportError:
        _Base = object

__all__ = ["IGNORED", "TokenDataset"]

IGNORED = -100
"""The label of what is no target: padding. PyTorch's cross entropy ignores it."""

Item = dict[str, npt.NDArray[np.int64]]


class TokenDataset(_Base):
    """Sequences of one length from the shards of an output, with their labels.

    Iterating gives items of this rank and worker; `dataset[i]` and `len(dataset)` know all sequences of this rank. An item holds
    `input_ids` and `labels`, int64 arrays of `sequence_length - 1` entries: the label of each token is the one after it, and
    `IGNORED` where that is padding. With *positions* it holds `position_ids` too, which begin again at 0 with each document: what
    position embeddings need, and attention that must not look across documents.

    Shards with `pack` give their rows. Of documents, *sequence_length* tokens after another are a sequence, across the ends of
    documents and shards; what does not fill a last one is left out, and so are the last few sequences where their number is no
    multiple of the number of readers.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        sequence_length: int | None = None,
        subset: str = "train",
        rank: int | None = None,
        world_size: int | None = None,
        shuffle_seed: int | None = None,
        positions: bool = False,
        filesystem: Any = None,
    ) -> None:
        """Find the shards of *subset* at *path*: an output, its `shards`, files, or an address such as `s3://bucket/out`.

        *rank* of *world_size* processes is what `torch.distributed` says, or RANK and WORLD_SIZE, unless given. With
        *shuffle_seed* shards, row groups and rows are shuffled, each in itself, another way in each epoch (`set_epoch`).

        Raises:
            RecipeError: there are no such shards, or the length does not fit them.

        """
        self._shards = TokenShards(path, subset, filesystem)
        packed = self._shards.sequence_length
        if packed is None and sequence_length is None:
            raise RecipeError("these shards hold documents: give sequence_length, or put pack into the recipe")
        if packed is not None and sequence_length not in {None, packed}:
            raise RecipeError(f"these shards are packed in rows of {packed} tokens, not {sequence_length}")
        self.sequence_length: int = packed or sequence_length or 0
        if self.sequence_length < 2:
            raise RecipeError("sequence_length must be at least 2: a token and the one after it")
        self._tokens_per_unit = self.sequence_length if packed is None else 1
        found_rank, found_size = _place_among_processes()
        self.rank = found_rank if rank is None else rank
        self.world_size = found_size if world_size is None else world_size
        if not 0 <= self.rank < self.world_size:
            raise RecipeError(f"rank {self.rank} is none of {self.world_size} processes")
        if shuffle_seed is not None and shuffle_seed < 0:
            raise RecipeError("shuffle_seed must not be negative")
        self.shuffle_seed = shuffle_seed
        self.positions = positions
        self.epoch = 0
        self._first, self._done = 0, 0  # where the next reading begins, and where the last one is
        self._streams: int | None = None  # readers of a loaded state

    def __len__(self) -> int:
        """Return the number of sequences that each rank gets in an epoch."""
        return sum(self._shards.units) // self._tokens_per_unit // self.world_size

    def __getitem__(self, index: int) -> Item:
        """Return sequence *index* of this rank, in the order of this epoch."""
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"sequence {index} of {count}")
        return next(self._sequences(self.rank * count + index % count))

    def __iter__(self) -> Iterator[Item]:
        """Yield the sequences of this rank and worker that are left of the epoch."""
        worker, workers = _place_among_workers()
        streams = self.world_size * workers
        if self._streams not in {None, streams}:
            raise RecipeError(
                f"the state was saved by {self._streams} readers (ranks x workers of the loader), and now there are {streams}: "
                "go on with as many"
            )
        count = sum(self._shards.units) // self._tokens_per_unit // streams
        self._done, self._first = self._first, 0
        left = count - self._done
        if left > 0:
            sequences = self._sequences((self.rank * workers + worker) * count + self._done)
            for _ in range(left):
                item = next(sequences)
                self._done += 1
                yield item
        self._done, self._streams = 0, None

    def set_epoch(self, epoch: int) -> None:
        """Begin epoch *epoch*: with *shuffle_seed*, its order is another one. Call it before iterating.

        In the epoch of a state that was loaded, it goes on where the state was saved.
        """
        if epoch != self.epoch:
            self.epoch, self._first, self._done, self._streams = epoch, 0, 0, None

    def state_dict(self) -> dict[str, Any]:
        """Return where this reader is, for `load_state_dict`: plain numbers and words.

        `torchdata`'s StatefulDataLoader asks for it in each worker; PyTorch's own loader fetches ahead and cannot say what of
        it was used, so with it save this only at the end of an epoch.
        """
        return {
            "shards": self._shards.fingerprint,
            "sequence_length": self.sequence_length,
            "shuffle_seed": self.shuffle_seed,
            "epoch": self.epoch,
            "done": self._done or self._first,
            "streams": self.world_size * _place_among_workers()[1],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where *state* was saved.

        Raises:
            RecipeError: it is that of other shards or another order.

        """
        mine = self.state_dict()
        for name in ("shards", "sequence_length", "shuffle_seed"):
            if state[name] != mine[name]:
                raise RecipeError(f"the state is of another reading: {name} was {state[name]}, and is {mine[name]} now")
        self.epoch, self._first, self._done, self._streams = state["epoch"], state["done"], 0, state["streams"]

    def _sequences(self, first: int) -> Iterator[Item]:
        """Yield the sequences of all readers from number *first* on."""
        order = ShardOrder(self._shards, self.shuffle_seed, self.epoch)
        if self._shards.sequence_length is not None:
            yield from self._packed(order, first)
        else:
            yield from self._run_on(order, first)

    def _packed(self, order: ShardOrder, first: int) -> Iterator[Item]:
        for rows, numbers, skipped in order.read(first):
            for row in numbers[skipped:].tolist():
                ids = rows.ids[rows.bounds[row] : rows.bounds[row + 1]].astype(np.int64)
                starts = rows.starts[rows.start_bounds[row] : rows.start_bounds[row + 1]]
                yield self._item(ids, int(rows.lengths[row]), starts)

    def _run_on(self, order: ShardOrder, first: int) -> Iterator[Item]:
        length = self.sequence_length
        ids, starts, filled = np.empty(length, np.int64), [0], 0
        for rows, numbers, skipped in order.read(first * length):
            for row in numbers.tolist():
                at, end = int(rows.bounds[row]), int(rows.bounds[row + 1])
                if end - at <= skipped:
                    skipped -= end - at
                    continue
                at, skipped = at + skipped, 0
                if filled:
                    starts.append(filled)
                while at < end:
                    taken = min(end - at, length - filled)
                    ids[filled : filled + taken] = rows.ids[at : at + taken]
                    at, filled = at + taken, filled + taken
                    if filled == length:
                        yield self._item(ids, length, np.array(starts, np.int64))
                        ids, starts, filled = np.empty(length, np.int64), [0], 0

    def _item(self, ids: npt.NDArray[np.int64], length: int, starts: npt.NDArray[np.int64]) -> Item:
        """Return the item of one row with *length* tokens that are no padding."""
        labels = ids[1:].copy()
        labels[max(length - 1, 0) :] = IGNORED
        item = {"input_ids": ids[:-1], "labels": labels}
        if self.positions:
            begun = np.zeros(len(ids), np.int64)
            starts = starts[starts < len(ids)]  # a document without tokens may stand behind the last one
            begun[starts] = starts
            item["position_ids"] = (np.arange(len(ids)) - np.maximum.accumulate(begun))[:-1]
        return item


def _place_among_processes() -> tuple[int, int]:
    """Return this process's rank and how many there are."""
    try:
        from torch import distributed

        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
    except ImportError:
        pass
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def _place_among_workers() -> tuple[int, int]:
    """Return this process's number among the workers of a PyTorch loader, and how many there are."""
    try:
        from torch.utils.data import get_worker_info
    except ImportError:
        return 0, 1
    info = get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)
