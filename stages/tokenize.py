"""Token ids for every document, from a tokenizer that is trained, given, or plain bytes.

Hugging Face `tokenizers` is the engine and the reference: 2 to 3 MB/s a core, but any `tokenizer.json` works. Special tokens
that are spelled out in a text are encoded as the characters they are, because a page that explains `<|endoftext|>` must not
end a document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import RecipeError, verdict_array
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages.base import BatchFunction, Stage, with_columns

__all__ = [
    "END_OF_TEXT",
    "Tokenize",
    "byte_tokenizer",
    "load_tokenizer",
    "token_type",
    "tokenizer_hash",
    "train_tokenizer",
]

END_OF_TEXT = "<|endoftext|>"
_USUAL_ENDS = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>", "[SEP]", "<|im_end|>")


class Tokenize(Stage, frozen=True, kw_only=True):
    """Add `input_ids` and `n_tokens` to every document; nothing is dropped.

    `input_ids` is a list of uint16 where the vocabulary has at most 65,536 entries, else of int32, and never null.
    """

    version: ClassVar[int] = 1

    tokenizer: str = "train"
    """`train` (a byte-level BPE learned from this run's own kept text), `bytes`, or the path of a `tokenizer.json`."""
    vocabulary_size: Annotated[int, Meta(ge=257, le=2_000_000)] = 32_768
    """Entries of the trained vocabulary, special tokens included; small corpora may not fill it."""
    sample_size: str = "100MB"
    """How much kept text, from the first splits on, the tokenizer is trained on."""
    append_end: bool = True
    """End every document with `end_token`, so that documents can be told apart in one stream of tokens."""
    end_token: str | None = None
    """The token that ends a document; None takes the tokenizer's usual one (`<|endoftext|>`, `</s>`, …)."""
    special_tokens: tuple[str, ...] = (END_OF_TEXT,)
    """Special tokens of the trained vocabulary, in the order of their ids."""

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_size(self.sample_size)
        if self.tokenizer == "train" and self.append_end and self.end_token not in {None, *self.special_tokens}:
            raise RecipeError(
                f"tokenize.end_token: {self.end_token!r} is none of tokenize.special_tokens {list(self.special_tokens)}, "
                "so the trained tokenizer will not have it"
            )
        if self.tokenizer == "train" and self.append_end and self.end_token is None and not self.special_tokens:
            raise RecipeError(
                "tokenize.special_tokens: documents cannot be ended without one; or set append_end = false"
            )

    def open(self) -> BatchFunction:
        """Load the tokenizer and build the batch function."""
        tokenizer = self.load()
        end = self._end_id(tokenizer)
        type_ = token_type(tokenizer.get_vocab_size())

        def run(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.StructArray]:
            texts = [text or "" for text in batch.column("text").to_pylist()]
            encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            ids = [encoding.ids if end is None else [*encoding.ids, end] for encoding in encodings]
            lengths = np.fromiter((len(i) for i in ids), np.int32, len(ids))
            offsets = np.zeros(len(ids) + 1, np.int32)
            np.cumsum(lengths, out=offsets[1:])
            flat = np.fromiter((i for document in ids for i in document), type_.to_pandas_dtype(), int(offsets[-1]))
            lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat), type=_list_of(type_))
            batch = with_columns(batch, {"n_tokens": pa.array(lengths), "input_ids": lists})
            return batch, verdict_array([None] * len(ids))

        return run

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
        return byte_tokenizer() if self.tokenizer == "bytes" else load_tokenizer(self.tokenizer)

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
        for token in candidates:
            id_ = tokenizer.token_to_id(token)
            if id_ is not None:
                return int(id_)
        raise RecipeError(
            f"tokenize: {self.tokenizer} has no token {' or '.join(map(repr, candidates))} to end documents with; "
            "set tokenize.end_token to one of its tokens, or tokenize.append_end=false"
        )


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

    tokenizer = Tokenizer(models.BPE(vocab={character: byte for byte, character in _byte_characters()}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(END_OF_TEXT, special=True)])
    tokenizer.encode_special_tokens = True
    return tokenizer


def _byte_characters() -> list[tuple[int, str]]:
    """Return the printable stand-in of every byte, as GPT-2 defined them: printable bytes are themselves, the rest follow 255."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return [(byte, chr(byte if byte in printable else 256 + others.index(byte))) for byte in range(256)]


def train_tokenizer(texts: Iterable[str], settings: Tokenize) -> Any:
    """Return a byte-level BPE tokenizer trained on *texts*; the same texts in the same order give the same file."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary_size,
        special_tokens=list(settings.special_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
