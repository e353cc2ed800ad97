"""Test-set leakage: documents that hold items of evaluation sets, dropped or trimmed, with the item named.

The rule is that of GPT-3 (Brown et al. 2020, appendix C): words in lower case without punctuation, and 13 of them in a row that
an item has too. One such n-gram is enough by default, as it is in NeMo Curator, datatrove and lm-evaluation-harness; the share
of the item that is there is measured as well, so that the limit can be raised afterwards (`minimum_share`).

What those miss is looked for here: items shorter than an n-gram (46 % of planted items in the test of marin-community/marin
#5519, because texts of under 13 words have no 13-gram), and scripts without spaces. What those take for leaks is not: n-grams
that many items of a file have, such as "Construct a complete truth table for the following argument", dropped whole sources
there (#6852). See docs/decontamination.md.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Meta

from corpusmill.schemas import Drop, RecipeError, signal_column, verdict_array
from corpusmill.stages.base import BatchFunction, Stage, with_columns
from corpusmill.stages.evaluation_index import EvaluationIndex, Match
from corpusmill.stages.evaluation_passages import NgramRules
from corpusmill.stages.reference_files import reference_files

__all__ = ["Decontaminate", "cut"]

_LOGGER = logging.getLogger("corpusmill")
_FILES_TOLD = 20
_TO_BLANK = 50  # characters that a cut moves to a blank, so that it does not part a word


class Decontaminate(Stage, frozen=True, kw_only=True):
    """Drop or trim documents that hold items of evaluation sets: `ref` and the signal `leaked_item` name the item.

    Each text of an item is compared by itself, so a question without its answer counts. `contaminated`: a document shares an
    n-gram with an item (value: share of the words of that text of the item which is covered best). When trimming:
    `too_many_cuts` (value: cuts), `nothing_left` (value: characters of the longest piece).

    Signals: `leaked_ngrams`, n-grams of the document that items have; `leaked_share`, the share of the text that is covered
    best; `leaked_item`, whose it is. They say what was found before anything was trimmed.
    """

    reasons: ClassVar[frozenset[str]] = frozenset({"contaminated", "nothing_left", "too_many_cuts"})
    signals: ClassVar[dict[str, pa.DataType]] = {
        "leaked_ngrams": pa.int32(),
        "leaked_share": pa.float32(),
        "leaked_item": pa.string(),
    }
    version: ClassVar[int] = 1

    references: tuple[str, ...] | str
    """Files, folders or patterns (`evals/**/*.jsonl`) of evaluation sets: JSON Lines, JSON, Parquet, CSV or text; all but
    Parquet also compressed (.gz, .zst, .bz2, .xz). Their contents are part of a run's fingerprint. Of folders and patterns
    files such as `LICENSE.txt`, `README.txt` and `requirements.txt` are left out; name them outright if they are sets."""
    fields: tuple[str, ...] = ()
    """Fields (columns) of the items to compare, such as `question` or `choices.text`; empty takes all but the id and addresses.
    Name them where a set quotes public pages: the passages of SQuAD or BoolQ are Wikipedia's, and would cost you Wikipedia."""
    id_fields: tuple[str, ...] = ("id", "task_id", "question_id", "_id", "uid")
    """The first of these that an item has names it; without any its number does, from 0."""
    action: Literal["drop", "trim", "measure"] = "drop"
    """`drop` the document; `trim` it, cutting what it shares with `margin` around it (GPT-3 went from dropping to this,
    because one quotation cost whole books); or only `measure`."""
    ngram_words: Annotated[int, Meta(ge=3, le=50)] = 13
    """Words in a row that must be shared. GPT-3: 13, datatrove: 12, Llama 3: 8. Lower values find edited copies and also
    common phrases. Two letters of Chinese or Japanese count as one word, five of Thai, Lao, Khmer or Burmese."""
    minimum_words: Annotated[int, Meta(ge=3)] | None = 8
    """Texts of an item with fewer words than an n-gram are found as a whole if they have this many (GPT-3's smallest n is 8).
    None leaves them out. Lower values drop every page that asks "What is the capital of France?"."""
    minimum_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Share of the words of a text of an item that must be in the document. 0: one n-gram is enough. Tülu 3 asks for 0.5 and
    PaLM for 0.7; higher values spare pages that quote what an item quotes, and miss halves of items."""
    maximum_items: Annotated[int, Meta(ge=1)] | None = 10
    """N-grams that more items of one file have are not looked for: instructions, templates, passages with many questions.
    A text that is found as a whole may be that of one item only. Files of up to five items count as one with those beside
    them. None looks for all."""
    exceptions: tuple[str, ...] = ()
    """Files of texts that documents may hold though items quote them (licenses, famous speeches), in the same formats; a text
    file is one text. A file that changes nothing is told when the run starts."""
    margin: Annotated[int, Meta(ge=0)] = 200
    """Characters cut on each side when trimming. GPT-3: 200."""
    minimum_piece: Annotated[int, Meta(ge=0)] = 200
    """Shorter pieces between cuts go too; a document without any other is dropped (`nothing_left`). GPT-3: 200."""
    maximum_cuts: Annotated[int, Meta(ge=1)] = 10
    """Documents that need more cuts are dropped (`too_many_cuts`). GPT-3: 10 pieces."""

    def __post_init__(self) -> None:
        given: Any = self.references
        if isinstance(given, str | os.PathLike):
            given = (given,)
        if isinstance(given, list | tuple):
            given = tuple(os.fspath(name) if isinstance(name, os.PathLike) else name for name in given)
        msgspec.structs.force_setattr(self, "references", given)
        super().__post_init__()
        if not self.references or not all(self.references):
            raise RecipeError(
                'decontaminate.references: name at least one evaluation set, such as references = ["evals/mmlu.jsonl"]'
            )

    @property
    def rewrites(self) -> tuple[str, ...]:
        """Columns that change: the text, if it is trimmed."""
        return ("text",) if self.action == "trim" else ()

    def resources(self) -> tuple[str, ...]:
        """Return the files of the evaluation sets and of the exceptions."""
        try:
            sets, exceptions = reference_files(self.references), reference_files(self.exceptions, licenses=True)
            return tuple(str(path) for path in (*sets, *exceptions))
        except RecipeError as error:
            raise RecipeError(f"{self.kind}: {error}") from None

    def index(self) -> EvaluationIndex:
        """Return the table of n-grams; it is kept while settings and files stay the same."""
        status = ((path, Path(path).stat()) for path in self.resources())
        return _index(self, tuple((path, file.st_size, file.st_mtime_ns) for path, file in status))

    def open(self) -> BatchFunction:
        """Read the evaluation sets, build the table of their n-grams, and return the batch function."""
        index = self.index()

        def run(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.StructArray]:
            names = batch.schema.names
            if "text" not in names:
                raise RecipeError(f"{self.kind}: the table has no column 'text' (it has: {', '.join(names)})")
            texts = batch.column("text")
            found = index.windows_of(texts)
            ngrams, shares = np.zeros(len(texts), np.int32), np.zeros(len(texts), np.float32)
            items: list[str | None] = [None] * len(texts)
            drops: list[Drop | None] = [None] * len(texts)
            changed: dict[int, str] = {}
            rows, begins = np.unique(found[:, 0], return_index=True)
            bounds = [*begins.tolist(), len(found)]
            for row, begin, end in zip(rows.tolist(), bounds[:-1], bounds[1:], strict=True):
                match = index.match(found[begin:end], self.minimum_share)
                ngrams[row], shares[row], items[row] = match.ngrams, match.share, match.ref
                if self.action == "measure" or match.share < self.minimum_share:
                    continue
                result: str | Drop = Drop("contaminated", match.share, self.minimum_share, match.ref)
                if self.action == "trim":
                    result = self._trimmed(index, texts[row].as_py(), match)
                if isinstance(result, Drop):
                    drops[row] = result
                else:
                    changed[row] = result
            measured = zip(self.signals.items(), (ngrams, shares, items), strict=True)
            arrays = {signal_column(name): pa.array(values, type_) for (name, type_), values in measured}
            _keep_greater_shares(batch, arrays)
            if changed:
                rewritten = [changed.get(row, text) for row, text in enumerate(texts.to_pylist())]
                arrays["text"] = pa.array(rewritten, texts.type)
            return with_columns(batch, arrays), verdict_array(drops)

        return run

    def _trimmed(self, index: EvaluationIndex, text: str, match: Match) -> str | Drop:
        """Return *text* without what it shares with items, or why it goes as a whole."""
        cuts = 0
        while len(match.windows):
            pieces, more = _pieces(text, index.spans(text, match.windows), self.margin)
            cuts += more
            if cuts > self.maximum_cuts:
                return Drop("too_many_cuts", cuts, self.maximum_cuts, match.ref)
            text = _joined(pieces, self.minimum_piece)
            if not text:
                return Drop("nothing_left", max(map(len, pieces)), self.minimum_piece, match.ref)
            # Pieces that were apart stand side by side now; what is handed on must not match again.
            found = index.windows_of(pa.array([text], pa.large_string()))
            if not len(found):
                break
            match = index.match(found, self.minimum_share)
        return text


@lru_cache(maxsize=2)
def _index(stage: Decontaminate, state: tuple[Any, ...]) -> EvaluationIndex:  # noqa: ARG001
    """Return the table for settings and files as they are: who judges many batches with one stage builds it once."""
    try:
        index = EvaluationIndex(
            tuple(stage.references),
            NgramRules(stage.ngram_words, stage.minimum_words),
            fields=stage.fields,
            id_fields=stage.id_fields,
            maximum_items=stage.maximum_items,
            exceptions=stage.exceptions,
        )
    except RecipeError as error:
        raise RecipeError(f"{stage.kind}: {error}") from None
    if multiprocessing.parent_process() is None:  # once a run, not once a worker
        _tell(stage, index)
    return index


def _tell(stage: Decontaminate, index: EvaluationIndex) -> None:
    """Log what was taken for evaluation sets, what of it cannot be found, and exceptions that are none."""
    names = ", ".join(f"{file.name} ({file.items:,})" for file in index.files[:_FILES_TOLD])
    more = f" and {len(index.files) - _FILES_TOLD:,} more" if len(index.files) > _FILES_TOLD else ""
    _LOGGER.info("%s: files and their items: %s%s", stage.kind, names, more)
    if index.plain:
        _LOGGER.info(
            "%s: %s n-grams of few distinct words, or of numbers and single letters alone, are not looked for",
            stage.kind,
            f"{index.plain:,}",
        )
    for name in index.idle_exceptions:
        _LOGGER.warning("%s: the exceptions in %s change nothing: no item has any n-gram of theirs", stage.kind, name)
    for file in index.files:
        if file.too_short + file.common:
            _LOGGER.warning(
                "%s: of %s items in %s, %s cannot be found: %s have no text of %s words, %s only common n-grams",
                stage.kind,
                f"{file.items:,}",
                file.name,
                f"{file.too_short + file.common:,}",
                f"{file.too_short:,}",
                stage.minimum_words or stage.ngram_words,
                f"{file.common:,}",
            )


def _keep_greater_shares(batch: pa.RecordBatch, arrays: dict[str, pa.Array]) -> None:
    """Put what an earlier stage of this kind measured in place of *arrays* where its share is greater."""
    share = signal_column("leaked_share")
    if share not in batch.schema.names:
        return
    earlier = pc.fill_null(pc.greater(batch.column(share), arrays[share]), fill_value=False)
    for name, array in arrays.items():
        arrays[name] = pc.if_else(earlier, batch.column(name).cast(array.type), array)


def cut(text: str, spans: Sequence[tuple[int, int]], margin: int, minimum_piece: int) -> tuple[str, int]:
    r"""Return *text* without *spans* (of its UTF-8 bytes, in order), and how many cuts that took.

    With each span go *margin* characters on both sides, and what is left of a word there. Pieces of fewer than
    *minimum_piece* characters go too. What is left is joined by blank lines.

    >>> cut("keep this, but not the secret here, and keep that", [(19, 29)], 4, 5)
    ('keep this, but\n\nand keep that', 1)
    """
    pieces, cuts = _pieces(text, spans, margin)
    return _joined(pieces, minimum_piece), cuts


def _pieces(text: str, spans: Sequence[tuple[int, int]], margin: int) -> tuple[list[str], int]:
    """Return what is left of *text* around *spans*, one piece more than there are cuts, and the number of cuts."""
    data = text.encode()
    holes: list[tuple[int, int]] = []
    characters = position = 0
    for first, last in spans:
        begin = characters + len(data[position:first].decode())
        characters = begin + len(data[first:last].decode())
        position = last
        begin, end = _outwards(text, max(0, begin - margin), min(len(text), characters + margin))
        if holes and not text[holes[-1][1] : begin].strip():
            holes[-1] = (holes[-1][0], max(end, holes[-1][1]))
        else:
            holes.append((begin, end))
    bounds = [0, *(edge for hole in holes for edge in hole), len(text)]
    return [text[bounds[at] : bounds[at + 1]].strip() for at in range(0, len(bounds), 2)], len(holes)


def _joined(pieces: Sequence[str], minimum_piece: int) -> str:
    return "\n\n".join(piece for piece in pieces if len(piece) >= max(minimum_piece, 1))


def _outwards(text: str, begin: int, end: int) -> tuple[int, int]:
    """Return the bounds of a cut moved outwards: to a blank if one is near, and off the signs of a letter that is cut."""
    before = range(begin, max(begin - _TO_BLANK, 0) - 1, -1)
    behind = range(end, min(end + _TO_BLANK, len(text)) + 1)
    begin = next((at for at in before if _is_between_words(text, at)), begin)
    end = next((at for at in behind if _is_between_words(text, at)), end)
    while begin > 0 and unicodedata.category(text[begin])[0] == "M":
        begin -= 1
    while end < len(text) and unicodedata.category(text[end])[0] == "M":
        end += 1
    return begin, end


def _is_between_words(text: str, at: int) -> bool:
    return at in {0, len(text)} or text[at - 1].isspace() or text[at].isspace()
