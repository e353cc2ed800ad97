"""Training a tokenizer by itself, on inputs cleaned as a recipe says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from corpusmill.discover import discover
from corpusmill.journal import write_atomically
from corpusmill.pipeline import Pipeline
from corpusmill.readers import Quarantined, SkippedRecord, read
from corpusmill.schemas import RecipeError
from corpusmill.schemas.inputs import Part, Split
from corpusmill.schemas.recipe import Recipe
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages import Pack, Tokenize
from corpusmill.stages.tokenize import train_tokenizer

__all__ = ["train"]


def train(recipe: Recipe, inputs: Sequence[str], output: Path, vocabulary_size: int, sample_size: str) -> Any:
    """Train a tokenizer on the first *sample_size* of text that *recipe* keeps of *inputs*; write it to *output*."""
    given = [stage for stage in recipe.stages if isinstance(stage, Tokenize)]
    special = given[0].special_tokens if given else Tokenize().special_tokens
    settings = Tokenize(vocabulary_size=vocabulary_size, sample_size=sample_size, special_tokens=special)
    pipeline = Pipeline([stage for stage in recipe.stages if not isinstance(stage, Tokenize | Pack)])
    texts = _sample(pipeline, recipe, inputs, parse_size(sample_size))
    first = next(texts, None)
    if first is None:
        raise RecipeError(f"there is no text to train on in {', '.join(inputs)}")
    tokenizer = train_tokenizer(_chain(first, texts), settings)
    with write_atomically(output) as temporary:
        tokenizer.save(str(temporary))
    return tokenizer


def _sample(pipeline: Pipeline, recipe: Recipe, inputs: Sequence[str], size: int) -> Iterator[str]:
    for document in pipeline.documents(_rows(recipe, inputs)):
        if size <= 0:
            return
        text = document["text"] or ""
        size -= len(text.encode())
        yield text


def _rows(recipe: Recipe, inputs: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, file in enumerate(discover(inputs, recipe.input).files):
        for item in read(Split(index=number, parts=(Part(file=file),)), recipe.input):
            if not isinstance(item, Quarantined | SkippedRecord):
                yield from item.to_pylist()


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
