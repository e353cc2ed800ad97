"""How well tokenizers fit texts, side by side: tokens to a word (fertility), bytes to a token, and unknown tokens.

Fertility is what a model pays for a word (Rust et al. 2021, How Good is Your Tokenizer?), but it can be compared within a
language only, and needs a notion of a word; bytes to a token need none, but scripts take one to three bytes a character. Words
are those of the quality rules (stages/text_units.py): runs of non-white space, and where a script has no spaces a fixed number of
characters.

Encoding is left to `tokenizers` itself, at 2 to 3 MB/s a core: what is compared may be anything that it reads, and to find out
whether the fast engine is exact for a new tokenizer takes as long as 10 MB.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from corpusmill.readable import aligned
from corpusmill.schemas import RecipeError
from corpusmill.stages.compile_ahead import compile_ahead
from corpusmill.stages.quality_measures import measure_texts
from corpusmill.stages.text_buffers import text_buffers
from corpusmill.stages.tokenizer_engines import Reference

__all__ = ["ALL", "Fit", "LanguageFit", "fit_table", "measure_fit", "unknown_id"]

ALL = "all"
"""The name of all texts together."""
_TEXTS = 256


class Fit(msgspec.Struct, kw_only=True):
    """What a tokenizer makes of some texts."""

    tokens: int = 0
    unknown: int = 0
    """Tokens that stand for what the vocabulary does not have; a byte-level one has all."""


class LanguageFit(msgspec.Struct, kw_only=True):
    """Texts of a language, and what each tokenizer makes of them."""

    language: str
    documents: int = 0
    bytes: int = 0
    words: int = 0
    fits: dict[str, Fit] = {}
    """By the name of the tokenizer."""

    def fertility(self, name: str) -> float:
        """Return tokens to a word; 0 where there are no words."""
        return self.fits[name].tokens / self.words if self.words else 0.0

    def bytes_per_token(self, name: str) -> float:
        """Return bytes to a token; 0 where there are no tokens."""
        return self.bytes / self.fits[name].tokens if self.fits[name].tokens else 0.0

    def plain(self) -> dict[str, Any]:
        """Return all figures as plain data."""
        counts = {"language": self.language, "documents": self.documents, "bytes": self.bytes, "words": self.words}
        ratios = {
            name: {
                "tokens": fit.tokens,
                "tokens_per_word": round(self.fertility(name), 4),
                "bytes_per_token": round(self.bytes_per_token(name), 4),
                "unknown": fit.unknown,
            }
            for name, fit in self.fits.items()
        }
        return {**counts, "tokenizers": ratios}


def measure_fit(
    texts: Mapping[str, Sequence[str | bytes]],
    tokenizers: Mapping[str, Any],
    done: Callable[[int], Any] = lambda _: None,
) -> list[LanguageFit]:
    """Return what each of *tokenizers*, by name, makes of the *texts* (bytes are UTF-8), by language and then for all.

    *done* is told how many bytes a tokenizer has encoded.

    Raises:
        RecipeError: a tokenizer cannot encode a text, as some without an unknown token.

    """
    compile_ahead("quality_measure")
    engines = {name: (Reference(given, "measured"), unknown_id(given)) for name, given in tokenizers.items()}
    whole = LanguageFit(language=ALL, fits={name: Fit() for name in tokenizers})
    rows = []
    for language in sorted(texts):
        row = LanguageFit(language=language, fits={name: Fit() for name in tokenizers})
        for first in range(0, len(texts[language]), _TEXTS):
            part = pa.array(texts[language][first : first + _TEXTS], pa.large_string())
            buffers = text_buffers(part)
            size = int((buffers.ends - buffers.starts).sum())
            words = int(measure_texts(buffers, {"words"})["words"].sum())
            for into in (row, whole):
                into.documents += len(part)
                into.bytes += size
                into.words += words
            for name, (engine, unknown) in engines.items():
                try:
                    ids = engine.encode(part).ids
                except Exception as error:  # noqa: BLE001  the bindings raise bare Exception for everything
                    raise RecipeError(f"{name} cannot encode every text: {error}") from None
                strange = 0 if unknown is None else int((ids == unknown).sum())
                for into in (row, whole):
                    into.fits[name].tokens += len(ids)
                    into.fits[name].unknown += strange
                done(size)
        rows.append(row)
    return [*rows, whole] if set(texts) != {ALL} else rows


def unknown_id(tokenizer: Any) -> int | None:
    """Return the id that stands for what the vocabulary of a tokenizer of `tokenizers` does not have; None if nothing does."""
    model = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:  # Unigram
        return int(model["unk_id"])
    token = model.get("unk_token")
    return None if token is None else tokenizer.token_to_id(token)


def fit_table(rows: Sequence[LanguageFit], sizes: Mapping[str, int]) -> list[str]:
    """Return the figures as lines to read, each measure with all tokenizers side by side; *sizes* are their vocabularies."""
    letters = {name: chr(ord("A") + number) if number < 26 else str(number) for number, name in enumerate(sizes)}
    several = len(letters) > 1
    legend = [f"{letter}  {name} ({sizes[name]:,} tokens)" for name, letter in letters.items()] if several else []
    head = ["language", "documents", "bytes", "words"]
    for measure in ("tokens/word", "bytes/token", "unknown"):
        head += [f"{measure} {letter}" if several else measure for letter in letters.values()]
    table = [head]
    for row in rows:
        line = [row.language, f"{row.documents:,}", f"{row.bytes:,}", f"{row.words:,}"]
        line += [f"{row.fertility(name):.2f}" for name in letters]
        line += [f"{row.bytes_per_token(name):.2f}" for name in letters]
        line += [f"{row.fits[name].unknown:,}" for name in letters]
        table.append(line)
    return [*legend, *aligned(table)]
