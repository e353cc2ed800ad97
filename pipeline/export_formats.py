"""The formats of `corpusmill export`, each as its own readers expect it.

| format | files | who reads it |
|---|---|---|
| `megatron` | `train.bin`, `train.idx` | Megatron-LM and what is built on it (`IndexedDataset`, version 1 of the index) |
| `datatrove` | a `.ds`, `.ds.index` and `.ds.metadata` per shard | datatrove, nanotron |
| `numpy` | `train.npy`, `train.ends.npy` | `numpy.load(…, mmap_mode="r")`, nanoGPT-like loops |
| `mds` | MosaicML shards | `streaming.StreamingDataset`; needs `mosaicml-streaming` |
| `jsonl` | a `.jsonl` per shard | anything: `id`, `url`, `source`, `language`, `text` |
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numpy.lib import format as npy

from corpusmill.manifest import read_manifest
from corpusmill.schemas import RecipeError
from corpusmill.stages.token_columns import packed_length, token_dtype
from corpusmill.stages.tokenize import load_tokenizer

__all__ = ["FORMATS", "Writer"]

Ids = npt.NDArray[Any]
Lengths = npt.NDArray[np.int64]

_COPIED = 1 << 22  # bytes that are copied at a time
_NUMBERS = 1 << 19  # numbers that are worked on at a time


class Writer:
    """Takes the rows of all shards in order and writes them to a folder of its own."""

    packed: ClassVar[bool] = True
    """Whether it takes sequences too, or documents only."""

    def __init__(self, output: Path, destination: Path, subset: str, schema: pa.Schema, tokens: int) -> None:
        """Prepare for *tokens* tokens in all, of shards with *schema*."""
        field = schema.field("input_ids")
        if packed_length(field) is not None and not self.packed:
            raise RecipeError("these shards hold sequences, in which documents are cut: export a run without pack")
        self.output, self.destination, self.subset, self.tokens = output, destination, subset, tokens
        self.token_type = token_dtype(field)
        self._stack, self._shard = ExitStack(), ExitStack()

    def begin_shard(self, name: str) -> None:  # noqa: ARG002
        """Be told that the rows of the shard *name* (`train-00000`) follow: the files of the one before are complete."""
        self._shard.close()

    def write(self, table: pa.Table, ids: Ids, lengths: Lengths) -> None:
        """Write the rows of *table*: their tokens one after another, and how many are of each."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what can only be written in the end."""

    def create(self, name: str, *, of_shard: bool = False) -> IO[bytes]:
        """Return a new file of the destination; one *of_shard* is complete when the next shard begins."""
        return (self._shard if of_shard else self._stack).enter_context((self.destination / name).open("wb"))

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack, self._shard:
            if error is None:
                self.close()


class Megatron(Writer):
    """Megatron-LM's indexed dataset: a file of tokens, and an index of lengths, places and documents."""

    _MAGIC = b"MMIDIDX\x00\x00"
    _CODES: ClassVar[dict[str, int]] = {"uint16": 8, "int32": 4}

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._tokens = self.create(f"{self.subset}.bin")
        self._lengths = self._stack.enter_context(tempfile.TemporaryFile(dir=self.destination))  # noqa: SIM115  the stack closes it
        self._rows = 0

    def write(self, table: pa.Table, ids: Ids, lengths: Lengths) -> None:  # noqa: ARG002
        """Append the tokens and their lengths."""
        self._tokens.write(ids.tobytes())
        self._lengths.write(lengths.astype(np.int32).tobytes())
        self._rows += len(lengths)

    def close(self) -> None:
        """Write the index: int32 lengths, int64 places of the first bytes, int64 numbers of the first rows of documents."""
        index = self.create(f"{self.subset}.idx")
        code = self._CODES[self.token_type.name]
        index.write(self._MAGIC + struct.pack("<QBQQ", 1, code, self._rows, self._rows + 1))
        self._lengths.seek(0)
        shutil.copyfileobj(self._lengths, index, _COPIED)
        self._lengths.seek(0)
        place = 0
        while block := self._lengths.read(4 * _NUMBERS):
            ends = place + np.cumsum(np.frombuffer(block, np.int32).astype(np.int64) * self.token_type.itemsize)
            index.write(np.concatenate(([place], ends[:-1])).astype(np.int64).tobytes())
            place = int(ends[-1])
        for first in range(0, self._rows + 1, _NUMBERS):
            index.write(np.arange(first, min(first + _NUMBERS, self._rows + 1), dtype=np.int64).tobytes())


class Datatrove(Writer):
    """datatrove's tokenized files, one per shard: tokens, uint64 ends of rows, and a note of the tokenizer."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # Tokens of four bytes are unsigned there and int32 here; none is negative, so the bytes are the same.
        self._width = self.token_type.itemsize
        self._open: list[IO[bytes]] = []
        self._name = ""
        self._end = 0

    def begin_shard(self, name: str) -> None:
        """Open the files of a shard."""
        self._note()
        super().begin_shard(name)
        self._name, self._end = name, 0
        self._open = [self.create(f"{name}.{ending}", of_shard=True) for ending in ("ds", "ds.index")]

    def write(self, table: pa.Table, ids: Ids, lengths: Lengths) -> None:  # noqa: ARG002
        """Append the tokens and the ends."""
        tokens, index = self._open
        tokens.write(ids.tobytes())
        index.write((self._end + np.cumsum(lengths)).astype(np.uint64).tobytes())
        self._end += len(ids)

    def close(self) -> None:
        """Write the note on the last shard."""
        self._note()

    def _note(self) -> None:
        if self._name:
            tokenizer = (self.output / "tokenizer.json").absolute()
            note = self.create(f"{self._name}.ds.metadata", of_shard=True)
            note.write(f"{tokenizer}|{self._width}\n{self._end}\n".encode())


class Numpy(Writer):
    """All tokens as one NumPy array, and where each row ends as another; both can be mapped into memory."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._ids = self.create(f"{self.subset}.npy")
        self._ends = self._stack.enter_context(tempfile.TemporaryFile(dir=self.destination))  # noqa: SIM115  the stack closes it
        self._rows = self._end = 0
        _write_header(self._ids, self.token_type, self.tokens)

    def write(self, table: pa.Table, ids: Ids, lengths: Lengths) -> None:  # noqa: ARG002
        """Append the tokens and the ends."""
        self._ids.write(ids.tobytes())
        self._ends.write((self._end + np.cumsum(lengths)).astype(np.int64).tobytes())
        self._rows, self._end = self._rows + len(lengths), self._end + len(ids)

    def close(self) -> None:
        """Write the ends, now that it is known how many there are."""
        ends = self.create(f"{self.subset}.ends.npy")
        _write_header(ends, np.dtype(np.int64), self._rows)
        self._ends.seek(0)
        shutil.copyfileobj(self._ends, ends, _COPIED)


class Mds(Writer):
    """MosaicML's streaming shards: one sample a row, its tokens as an array."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        try:
            from streaming import MDSWriter
        except ImportError as error:
            raise RecipeError(f"the format mds needs `pip install mosaicml-streaming` ({error})") from None
        columns = {"id": "str", "tokens": f"ndarray:{self.token_type.name}"}
        self._samples: Any = MDSWriter(out=str(self.destination / self.subset), columns=columns)

    def write(self, table: pa.Table, ids: Ids, lengths: Lengths) -> None:
        """Write a sample a row."""
        names = table.column("id").to_pylist() if "id" in table.schema.names else [""] * len(lengths)
        for name, tokens in zip(names, np.split(ids, np.cumsum(lengths)[:-1]), strict=True):
            self._samples.write({"id": name, "tokens": tokens})

    def close(self) -> None:
        """Write the index of shards."""
        self._samples.finish()


class JsonLines(Writer):
    """Documents as text, one JSON object a line; the text is the column of that name, or what the tokens say."""

    packed = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lines: IO[bytes] | None = None
        self._tokenizer: Any = None
        stages = read_manifest(self.output).recipe["stage"]
        settings = next(stage for stage in stages if stage["kind"] == "tokenize")
        self._frame = int(settings["begin_token"] is not None), int(settings["append_end"])

    def begin_shard(self, name: str) -> None:
        """Open the file of a shard."""
        super().begin_shard(name)
        self._lines = self.create(f"{name}.jsonl", of_shard=True)

    def write(self, table: pa.Table, ids: Ids, lengths: Lengths) -> None:
        """Write a line a row."""
        assert self._lines is not None, "rows follow the shard that they are of"
        rest = table.drop_columns([name for name in ("input_ids", "n_tokens") if name in table.schema.names])
        rows = rest.to_pylist()
        if "text" not in rest.schema.names:
            for row, tokens in zip(rows, np.split(ids, np.cumsum(lengths)[:-1]), strict=True):
                row["text"] = self._decoded(tokens)
        for row in rows:
            self._lines.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")

    def _decoded(self, tokens: Ids) -> str:
        """Return the text of a document, without the tokens that it begins and ends with."""
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(str(self.output / "tokenizer.json"))
        begin, end = self._frame
        return str(self._tokenizer.decode(tokens[begin : len(tokens) - end].tolist(), skip_special_tokens=False))


FORMATS: dict[str, Callable[..., Writer]] = {
    "megatron": Megatron,
    "datatrove": Datatrove,
    "numpy": Numpy,
    "mds": Mds,
    "jsonl": JsonLines,
}


def _write_header(file: IO[bytes], type_: np.dtype[Any], count: int) -> None:
    """Write the beginning of a NumPy file of one dimension."""
    npy.write_array_header_1_0(file, {"descr": npy.dtype_to_descr(type_), "fortran_order": False, "shape": (count,)})
