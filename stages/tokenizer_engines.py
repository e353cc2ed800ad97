"""What turns texts into ids: Arrow strings in, flat ids out, the same ids whichever engine makes them.

`tokenizers` (Hugging Face) is the reference and reads every `tokenizer.json`, at 2 to 3 MB/s a core: it makes Python strings,
objects and lists of ids. `gigatoken` reads byte-level BPE at 46 to 176 MB/s with a cold cache and 250 to 400 MB/s with a warm
one, from one buffer into one array. It is used where it is known to give the ids of `tokenizers`, and only there:

1. Tokenizers that have anything it does not read, or reads in another way, are left to the reference (`_unsupported`).
2. What both read differently is found before any text is (tokenizer_probe.py): texts with such characters go to the reference.
3. A sample of texts, drawn by their contents, goes to both. If they ever differ, the work stops with `EngineMismatchError`:
   other texts may be wrong too, so going on with the reference from there would leave output that depends on chance.

gigatoken is driven below its Python interface. That takes and gives arrays of `awkward`, which cost 0.5 ms a call (a quarter of
the time of 64 documents) and 0.15 s to import. Here the texts of a batch are one text with a character between them that is
declared a special token, which to a tokenizer is what the end of a text is.

Rejected: fastokens (other ids for U+017F), tiktoken (13 MB/s, lists), a BPE in numba (exact, a half to a fifth of the speed).
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.schemas import EngineMismatchError, RecipeError
from corpusmill.stages.pre_tokenizers import PRE_TOKENIZERS
from corpusmill.stages.text_buffers import TextBuffers, text_buffers
from corpusmill.stages.tokenizer_probe import Encode, compare_engines

__all__ = ["Choice", "Encoded", "Engine", "EngineName", "Reference", "open_engine"]

EngineName = Literal["auto", "gigatoken", "tokenizers"]
Numbers = npt.NDArray[Any]

_SEPARATOR = "\U0010ffff"  # a noncharacter; a text that has it goes to the reference
_PIECE = 4_000_000  # bytes of texts that gigatoken is given at once, between two looks at its memory
_SLOW_PIECE = 1_000_000  # and `tokenizers`: what it makes of a text takes about a hundred times the room
_WINDOW = 65_536  # bytes of a long text that are compared: a second of `tokenizers` is 2.5 MB
_BYTES = 257  # ids of the byte tokenizer: the bytes, and the end of a text
_PAGE_SIZE = 4096 if sys.platform == "win32" else resource.getpagesize()


class Encoded(NamedTuple):
    """The ids of texts: those of text *i* are `ids[starts[i]:ends[i]]`."""

    ids: Numbers
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


class Choice(NamedTuple):
    """Which engine encodes, and why."""

    engine: str
    version: str
    reason: str

    def __str__(self) -> str:
        return f"{self.engine} {self.version}".strip() + f" ({self.reason})"


class Engine(Protocol):
    """Texts in, ids out."""

    choice: Choice
    counts: dict[str, int]
    """Documents by the engine that encoded them, and how many of them were `compared` with the reference."""

    def encode(self, texts: pa.LargeStringArray) -> Encoded:
        """Return the ids of *texts*; a null is an empty text."""


def open_engine(tokenizer: Any, name: EngineName, *, cache_memory: int, compared_share: float) -> Engine:
    """Return the engine called *name* for a tokenizer of `tokenizers`; `auto` takes the fastest that gives the same ids.

    Raises:
        RecipeError: gigatoken is asked for and cannot be used.

    """
    from corpusmill.stages.tokenize import byte_tokenizer

    if name == "tokenizers":
        return Reference(tokenizer, "asked for")
    plain = tokenizer.get_vocab_size() == _BYTES and tokenizer.encode_special_tokens
    if plain and tokenizer.to_str() == byte_tokenizer().to_str():
        return _Bytes()
    try:
        return _Gigatoken(tokenizer, cache_memory, compared_share)
    except _UnsupportedError as error:
        if name == "gigatoken":
            raise RecipeError(f'tokenize.engine: gigatoken cannot be used: {error}; set engine = "auto"') from None
        return Reference(tokenizer, f"gigatoken cannot be used: {error}")


class Reference:
    """`tokenizers`: exact by definition."""

    def __init__(self, tokenizer: Any, reason: str) -> None:
        self._tokenizer = tokenizer
        self.choice = Choice("tokenizers", version("tokenizers"), reason)
        self.counts: dict[str, int] = {}

    def encode(self, texts: pa.LargeStringArray) -> Encoded:
        """Return the ids of *texts*.

        Raises:
            UnicodeDecodeError: a text is not UTF-8.

        """
        lengths = np.zeros(len(texts), np.int64)
        parts = [np.zeros(0, np.uint32)]
        sizes = pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
        for first, past in _pieces(sizes, _SLOW_PIECE):
            strings = [text or "" for text in texts.slice(first, past - first).to_pylist()]
            encodings = self._tokenizer.encode_batch_fast(strings, add_special_tokens=False)
            for row, encoding in enumerate(encodings, first):
                parts.append(np.array(encoding.ids, np.uint32))
                lengths[row] = len(parts[-1])
        ends = np.cumsum(lengths)
        self.counts["tokenizers"] = self.counts.get("tokenizers", 0) + len(texts)
        return Encoded(np.concatenate(parts), ends - lengths, ends)


class _Bytes:
    """The tokenizer whose ids are the bytes: there is nothing to do but to copy them."""

    def __init__(self) -> None:
        self.choice = Choice("bytes", "", "its ids are the bytes of the text")
        self.counts: dict[str, int] = {}

    def encode(self, texts: pa.LargeStringArray) -> Encoded:
        """Return the bytes of *texts*."""
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            texts.to_pylist()  # raises what the reference raises
            raise
        buffers = text_buffers(texts)
        self.counts["bytes"] = self.counts.get("bytes", 0) + len(texts)
        return Encoded(buffers.data, buffers.starts, buffers.ends)


class _UnsupportedError(Exception):
    """gigatoken cannot encode with a tokenizer as `tokenizers` does; the words say why."""


class _Gigatoken:
    """gigatoken, with the guard around it that makes it exact."""

    def __init__(self, tokenizer: Any, cache_memory: int, compared_share: float) -> None:
        whole = tokenizer.to_str()
        config = json.loads(whole)
        patterns = _patterns(config)
        added = {token["content"] for token in config["added_tokens"]}
        as_text = {token["content"] for token in config["added_tokens"] if token["special"]}
        self._tokens_in_text = sorted(added - as_text if tokenizer.encode_special_tokens else added)
        if config["normalizer"] and any(
            token["normalized"] for token in config["added_tokens"] if token["content"] in self._tokens_in_text
        ):
            raise _UnsupportedError("it looks for added tokens in normalized text")
        self._text, self._separator_id = _with_separator(config)
        self._load()
        versions = f"gigatoken {version('gigatoken')}, tokenizers {version('tokenizers')}"
        found = compare_engines(config, whole, patterns, _loaded_with_separator, _SEPARATOR, versions, _kept_in())
        if found.flaw is not None:
            raise _UnsupportedError(found.flaw)
        self._unsure = np.zeros(0x110000, np.uint8)
        for first, last in found.unsure:
            self._unsure[first : last + 1] = 1
        self._pages = self._unsure.reshape(-1, 64).any(axis=1).astype(np.uint8)
        self._reference = Reference(tokenizer, "")
        self._share = compared_share
        self._limit = cache_memory // 2
        count = int(self._unsure.sum())
        self.choice = Choice(
            "gigatoken", version("gigatoken"), f"texts with any of {count:,} code points go to tokenizers"
        )
        self.counts: dict[str, int] = {}

    def encode(self, texts: pa.LargeStringArray) -> Encoded:
        """Return the ids of *texts*.

        Raises:
            UnicodeDecodeError: a text is not UTF-8.
            EngineMismatchError: gigatoken gave other ids than `tokenizers`.

        """
        from corpusmill.stages.kernels.tokens import FINE, look

        buffers = text_buffers(texts)
        found = np.zeros(len(texts), np.uint8)
        look(buffers.data, buffers.starts, buffers.ends, self._unsure, self._pages, found)
        fast = found == FINE
        if self._tokens_in_text:
            fast &= ~_contain(texts, self._tokens_in_text)
        parts, starts, ends = self._fast(buffers, fast)
        slow = np.flatnonzero(~fast)
        if slow.size:
            encoded = self._reference.encode(texts.take(pa.array(slow)))
            shift = sum(map(len, parts))
            starts[slow], ends[slow] = encoded.starts + shift, encoded.ends + shift
            parts.append(encoded.ids)
        result = Encoded(parts[0] if len(parts) == 1 else np.concatenate(parts), starts, ends)
        compared = self._compare(texts, buffers, fast, result)
        for name, count in (
            ("gigatoken", int(fast.sum())),
            ("tokenizers", slow.size),
            ("compared", compared),
        ):
            self.counts[name] = self.counts.get(name, 0) + count
        return result

    def _fast(self, buffers: TextBuffers, fast: npt.NDArray[np.bool_]) -> tuple[list[Numbers], Numbers, Numbers]:
        """Return the ids of the *fast* texts, in parts that are to be put together, and where those of each lie."""
        from corpusmill.stages.kernels.tokens import join

        separator = np.frombuffer(_SEPARATOR.encode(), np.uint8)
        sizes = np.where(fast, buffers.ends - buffers.starts, 0) + separator.size
        parts: list[Numbers] = [np.zeros(0, np.uint32)]
        bounds = np.zeros(len(fast) + 1, np.int64)
        at = 0
        for first, past in _pieces(sizes, _PIECE):
            rows = slice(first, past)
            joined = np.empty(int(sizes[rows].sum()), np.uint8)
            join(buffers.data, buffers.starts[rows], buffers.ends[rows], fast[rows], separator, joined)
            ids = self._ids(joined.tobytes())
            between = np.flatnonzero(ids == self._separator_id)
            if between.size != past - first:
                raise EngineMismatchError(_WRONG.format(what=f"{past - first} texts as {between.size}"))
            bounds[first + 1 : past + 1] = between + (at + 1)
            parts.append(ids)
            at += ids.size
            if _resident() - self._resident > self._limit:
                self._load()
        return parts[1:] if len(parts) == 2 else parts, bounds[:-1].copy(), bounds[1:] - 1

    def _ids(self, text: bytes) -> Numbers:
        """Return what the engine makes of *text*; that it panics is no fault of a document."""
        try:
            ids: Numbers = self._engine(text)
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # which a module of Rust does not offer for import
                raise
            raise EngineMismatchError(_WRONG.format(what=f"none: {error}")) from None
        return ids

    def _load(self) -> None:
        """Make the engine, with empty caches.

        Nothing tells how much its caches hold, so it is taken for what the process has grown by. A table grows by doubling and
        lies in memory twice while it does: an engine that has taken half of its limit is replaced (0.1 s).
        """
        self._engine: Encode = _nothing  # the old one goes before the new one comes
        self._engine = _loaded(self._text)
        self._resident = _resident()

    def _compare(
        self, texts: pa.LargeStringArray, buffers: TextBuffers, fast: npt.NDArray[np.bool_], result: Encoded
    ) -> int:
        """Compare the ids of a sample of the *fast* texts with those of `tokenizers`; return how many texts were compared."""
        from corpusmill.stages.kernels.tokens import samples

        draws, chosen = np.zeros(len(fast), np.uint64), np.zeros(len(fast), np.bool_)
        limit = np.uint64(min(int(self._share * 2**64), 2**64 - 1))
        samples(buffers.data, buffers.starts, buffers.ends, limit, draws, chosen)
        rows = np.flatnonzero(chosen & fast).tolist()
        for row in rows:
            raw = texts[row].as_buffer().to_pybytes() if texts[row].is_valid else b""
            ids = result.ids[result.starts[row] : result.ends[row]]
            if len(raw) > _WINDOW:
                raw = _window(raw, int(draws[row]))
                ids = self._ids(raw)
            expected = self._reference.encode(pa.array([raw.decode()], pa.large_string())).ids
            if not np.array_equal(ids, expected):
                raise EngineMismatchError(_WRONG.format(what=f"{len(expected)} ids as {len(ids)}, or others"))
        if rows:
            self._reference.counts.clear()
        return len(rows)


def _nothing(_: bytes) -> Numbers:
    raise AssertionError("an engine is loaded")


_WRONG = (
    "tokenize: gigatoken gave other ids than tokenizers ({what}); what it made of other texts may be wrong too. "
    'Begin again with engine = "tokenizers" in the tokenize stage'
)


def _loaded(text: str) -> Encode:
    """Return gigatoken's encoder of a `tokenizer.json`.

    Raises:
        _UnsupportedError: it cannot be imported, or does not read the tokenizer.

    """
    try:
        from gigatoken.gigatoken_rs import load_hf_json

        encode: Encode = load_hf_json(text).encode
    except Exception as error:  # noqa: BLE001  of whatever kind, it says why gigatoken is not to be had
        raise _UnsupportedError(f"{type(error).__name__}: {error}".partition("\n")[0][:200]) from None
    return encode


def _loaded_with_separator(config: dict[str, Any]) -> Encode:
    return _loaded(_with_separator(config)[0])


def _with_separator(config: dict[str, Any]) -> tuple[str, int]:
    """Return a `tokenizer.json` with the separator for its only special token, and the id of that.

    Without the others, gigatoken takes those for text when they are spelled out; texts in which they are tokens it never sees.
    """
    id_ = max([*config["model"]["vocab"].values(), *(token["id"] for token in config["added_tokens"])]) + 1
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    parts: dict[str, Any] = {"version": "1.0", "added_tokens": [{"id": id_, "content": _SEPARATOR, **flags}]}
    parts |= {name: config.get(name) for name in ("normalizer", "pre_tokenizer", "model")}
    return json.dumps(parts), id_


def _patterns(config: dict[str, Any]) -> list[str]:
    """Return the patterns that a tokenizer splits by.

    Raises:
        _UnsupportedError: gigatoken is not known to read it as `tokenizers` does.

    """
    from corpusmill.stages.tokenize import byte_characters

    model, normalizer = config["model"], config.get("normalizer")
    if model.get("type") != "BPE":
        raise _UnsupportedError(f"its model is {model.get('type')}, not BPE")
    for name in ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(name):
            raise _UnsupportedError(f"its model has {name}")
    if any(character not in model.get("vocab", ()) for _, character in byte_characters()):
        raise _UnsupportedError("its vocabulary lacks some of the 256 bytes")
    if normalizer not in (None, {"type": "NFC"}):
        raise _UnsupportedError(f"its normalizer is {normalizer['type']}")
    splitter = config.get("pre_tokenizer") or {}
    steps = splitter.get("pretokenizers", [splitter])
    *splits, last = steps
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space") or (splits and last.get("use_regex")):
        raise _UnsupportedError("its pre_tokenizer does not end with plain ByteLevel")
    if not splits and not last.get("use_regex", True):
        raise _UnsupportedError("its pre_tokenizer does not split")
    patterns = []
    for step in splits:
        pattern = step.get("pattern", {}).get("Regex")
        if step.get("type") != "Split" or pattern is None or step.get("invert") or step.get("behavior") != "Isolated":
            raise _UnsupportedError("its pre_tokenizer has a step that is no isolated Split by a pattern")
        patterns.append(pattern)
    return patterns or [PRE_TOKENIZERS["gpt2"].pattern]


def _contain(texts: pa.LargeStringArray, tokens: list[str]) -> npt.NDArray[np.bool_]:
    """Return which texts have any of *tokens* in them, spelled out."""
    found = np.zeros(len(texts), np.bool_)
    for token in tokens:
        found |= pc.fill_null(pc.match_substring(texts, token), False).to_numpy(zero_copy_only=False)
    return found


def _pieces(sizes: Numbers, limit: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows whose *sizes* add up to about *limit* bytes, and one of them at least."""
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = ends[first - 1] if first else 0
        past = max(int(np.searchsorted(ends, before + limit, "right")), first + 1)
        yield first, past
        first = past


def _window(raw: bytes, draw: int) -> bytes:
    """Return a piece of a long text, whole characters, whose place follows from *draw*."""
    start = draw % (len(raw) - _WINDOW)
    end = start + _WINDOW
    while raw[start] & 0xC0 == 0x80:
        start += 1
    while end < len(raw) and raw[end] & 0xC0 == 0x80:
        end -= 1
    return raw[start:end]


def _kept_in() -> str | None:
    """Return the directory of compiled kernels."""
    from corpusmill.stages.compile_ahead import kept_in

    return kept_in("tokens")


def _resident() -> int:
    """Return how much memory this process has now; where the system does not tell, how much it has had at most."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE_SIZE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
