"""Fixed-length sequences out of documents, with nothing cropped and every boundary kept.

Trainers want rows of one length. Cropping to get them is not free: best-fit packing that drops what does not fit loses a
third of the tokens at a length of 2,048 (nanochat measured about 35 %). Both strategies here split documents instead; what
is added is padding, and it is counted.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Meta

from corpusmill.schemas import RecipeError, StageError
from corpusmill.schemas.recipe import OutputSettings
from corpusmill.stages.base import BatchFunction, Stage, as_batch
from corpusmill.stages.token_columns import packed_column, packed_field, packed_length, packed_rows
from corpusmill.stages.tokenize import Tokenize

__all__ = ["Pack", "Packer", "documents_begun", "training_pairs"]

Tokens = npt.NDArray[Any]


class Pack(Stage, frozen=True, kw_only=True):
    """Turn tokenized documents into sequences of exactly `sequence_length` tokens. It is the last stage of a recipe.

    Rows in are documents (`id`, `input_ids`), rows out are sequences: `input_ids` (fixed-size list), `n_tokens` (without
    padding) and, one entry per piece of a document, `document_ids`, `document_starts` (position in the sequence) and
    `document_offsets` (position in the document's own tokens; 0 where the document begins).
    """

    version: ClassVar[int] = 2

    sequence_length: Annotated[int, Meta(ge=2, le=16_777_216)] = 2048
    """Tokens in a row. For (input, label) pairs of 2,048, ask for 2,049 (see `training_pairs`)."""
    strategy: Literal["concatenate", "best_fit"] = "concatenate"
    """`concatenate` runs documents on into each other and pads only the last row of a shard. `best_fit` keeps documents
    whole where they fit and splits only longer ones; rows are padded at their ends."""
    remainder: Literal["pad", "carry"] = "pad"
    """What becomes of the tokens at the end of a shard that fill no row. `pad` fills the row up; `carry` lets the next shard of
    the subset begin with them, so that only the last row of a run is padded. A document may then end in another shard than it
    begins in, where it is counted. `carry` needs `concatenate`, and `output.shuffle = "none"`."""
    padding_token: Annotated[int, Meta(ge=0)] = 0
    """The id that fills a row up; masked by `n_tokens`."""
    column: Literal["list", "binary"] = "list"
    """How `input_ids` is stored: a fixed-size `list` of numbers that any reader knows, or `binary`, the bytes of each row, which
    are written 1.3 and read 2.8 times as fast and take 5 % less. `TokenDataset`, `training_pairs` and `export` read both;
    others need `numpy.frombuffer`."""
    window: Annotated[int, Meta(ge=1)] = 4096
    """Documents that `best_fit` looks at together; more pack tighter and take more memory."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.remainder == "carry" and self.strategy != "concatenate":
            raise RecipeError(
                f'pack.remainder: "carry" needs strategy = "concatenate": {self.strategy} pads rows everywhere; '
                'set it, or remainder = "pad"'
            )

    def check_order(self, output: OutputSettings) -> None:
        """Refuse to carry tokens from shard to shard where shards are not in the order of the documents."""
        if self.remainder == "carry" and output.shuffle != "none":
            raise RecipeError(
                f'pack.remainder: "carry" needs documents in their order, and output.shuffle is "{output.shuffle}"; '
                'set output.shuffle = "none" (TokenDataset shuffles while it reads), or pack.remainder = "pad"'
            )

    def check_padding(self, tokenize: Tokenize) -> None:
        """Refuse a padding token that the vocabulary of *tokenize* does not have: rows could not be decoded."""
        size = tokenize.vocabulary_size if tokenize.tokenizer == "train" else tokenize.load().get_vocab_size()
        if self.padding_token >= size:
            raise RecipeError(f"pack.padding_token: {self.padding_token} is no token of a vocabulary of {size:,}")

    def packer(self, token_type: pa.DataType, skip: int = 0) -> Packer:
        """Return the stateful half for ids of *token_type*: documents go in batch by batch, full sequences come out.

        The first *skip* tokens are left out, and with them the documents that are behind them.
        """
        return Packer(self, token_type, skip)

    def open(self) -> BatchFunction:
        """Raise: rows out are not rows in, so packing has no verdicts; the shard writer uses `packer()`."""
        raise StageError(
            "pack turns documents into sequences and gives no verdicts; call the stage, or use packer()",
            stage=self.kind,
        )

    def __call__(self, batch: Any) -> Any:
        """Return the sequences that the documents of *batch* fill, the last one padded (`remainder` is about shards of a run)."""
        packer = self.packer(batch.schema.field("input_ids").type.value_type)
        parts = [batch] if isinstance(batch, pa.RecordBatch) else batch.to_batches()
        sequences = pa.concat_tables([*(packer.add(part) for part in parts), packer.finish()])
        return as_batch(sequences) if isinstance(batch, pa.RecordBatch) else sequences

    def packed_schema(self, token_type: pa.DataType) -> pa.Schema:
        """Return the schema of the sequences for ids of *token_type*."""
        number = pa.list_(pa.field("element", pa.int32(), nullable=False))
        return pa.schema(
            [
                packed_field("input_ids", token_type, self.sequence_length, binary=self.column == "binary"),
                pa.field("n_tokens", pa.int32(), nullable=False),
                pa.field("document_ids", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
                pa.field("document_starts", number, nullable=False),
                pa.field("document_offsets", number, nullable=False),
            ]
        )


class Piece(NamedTuple):
    """A run of tokens of one document, beginning at *offset* in it."""

    id: str
    offset: int
    tokens: Tokens


class Packer:
    """Documents in, full sequences out; `finish` pads what is left. Tokens in always equal tokens out."""

    def __init__(self, settings: Pack, token_type: pa.DataType, skip: int = 0) -> None:
        self._settings = settings
        self._skip = skip
        self._length = settings.sequence_length
        self._type = token_type
        self._waiting: list[Piece] = []
        self._filled = 0

    def add(self, batch: pa.RecordBatch) -> pa.Table:
        """Take the documents of *batch* and return the sequences that are full."""
        rows = []
        for piece in self._pieces(batch):
            if self._settings.strategy == "concatenate":
                rows += self._run_on(piece)
            else:
                self._waiting.append(piece)
                if len(self._waiting) >= self._settings.window:
                    rows += self._fit()
        return self._table(rows)

    def finish(self) -> pa.Table:
        """Return the sequences that were still open, padded."""
        if self._settings.strategy == "best_fit":
            return self._table(self._fit())
        rows = [self._waiting] if self._waiting else []
        self._waiting, self._filled = [], 0
        return self._table(rows)

    def _pieces(self, batch: pa.RecordBatch) -> Iterator[Piece]:
        """Yield every document of *batch* that is not left out as one piece, the first perhaps without its beginning."""
        begin, rows = 0, batch.num_rows
        if self._skip:
            lengths = batch.column("input_ids").value_lengths().to_numpy().astype(np.int64)
            ends = np.cumsum(lengths)
            # The first document that goes on behind the skipped tokens, or begins there: one without tokens does only that.
            first = min(np.searchsorted(ends, self._skip, "right"), np.searchsorted(ends - lengths, self._skip))
            before = int(lengths[:first].sum())
            batch = batch.slice(first)
            begin, self._skip = (0, self._skip - before) if first == rows else (self._skip - before, 0)
        lists = batch.column("input_ids")
        ids = batch.column("id").to_pylist() if "id" in batch.schema.names else range(rows - batch.num_rows, rows)
        for row, id_ in enumerate(ids):
            tokens = lists[row].values.to_numpy(zero_copy_only=False)
            yield Piece(str(row if id_ is None else id_), begin, tokens[begin:])
            begin = 0

    def _run_on(self, piece: Piece) -> list[list[Piece]]:
        """Append *piece* to the open row and return the rows that it completes."""
        rows = []
        while True:
            room = self._length - self._filled
            head = Piece(piece.id, piece.offset, piece.tokens[:room])
            self._waiting.append(head)
            self._filled += len(head.tokens)
            if self._filled == self._length:
                rows.append(self._waiting)
                self._waiting, self._filled = [], 0
            if len(piece.tokens) <= room:
                return rows
            piece = Piece(piece.id, piece.offset + room, piece.tokens[room:])

    def _fit(self) -> list[list[Piece]]:
        """Pack the waiting pieces best-fit decreasing: long documents are cut into full rows, the rests find room."""
        rows: list[list[Piece]] = []
        rests: list[Piece] = []
        for piece in self._waiting:
            full = len(piece.tokens) - len(piece.tokens) % self._length
            cuts = range(0, full, self._length)
            rows += [[Piece(piece.id, piece.offset + at, piece.tokens[at : at + self._length])] for at in cuts]
            if full < len(piece.tokens) or not len(piece.tokens):
                rests.append(Piece(piece.id, piece.offset + full, piece.tokens[full:]))
        self._waiting = []
        rests.sort(key=lambda piece: -len(piece.tokens))  # stable: equal lengths stay in document order
        open_rows: list[tuple[int, int]] = []  # (room left, row), sorted, so the tightest fit is found by bisection
        for piece in rests:
            # A document without tokens needs a place too: the position at which it begins.
            at = bisect.bisect_left(open_rows, (max(len(piece.tokens), 1), 0))
            if at < len(open_rows):
                room, row = open_rows.pop(at)
            else:
                room, row = self._length, len(rows)
                rows.append([])
            rows[row].append(piece)
            bisect.insort(open_rows, (room - len(piece.tokens), row))
        return rows

    def _table(self, rows: list[list[Piece]]) -> pa.Table:
        schema = self._settings.packed_schema(self._type)
        ids = np.full((len(rows), self._length), self._settings.padding_token, self._type.to_pandas_dtype())
        columns: dict[str, list[Any]] = {name: [] for name in schema.names[1:]}
        for number, row in enumerate(rows):
            starts = np.cumsum([0, *(len(piece.tokens) for piece in row)]).tolist()
            for start, piece in zip(starts, row, strict=False):
                ids[number, start : start + len(piece.tokens)] = piece.tokens
            columns["n_tokens"].append(starts[-1])
            columns["document_ids"].append([piece.id for piece in row])
            columns["document_starts"].append(starts[:-1])
            columns["document_offsets"].append([piece.offset for piece in row])
        sequences = packed_column(ids, schema.field(0))
        rest = [pa.array(columns[field.name], field.type) for field in list(schema)[1:]]
        return pa.Table.from_arrays([sequences, *rest], schema=schema)


def documents_begun(sequences: pa.RecordBatch | pa.Table) -> int:
    """Return how many documents begin in *sequences*: each once, however many pieces it is in.

    >>> documents_begun(pa.table({"document_offsets": [[0, 0], [7, 0]]}))
    3
    """
    offsets = pc.list_flatten(sequences.column("document_offsets"))
    return pc.sum(pc.equal(offsets, 0)).as_py() or 0


def training_pairs(batch: pa.RecordBatch | pa.Table) -> tuple[Tokens, Tokens]:
    """Return (inputs, labels) of packed rows: the label of each token is the one after it.

    Both have the shape (rows, sequence_length - 1) and the type of the ids, uint16 or int32; torch wants
    `.astype("int64")`. Padding is not masked here: `n_tokens` says where it begins.

    Raises:
        RecipeError: the rows are documents, not sequences of one length.

    >>> rows = pa.table({"input_ids": pa.array([[5, 6, 7]], pa.list_(pa.uint16(), 3))})
    >>> [array.tolist() for array in training_pairs(rows)]
    [[[5, 6]], [[6, 7]]]
    """
    field = batch.schema.field("input_ids")
    if packed_length(field) is None:
        raise RecipeError(
            "these rows are documents of any length: put pack at the end of the recipe, or call Pack on them"
        )
    ids = packed_rows(batch.column("input_ids"), field)
    return ids[:, :-1], ids[:, 1:]
