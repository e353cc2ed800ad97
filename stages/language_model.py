"""py3langid's model, brought into a form that fits a processor's cache: see kernels/language_model.py.

The model is read from the installed package, nearly all of it LZMA, and repacked in as much time again: most of a second and 130
MB, of which 19 stay. So what comes of it is kept on disk (kept_tables.py). Rejected: py3langid's own loop (the reference
that tests hold this against).
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.schemas import StageError
from corpusmill.stages.kept_tables import Tables, kept_tables
from corpusmill.stages.kernels.language_model import COLUMNS, LOG_UNIT, rank
from corpusmill.stages.kernels.language_packing import differing, memory_of, place_rows, place_weights, survey_weights

__all__ = ["LanguageModel", "Ranking", "language_model"]

_BYTES = 256
_FEATURES = 1 << 17
_EMPTY = np.uint64(2**64 - 1)
_FULL_ROW = 64  # columns above the least from which a row is kept whole; 40 and 96 are slower by a tenth
_UNIT = 2.0**-9  # of which all weights are multiples: they are float16 between 2 and 16
_WHOLE_TEXT = 1 << 40


class Ranking(NamedTuple):
    """The two likeliest groups of languages of each text, as numbers of labels in `LanguageModel.labels` (-1: none)."""

    labels: npt.NDArray[np.int64]
    """Shape (texts, 2): the likeliest member of each group."""
    scores: npt.NDArray[np.float64]
    """Shape (texts, 2): the probability of each group, to four places."""
    likeliest: npt.NDArray[np.float64]
    """The probability of the likeliest label alone."""


class LanguageModel(NamedTuple):
    """Automaton and weights; features are numbered from 1, the commonest first, so that what is often used lies together."""

    labels: tuple[str, ...]
    """In the order of the alphabet; py3langid has two of them twice, for two scripts."""
    memory: int
    """After so many bytes a state depends on nothing before."""
    first: npt.NDArray[np.uint64]
    """The state after one byte."""
    exceptions: npt.NDArray[np.uint64]
    """At base + byte, `base << 40 | state` where a row has an entry of its own."""
    usual: npt.NDArray[np.uint64]
    """By the last two bytes, the state where a row has none, inverted (see the kernel). A state is `base << 17 | feature`."""
    rows: npt.NDArray[np.uint32]
    """Where the weights of each feature begin, and where the last ones end."""
    weights: npt.NDArray[np.uint16]
    """By feature: what the weights are above the least of their columns, whole or with their columns; see the kernel."""
    least: npt.NDArray[np.int64]
    prior: npt.NDArray[np.float64]
    unit: float
    """What weights, times the unit of logarithms, are multiples of."""
    label_of: npt.NDArray[np.int64]
    """The label of each column."""

    def rank(self, data: Any, bounds: Any, group_of: npt.NDArray[np.int64]) -> Ranking:
        """Return the likeliest groups of texts, as `language_sample.prepare` wrote them; *group_of* has one number per label."""
        count = len(bounds) - 1
        ranking = Ranking(np.empty((count, 2), np.int64), np.empty((count, 2)), np.empty(count))
        rank(
            data,
            bounds,
            self.memory,
            self.first,
            self.exceptions,
            self.usual,
            self.rows,
            self.weights,
            self.least,
            self.prior,
            self.unit,
            self.label_of,
            group_of,
            *ranking,
        )
        return ranking


@functools.cache
def language_model() -> LanguageModel:
    """Return the model, loaded once per process.

    Raises:
        StageError: the installed py3langid has a model of another kind.

    """
    from py3langid import langid

    code = Path(langid.__file__)
    kept = kept_tables("language_model", _repacked, rank, [code, code.parent / langid.MODEL_FILE])
    return LanguageModel(
        labels=tuple(kept.pop("labels").tolist()),
        memory=int(kept.pop("memory")),
        unit=_UNIT / LOG_UNIT,
        **kept,
    )


def _repacked() -> Tables:
    """Return what the fields of `LanguageModel` are made from, but for the unit."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found = LanguageIdentifier.from_model_file(MODEL_FILE)
    table = np.asarray(found.nb_ptc)
    if table.dtype != np.float16 or table.shape[1] > COLUMNS or len(table) >= _FEATURES:
        raise StageError(f"filter_language: py3langid's model is of another kind ({table.dtype} {table.shape})")
    next_states, row_of = np.asarray(found.tk_nextmove).reshape(-1, _BYTES), np.asarray(found.tk_row).astype(np.int64)
    outputs, names, prior = np.asarray(found.tk_output), found.nb_classes, found.nb_pc.astype(np.float64)
    del found  # and each of its large parts as soon as it is repacked
    order, least, rows, weights = _weights(table.view(np.uint16))
    del table
    number = np.empty(len(order), np.uint64)
    number[order] = np.arange(1, len(order) + 1)
    features = np.where(outputs >= 0, number[outputs], np.uint64(0))
    memory, first, exceptions, usual = _automaton(next_states, row_of, features)
    labels = sorted(set(names))
    return {
        "labels": np.array(labels),
        "memory": np.array(memory),
        "first": first,
        "exceptions": exceptions,
        "usual": usual,
        "rows": rows,
        "weights": weights,
        "least": least,
        "prior": prior,
        "label_of": np.array([labels.index(label) for label in names]),
    }


def _weights(
    bits: npt.NDArray[np.uint16],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.uint16]]:
    """Return the order of features, the least weight of each column, and where each feature's row begins among all weights."""
    numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float64)
    values = np.nan_to_num(numbers, nan=1.0, posinf=1.0, neginf=1.0) / _UNIT
    whole = np.where((values <= 0) & (values > -(1 << 16)) & (values == np.rint(values)), values, 1.0).astype(np.int64)
    least, common = np.zeros(bits.shape[1], np.int64), np.zeros(len(bits))
    if not survey_weights(bits, whole, np.exp(whole * _UNIT), least, common):
        raise StageError("filter_language: py3langid's model has finer weights than expected")
    order = np.argsort(-common, kind="stable")
    rows, weights = np.empty(len(bits) + 1, np.uint32), np.zeros(bits.size, np.uint16)
    place_weights(bits, whole, least, order, _FULL_ROW, COLUMNS, rows, weights)
    return order, least, rows, weights[: rows[-1]].copy()


def _automaton(
    next_states: npt.NDArray[Any], row_of: npt.NDArray[np.int64], features: npt.NDArray[np.uint64]
) -> tuple[int, npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return the memory of the automaton, the state after one byte, the exceptions, and what is usual."""
    count = len(next_states)
    after_one = next_states[row_of[0]]
    after_two = next_states[row_of[after_one]]
    reached, own = np.zeros((2, count, _BYTES), np.bool_)
    differing(reached, row_of, next_states, after_two, own)
    row, byte = np.nonzero(own)
    per_row = own.sum(axis=1)
    bounds = np.append(0, np.cumsum(per_row))
    order = np.argsort(-per_row, kind="stable")[: np.count_nonzero(per_row)]
    used, taken = np.zeros((2, 8 * len(row) + 2 * _BYTES), np.bool_)
    bases = np.zeros(count, np.int64)  # rows without an entry have base 0, whose places belong to others
    last = place_rows(order, bounds, byte, used, taken, bases)
    if last < 0:
        raise StageError(
            f"filter_language: the {len(row)} exceptions of py3langid's model do not fit in {used.size} places"
        )

    def state(numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
        packed: npt.NDArray[np.uint64] = bases[row_of[numbers]].astype(np.uint64) << np.uint64(17) | features[numbers]
        return packed

    exceptions = np.full(last + _BYTES, _EMPTY, np.uint64)
    exceptions[bases[row] + byte] = (bases[row].astype(np.uint64) << np.uint64(40)) | state(next_states[row, byte])
    depth, (queue, suffix) = np.full(len(row_of), -1), np.zeros((2, len(row_of)), np.int64)
    depth[0] = 0
    memory = memory_of(row_of, next_states, queue, depth, suffix)
    return memory if memory > 0 else _WHOLE_TEXT, state(after_one), exceptions, ~state(after_two).ravel()
