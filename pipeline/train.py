"""Training a tokenizer by itself, on a sample of what a recipe keeps of some inputs, and measuring it on what it has not seen.

One pass in one process reads the inputs, runs the stages, and draws the sample and the held-out texts by the hash of document
ids: the same in any listing order, and however documents are spread over files where they have ids of their own. What it costs is
that pass, so of large inputs a share of the documents goes through the stages, enough for many samples.

Byte-level BPE is the only model. Unigram and WordPiece were left out: their ids could be made by `tokenizers` alone, at 2 to
3 MB/s (tokenizer_engines.py), and there are characters that they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from corpusmill import __version__
from corpusmill.discover import discover
from corpusmill.isolation import words_of
from corpusmill.journal import temporary_name, write_atomically
from corpusmill.log import Level
from corpusmill.pipeline import Pipeline
from corpusmill.readable import size as readable_size
from corpusmill.readers import Quarantined, SkippedRecord, read
from corpusmill.schemas import RecipeError
from corpusmill.schemas.inputs import InputFile, Part, Split
from corpusmill.schemas.recipe import Recipe
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages import Pack, Tokenize
from corpusmill.stages.tokenize import load_tokenizer, tokenizer_hash, train_tokenizer
from corpusmill.subsets import held_out_draws, in_sample, training_draw
from corpusmill.summary import skipped_lines
from corpusmill.text_sample import TextSample, balanced
from corpusmill.tokenizer_quality import ALL, LanguageFit, measure_fit

__all__ = ["Sampling", "Trained", "train", "training_settings"]

_SAMPLES_READ = 20
"""Stored bytes that are read for a byte of the sample: compressed pages hold about half a byte of text each."""
_UNKNOWN_LANGUAGE = "und"
_TRAINING = ("vocabulary_size", "pre_tokenizer", "special_tokens", "sample_size")

Say = Callable[[str, Level], object]
Work = Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]
"""Shows work of so many bytes: what it yields is told how many more are done."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Which texts a tokenizer is trained on and measured on. The seed is the recipe's."""

    language_exponent: float = 1.0
    """Languages share the sample in proportion to their bytes to this power: 1 as the text has it, 0 the same for each."""
    held_out_share: float = 0.05
    """Share of documents that is never trained on, by the hash of their ids alone, whatever the seed."""
    held_out_size: str = "500kB"
    """How much text of each language is measured."""
    read_share: float | None = None
    """Share of documents that is looked at; None is all, or enough where there is far more text than the sample needs."""

    def __post_init__(self) -> None:
        for name in ("language_exponent", "held_out_share", "read_share"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise RecipeError(f"{name}: expected a number from 0 to 1, got {value:g}")
        if self.held_out_share == 1 or self.read_share == 0:
            raise RecipeError("held_out_share = 1 and read_share = 0 leave nothing to train on")
        parse_size(self.held_out_size)


class Trained(msgspec.Struct, kw_only=True):
    """A tokenizer that was trained, and how it compares."""

    path: Path
    settings: Tokenize
    seed: int
    sampling: Sampling
    entries: dict[str, int]
    """Sizes of the vocabularies, by name: its own, and of those that it is compared with."""
    sample: dict[str, tuple[int, int]]
    """Documents and bytes that it was trained on, by language."""
    read_share: float
    fits: list[LanguageFit]

    def plain(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        from importlib.metadata import version

        return {
            "tokenizer": str(self.path),
            "sha256": tokenizer_hash(self.path),
            "entries": self.entries,
            "settings": {
                **{name: getattr(self.settings, name) for name in _TRAINING},
                "seed": self.seed,
                **msgspec.structs.asdict(self.sampling),
                "read_share": self.read_share,
            },
            "sample": [
                {"language": name, "documents": count, "bytes": size} for name, (count, size) in self.sample.items()
            ],
            "held_out": [row.plain() for row in self.fits],
            "versions": {"corpusmill": __version__, "tokenizers": version("tokenizers")},
        }


def training_settings(recipe: Recipe, **given: Any) -> Tokenize:
    """Return what to train: what is *given* and not None, else as the tokenize stage of *recipe* or its defaults say."""
    stage = next((stage for stage in recipe.stages if isinstance(stage, Tokenize)), Tokenize())
    settings = {name: getattr(stage, name) for name in _TRAINING}
    settings |= {name: value for name, value in given.items() if value is not None}
    return Tokenize(**settings, append_end=False)  # who uses it says how documents end


def train(
    recipe: Recipe,
    inputs: Sequence[str],
    output: Path,
    settings: Tokenize,
    sampling: Sampling = Sampling(),  # noqa: B008  frozen
    compare: Sequence[str] = (),
    report: Path | None = None,
    say: Say = lambda _text, _level: None,
    work: Work = lambda _what, _total: nullcontext(lambda _: None),
) -> Trained:
    """Train a tokenizer as *settings* say on text that *recipe* keeps of *inputs*, and write it to *output*.

    It is measured on held-out documents beside the tokenizers to *compare* (files, or `bytes`); *report* gets figures as JSON.

    Raises:
        RecipeError: there is no text, a file to compare is no tokenizer, languages are to be balanced and none is measured, or a
            file cannot be written.

    """
    if report is not None and report.resolve() == output.resolve():
        raise RecipeError(f"the report would take the place of the tokenizer: both are to be {output}")
    for path in (output, report) if report is not None else (output,):
        _check_writable(path)
    name = str(output)
    others = {given if given != name else f"{given} (before)": Tokenize(tokenizer=given).load() for given in compare}
    drawn = _read(recipe, inputs, parse_size(settings.sample_size), sampling, say, work)
    texts = drawn.sample.texts()
    counts = {language: (len(given), sum(map(len, given))) for language, given in texts.items()}
    _say_sample(counts, drawn, parse_size(settings.sample_size), say)
    tokenizer = train_tokenizer((text.decode() for given in texts.values() for text in given), settings)
    with write_atomically(output) as temporary:
        temporary.write_text(tokenizer.to_str(pretty=True), "utf-8")
    if tokenizer.get_vocab_size() < settings.vocabulary_size:
        say(
            f"the text fills {tokenizer.get_vocab_size():,} of {settings.vocabulary_size:,} entries; "
            "give it more text, or a smaller --vocabulary-size",
            "warning",
        )
    tokenizers = {name: load_tokenizer(name), **others}
    measured = drawn.held_out.texts()
    with work("measuring", len(tokenizers) * sum(len(text) for given in measured.values() for text in given)) as done:
        fits = measure_fit(measured, tokenizers, done) if measured else []
    if not fits and (sampling.held_out_share or compare):
        say("no document was held out, so nothing is measured; raise --held-out-share or give more text", "warning")
    trained = Trained(
        path=output,
        settings=settings,
        seed=recipe.seed,
        sampling=sampling,
        entries={name: given.get_vocab_size() for name, given in tokenizers.items()},
        sample=counts,
        read_share=drawn.share,
        fits=fits,
    )
    if report is not None:
        with write_atomically(report) as temporary:
            temporary.write_text(json.dumps(trained.plain(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    return trained


def _check_writable(path: Path) -> None:
    """Find out before the work whether *path* can be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(path)
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise RecipeError(f"{path} cannot be written: {error.strerror}") from None


class _Drawn(NamedTuple):
    """What was drawn of the inputs, and the share of documents that was looked at."""

    sample: TextSample
    held_out: TextSample
    share: float


def _read(recipe: Recipe, inputs: Sequence[str], size: int, sampling: Sampling, say: Say, work: Work) -> _Drawn:
    """Take the documents of *inputs* through the stages of *recipe* and draw from them."""
    stages = [stage for stage in recipe.stages if not isinstance(stage, Tokenize | Pack)]
    if sampling.language_exponent < 1 and not any("language" in stage.added_columns().names for stage in stages):
        raise RecipeError(
            f"--language-exponent needs to know languages, and no stage of the recipe {recipe.name!r} measures them: "
            'add a [[stage]] with kind = "filter_language", or take --recipe web'
        )
    found = discover(inputs, recipe.input)
    files = found.files
    for line in (*found.messages, *(f"skipped {reason}" for reason in skipped_lines(found.skipped))):
        say(line, "info")
    stored, measured = sum(file.size for file in files), float(parse_size(sampling.held_out_size))
    share = _read_share(recipe, sampling, stored, size)
    if share < recipe.input.sample_share:
        say(f"taking {share:.2g} of the documents, enough for {readable_size(size)}; --read-share 1 takes all", "info")
    drawn = _Drawn(
        TextSample(lambda seen: balanced(seen, size, sampling.language_exponent)),
        TextSample(lambda seen: dict.fromkeys(seen, measured)),
        share,
    )
    failed, first = 0, ""

    def on_error(id_: str, kind: str, error: BaseException) -> None:
        nonlocal failed, first
        failed += 1
        first = first or f"{kind} failed on document {id_!r}: {words_of(error)}"

    with work("reading", stored) as done:
        for batch in Pipeline(stages).batches(_batches(recipe, files, share, say, done), on_error=on_error):
            _draw(batch, recipe.seed, sampling.held_out_share, drawn)
    if failed:
        say(f"{failed:,} documents were left out because a stage failed on them; {first}", "warning")
    if not drawn.sample.seen:
        raise RecipeError(
            f"there is no text to train on in {', '.join(inputs)}"
            + ("; all of it is held out: set --held-out-share 0" if drawn.held_out.seen else "")
        )
    return drawn


def _read_share(recipe: Recipe, sampling: Sampling, stored: int, size: int) -> float:
    """Return the share of documents to look at."""
    if sampling.read_share is not None:
        return sampling.read_share
    if recipe.input.sample_share < 1 or sampling.language_exponent < 1:  # rare languages may need all they have
        return recipe.input.sample_share
    return min(1.0, _SAMPLES_READ * size / max(stored, 1))


def _batches(
    recipe: Recipe, files: Sequence[InputFile], share: float, say: Say, done: Callable[[int], Any]
) -> Iterator[pa.RecordBatch]:
    """Yield the documents of *files* that belong to the *share*, as batches, then *say* what could not be read."""
    unreadable = 0
    for number, file in enumerate(files):
        left = file.size
        for item in read(Split(index=number, parts=(Part(file=file),)), recipe.input):
            if isinstance(item, Quarantined | SkippedRecord):
                unreadable += isinstance(item, Quarantined)
                continue
            if file.compression == "none" and file.format != "parquet":  # else nobody knows how far it has come
                read_now = min(left, item.nbytes)
                left -= read_now
                done(read_now)
            ids = item.column("id").to_pylist()
            yield item.filter(pa.array([in_sample(id_, recipe.seed, share) for id_ in ids])) if share < 1 else item
        done(left)
    if unreadable:
        say(f"{unreadable:,} records or files could not be read; `corpusmill run` keeps the errors", "warning")


def _draw(batch: pa.RecordBatch, seed: int, held_out_share: float, drawn: _Drawn) -> None:
    """Put each document of *batch* into one of the two samples."""
    names = batch.schema.names
    languages = batch.column("language").to_pylist() if "language" in names else [ALL] * batch.num_rows
    columns = (batch.column("id").to_pylist(), batch.column("text").to_pylist(), languages)
    for id_, text, language in zip(*columns, strict=True):
        place, order = held_out_draws(id_)
        group = language or _UNKNOWN_LANGUAGE
        if place < held_out_share:
            drawn.held_out.add(group, order, text or "")
        else:
            drawn.sample.add(group, training_draw(id_, seed), text or "")


def _say_sample(counts: dict[str, tuple[int, int]], drawn: _Drawn, size: int, say: Say) -> None:
    """Say what the tokenizer is trained on."""
    documents, taken = (sum(count[place] for count in counts.values()) for place in (0, 1))
    seen = sum(drawn.sample.seen.values())
    languages = "" if set(counts) == {ALL} else f" in {len(counts)} languages"
    say(f"training on {readable_size(taken)} of {readable_size(seen)}: {documents:,} documents{languages}", "info")
    if seen < size and drawn.share < 1:
        say(f"that is less than {readable_size(size)}; raise --read-share above {drawn.share:.2g}", "warning")
