"""Token ids for every document, from a tokenizer that is trained, given, or plain bytes.

The ids are always those of the installed Hugging Face `tokenizers`, whichever engine makes them (tokenizer_engines.py), so any
`tokenizer.json` works. Special tokens that are spelled out in a text are encoded as the characters they are, unless asked for,
because a page that explains `<|endoftext|>` must not end a document.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import RecipeError, verdict_array
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages.base import Stage, with_columns
from corpusmill.stages.pre_tokenizers import PRE_TOKENIZERS
from corpusmill.stages.text_buffers import large_strings
from corpusmill.stages.tokenizer_engines import Choice, Encoded, Engine, EngineName, open_engine

__all__ = [
    "END_OF_TEXT",
    "Tokenize",
    "byte_characters",
    "byte_tokenizer",
    "frame_ids",
    "load_tokenizer",
    "token_type",
    "tokenizer_hash",
    "train_tokenizer",
]

END_OF_TEXT = "<|endoftext|>"
_LONGEST_WORD = 1000
_USUAL_ENDS = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>", "[SEP]", "<|im_end|>")


class Tokenize(Stage, frozen=True, kw_only=True):
    """Add `input_ids` and `n_tokens` to every document; nothing is dropped.

    `input_ids` is a list of uint16 where the vocabulary has at most 65,536 entries, else of int32, and never null.
    """

    version: ClassVar[int] = 1
    same_output: ClassVar[frozenset[str]] = frozenset({"engine", "cache_memory", "compared_share"})

    tokenizer: str = "train"
    """`train` (a byte-level BPE learned from this run's own kept text), `bytes`, or the path of a `tokenizer.json`."""
    vocabulary_size: Annotated[int, Meta(ge=257, le=2_000_000)] = 32_768
    """Entries of the trained vocabulary, special tokens included; small corpora may not fill it."""
    sample_size: str = "100MB"
    """How much kept text, from the first splits on, the tokenizer is trained on. (`tokenizer train` draws it from all.)"""
    pre_tokenizer: Literal["gpt2", "cl100k", "llama3", "qwen2", "o200k"] = "gpt2"
    """How the trained tokenizer cuts text into words before anything is merged, as the models of that name do. `gpt2` keeps the
    digits of a number together, so frequent numbers become entries; `qwen2` takes one at a time, the others three. `o200k`
    (GPT-4o) begins a word at a capital, and keeps marks with their letters, for Indic scripts. `llama3` is `cl100k` (GPT-4) where
    a word that is an entry is one token, whatever its merges come to."""
    append_end: bool = True
    """End every document with `end_token`, so that documents can be told apart in one stream of tokens."""
    end_token: str | None = None
    """The token that ends a document; None takes the tokenizer's usual one (`<|endoftext|>`, `</s>`, …)."""
    begin_token: str | None = None
    """The token that begins every document; None begins with the text. Llama models expect one (`<|begin_of_text|>`)."""
    special_tokens: tuple[str, ...] = (END_OF_TEXT,)
    """Special tokens of the trained vocabulary, in the order of their ids."""
    special_tokens_in_text: Literal["text", "token"] = "text"
    """What `<|endoftext|>` in a text is: the characters that it consists of, or the token. Risk of `token`: a page can end its
    own document, or begin a turn of a dialogue."""
    engine: EngineName = "auto"
    """`auto` takes gigatoken where it gives the ids of `tokenizers` (18 to 66 times as fast as the usual loop, from text to
    shard), and `tokenizers` for all else; the other two insist. The ids are the same, so the fingerprint does not know it."""
    cache_memory: str = "256MB"
    """Memory that the caches of an engine may take in each worker. With less than 64MB they are emptied all the time."""
    compared_share: Annotated[float, Meta(ge=0, le=1)] = 0.0005
    """Share of documents that both engines encode, drawn by what is in them; if ids ever differ, a run begins again with
    `tokenizers`. The default costs about 2 % of the time from text to shard. Risk of 0: nobody would notice."""

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_size(self.sample_size)
        parse_size(self.cache_memory)
        for token in self.special_tokens if self.tokenizer == "train" else ():
            if len(token) < 2 and token in {"", *(character for _, character in byte_characters())}:
                raise RecipeError(
                    f"tokenize.special_tokens: {token!r} cannot be one: entries of a character stand for bytes; "
                    "take a longer text that is in no document, such as <|endoftext|>"
                )
        if self.tokenizer == "train" and self.vocabulary_size < (least := 256 + len(set(self.special_tokens))):
            raise RecipeError(
                f"tokenize.vocabulary_size: {self.vocabulary_size} entries have no room for 256 bytes and the special tokens; "
                f"set it to {least:,} at least, better to thousands"
            )
        if self.tokenizer == "train" and self.append_end and self.end_token not in {None, *self.special_tokens}:
            raise RecipeError(
                f"tokenize.end_token: {self.end_token!r} is none of tokenize.special_tokens {list(self.special_tokens)}, "
                "so the trained tokenizer will not have it"
            )
        if self.tokenizer == "train" and self.append_end and self.end_token is None and not self.special_tokens:
            raise RecipeError(
                "tokenize.special_tokens: documents cannot be ended without one; or set append_end = false"
            )

    @property
    def kernels(self) -> tuple[str, ...]:
        """What surrounds every engine."""
        return ("tokens",)

    def open(self) -> TokenizeBatches:
        """Load the tokenizer and build the batch function."""
        from corpusmill.stages.compile_ahead import compile_ahead

        compile_ahead(*self.kernels)
        tokenizer = self.load()
        begin = None if self.begin_token is None else self._token_id(tokenizer, (self.begin_token,), "begin")
        return TokenizeBatches(
            self._engine(tokenizer), begin, self._end_id(tokenizer), token_type(tokenizer.get_vocab_size())
        )

    def open_for_call(self) -> TokenizeBatches:
        """Return what `open` builds, kept as long as the file stays as it is: `map_batches` calls a stage for every batch."""
        return _opened(self, tuple(_state(path) for path in self.resources()))

    def choice(self) -> Choice:
        """Return which engine `open` would take, and why."""
        return self._engine(self.load()).choice

    def _engine(self, tokenizer: Any) -> Engine:
        memory = parse_size(self.cache_memory)
        return open_engine(tokenizer, self.engine, cache_memory=memory, compared_share=self.compared_share)

    def load(self) -> Any:
        """Return the tokenizer.

        Raises:
            RecipeError: it is still to be trained, or cannot be read.

        """
        if self.tokenizer == "train":
            raise RecipeError(
                "tokenize: a tokenizer is trained by `corpusmill run` or `corpusmill tokenizer train`; "
                "here give tokenizer='bytes' or the path of a tokenizer.json"
            )
        tokenizer = byte_tokenizer() if self.tokenizer == "bytes" else load_tokenizer(self.tokenizer)
        tokenizer.encode_special_tokens = self.special_tokens_in_text == "text"
        return tokenizer

    def resources(self) -> tuple[str, ...]:
        """Return the tokenizer file, if there is one: its contents shape every shard."""
        return () if self.tokenizer in {"train", "bytes"} else (self.tokenizer,)

    def added_columns(self) -> pa.Schema:
        """Return `n_tokens` and `input_ids`; the type of the ids follows the vocabulary."""
        size = self.vocabulary_size if self.tokenizer == "train" else self.load().get_vocab_size()
        return pa.schema([pa.field("n_tokens", pa.int32()), pa.field("input_ids", _list_of(token_type(size)))])

    def end_id(self) -> int | None:
        """Return the id that ends each document, or None."""
        return self._end_id(self.load())

    def _end_id(self, tokenizer: Any) -> int | None:
        if not self.append_end:
            return None
        candidates = (*_USUAL_ENDS, *self.special_tokens) if self.end_token is None else (self.end_token,)
        return self._token_id(tokenizer, candidates, "end")

    def _token_id(self, tokenizer: Any, candidates: tuple[str, ...], place: str) -> int:
        """Return the id of the first of *candidates* that there is."""
        for token in candidates:
            id_ = tokenizer.token_to_id(token)
            if id_ is not None:
                return int(id_)
        way_out = "tokenize.append_end=false" if place == "end" else 'tokenize.begin_token="off"'
        raise RecipeError(
            f"tokenize: {self.tokenizer} has no token {' or '.join(map(repr, candidates))} to {place} documents with; "
            f"set tokenize.{place}_token to one of its tokens, or {way_out}"
        )


@functools.lru_cache(maxsize=2)
def _opened(stage: Tokenize, _: tuple[tuple[int, int], ...]) -> TokenizeBatches:
    return stage.open()


def _state(path: str) -> tuple[int, int]:
    """Return the size and the time of change of a file."""
    try:
        found = Path(path).stat()
    except OSError:
        return 0, 0  # opening it says what is wrong
    return found.st_size, found.st_mtime_ns


class TokenizeBatches:
    """The opened stage: it also counts what its engine did (see `CountingFunction`)."""

    def __init__(self, engine: Engine, begin: int | None, end: int | None, type_: pa.DataType) -> None:
        self._engine = engine
        self._begin, self._end = begin, end
        self._type = type_

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.StructArray]:
        """Return *batch* with its ids, and no verdicts."""
        encoded = self._engine.encode(large_strings(batch.column("text")))
        lists = frame_ids(encoded, self._begin, self._end, self._type)
        lengths = np.diff(np.asarray(lists.offsets)).astype(np.int32)
        batch = with_columns(batch, {"n_tokens": pa.array(lengths), "input_ids": lists})
        return batch, verdict_array([None] * len(lists))

    def take_counts(self) -> dict[str, int]:
        """Return how many documents each engine encoded, and how many were compared, since this was called last."""
        counts = dict(self._engine.counts)
        self._engine.counts.clear()
        return counts


def frame_ids(encoded: Encoded, begin: int | None, end: int | None, type_: pa.DataType) -> pa.ListArray:
    """Return the ids of documents, with *begin* before each and *end* after it, as a list array of *type_*.

    >>> encoded = Encoded(np.arange(5, dtype=np.uint32), np.array([0, 2]), np.array([2, 5]))
    >>> frame_ids(encoded, None, 9, pa.uint16()).to_pylist()
    [[0, 1, 9], [2, 3, 4, 9]]
    """
    from corpusmill.stages.kernels.tokens import frame

    lengths = encoded.ends - encoded.starts + (begin is not None) + (end is not None)
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise OverflowError("a batch of documents has more than 2,147,483,647 tokens")
    out = np.empty(int(offsets[-1]), type_.to_pandas_dtype())
    ids, starts, ends = map(_read_only, encoded)
    frame(ids, starts, ends, -1 if begin is None else begin, -1 if end is None else end, out)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(out), type=_list_of(type_))


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return *array* as the one kind of array that the kernel is compiled for."""
    view: npt.NDArray[Any] = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def token_type(vocabulary_size: int) -> pa.DataType:
    """Return the smallest Arrow type that trainers read: uint16 up to 65,536 entries, else int32.

    >>> token_type(50_257), token_type(128_000)
    (DataType(uint16), DataType(int32))
    """
    return pa.uint16() if vocabulary_size <= 2**16 else pa.int32()


def _list_of(type_: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", type_, nullable=False))


def load_tokenizer(path: str) -> Any:
    """Return the Hugging Face tokenizer stored at *path*, set to read special tokens in a text as text."""
    from tokenizers import Tokenizer

    if not Path(path).is_file():
        raise RecipeError(f"tokenize: there is no file {path!r}; give 'train', 'bytes' or the path of a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # noqa: BLE001  the bindings raise bare Exception for everything
        raise RecipeError(f"tokenize: {path} is no tokenizer.json that `tokenizers` can read: {error}") from None
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokenizer_hash(path: str | Path) -> str:
    """Return the SHA-256 of a tokenizer file, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def byte_tokenizer() -> Any:
    """Return the tokenizer whose id is the byte: 0 to 255, and 256 for `<|endoftext|>`.

    >>> byte_tokenizer().encode("hé").ids
    [104, 195, 169]
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.BPE(vocab={character: byte for byte, character in byte_characters()}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END_OF_TEXT, special=True)])
    tokenizer.encode_special_tokens = True
    return tokenizer


def byte_characters() -> list[tuple[int, str]]:
    """Return the printable stand-in of every byte, as GPT-2 defined them: printable bytes are themselves, the rest follow 255."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return [(byte, chr(byte if byte in printable else 256 + others.index(byte))) for byte in range(256)]


def train_tokenizer(texts: Iterable[str], settings: Tokenize) -> Any:
    """Return a byte-level BPE tokenizer trained on *texts*; the same texts in the same order give the same file.

    Words of more than 1,000 bytes are learned from in pieces of that length.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    style = PRE_TOKENIZERS[settings.pre_tokenizer]
    tokenizer = Tokenizer(models.BPE(ignore_merges=style.ignore_merges))
    # The trainer takes time by the square of a word's length: a sequence of 200,000 bases took 20 s, a million would take minutes
    # to hours, in a single call. Only training cuts: what is trained has the words of its style.
    pieces = pre_tokenizers.Split(Regex(f".{{{_LONGEST_WORD}}}"), "isolated")  # of characters that stand for bytes
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([style.build(), pieces])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary_size,
        special_tokens=list(settings.special_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = style.build()
    return tokenizer
