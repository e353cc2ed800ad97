"""Spelling: `correct_spelling` beside the libraries that correct words, each as its documentation uses it. See `stages.py`.

symspellpy looks up every word (the closest within two edits, in its English dictionary), or corrects whole lines with
`lookup_compound`; pyspellchecker names the unknown words of a text and is asked for the correction of each. Neither measures a
rate nor spares names, code, other languages or what is doubtful, so they do more edits and less reading of what is around a word.
`lookup_compound` and pyspellchecker, which tries all strings within two edits of a word, are measured on beginnings of texts
alone: at the rates found there, a pass over as much as the others read (3.6 MB) takes six minutes and four hours.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Literal

from stages_child import Kind, Run, Texts

_WORD = re.compile(r"[^\W\d_]+")
_EDITS = 2
_BEGINNING = 300  # characters
_MUCH = 0.02  # MB


def _corpusmill(mode: Literal["annotate", "correct"]) -> Run:
    from corpusmill.stages import CorrectSpelling

    stage = CorrectSpelling(mode=mode).open()
    return lambda texts: [stage(batch) for batch in texts.batches]


def _as_strings() -> Run:
    """Return the stage without kernels, as it was in version 2 before it had them."""
    from corpusmill.schemas import Document
    from corpusmill.stages import CorrectSpelling

    apply = CorrectSpelling().build()
    return lambda texts: [apply(Document(text=text)) for text in texts.strings]


def _symspell() -> Any:
    from importlib.resources import files

    from symspellpy import SymSpell

    speller = SymSpell(max_dictionary_edit_distance=_EDITS, prefix_length=7)
    folder = files("symspellpy")
    speller.load_dictionary(str(folder.joinpath("frequency_dictionary_en_82_765.txt")), 0, 1)
    speller.load_bigram_dictionary(str(folder.joinpath("frequency_bigramdictionary_en_243_342.txt")), 0, 2)
    return speller


def _lookup() -> Run:
    from symspellpy import Verbosity

    speller = _symspell()

    def corrected(match: re.Match[str]) -> str:
        found = speller.lookup(match.group().lower(), Verbosity.TOP, max_edit_distance=_EDITS, include_unknown=True)
        return str(found[0].term)

    return lambda texts: [_WORD.sub(corrected, text) for text in texts.strings]


def _lookup_compound() -> Run:
    speller = _symspell()

    def corrected(line: str) -> str:
        found = speller.lookup_compound(line, max_edit_distance=_EDITS) if line.strip() else []
        return str(found[0].term) if found else line

    def run(texts: Texts) -> list[str]:
        _refuse_many(texts)
        return ["\n".join(map(corrected, text.split("\n"))) for text in texts.strings]

    return run


def _pyspellchecker() -> Run:
    from spellchecker import SpellChecker

    speller = SpellChecker()

    def run(texts: Texts) -> list[dict[str, str | None]]:
        _refuse_many(texts)
        return [
            {word: speller.correction(word) for word in sorted(speller.unknown(_WORD.findall(text)))}
            for text in texts.strings
        ]

    return run


def _refuse_many(texts: Texts) -> None:
    if texts.megabytes > _MUCH:
        raise SystemExit("less than 0.01 MB/s, see the beginnings of texts")


def _beginnings(texts: list[str]) -> list[str]:
    """Return the first few words of some texts."""
    return [text[:_BEGINNING].rpartition(" ")[0] for text in texts[::200]]


SYSTEMS = {
    "corpusmill, correct": functools.partial(_corpusmill, "correct"),
    "corpusmill, annotate": functools.partial(_corpusmill, "annotate"),
    "corpusmill on strings, correct": _as_strings,
    "symspellpy, lookup": _lookup,
    "symspellpy, lookup_compound": _lookup_compound,
    "pyspellchecker": _pyspellchecker,
}
REFERENCE = "symspellpy, lookup"
KINDS: Mapping[str, Kind] = {
    "every fourth text": lambda texts: texts[::4],
    "the first 300 characters of every 200th text": _beginnings,
}
ENVIRONMENTS: Mapping[str, list[str]] = {"pyspellchecker": ["pyspellchecker", "pyarrow"]}
ENVIRONMENT_OF: Mapping[str, str] = {"pyspellchecker": "pyspellchecker"}
