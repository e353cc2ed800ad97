"""Reads evaluation sets: the items whose text must not be in a corpus.

People hold evaluation sets as they came, so a file is taken as it is: JSON Lines, JSON, Parquet, CSV or text, compressed or
not, whatever its columns are called. A file that can only be read in part is refused: of a set that is half read nobody can
say that it is not in the corpus. Rejected: downloading sets by name, as datatrove (through lighteval) and decon do, because
the core works without a network and a set that changes upstream would change the corpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from corpusmill.schemas import RecipeError
from corpusmill.stages.reference_records import read_records

__all__ = ["ReferenceItem", "read_items"]


class ReferenceItem(NamedTuple):
    """One item of an evaluation set: its name, and its texts by field."""

    ref: str
    """File and record, as in `gsm8k/test.jsonl#17` or `humaneval.jsonl#HumanEval/3`."""
    fields: tuple[tuple[str, tuple[str, ...]], ...]
    """Name and strings of each field in the order of the record: one string, or those of a list (choices)."""


_LONGEST_ID: Final = 200
_MOST_NUMBERS: Final = 26  # longer lists without any text are vectors
_ADDRESS: Final = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*://|www\.)\S+\s*", re.IGNORECASE)


def read_items(
    path: Path, name: str, fields: Sequence[str], id_fields: Sequence[str], columns: set[str], *, whole: bool = False
) -> Iterator[ReferenceItem]:
    """Yield the items of one file.

    Only the *fields* named are taken, in that order (`choices.text` names a field of a field); none means all that hold
    strings, but no addresses. The first of *id_fields* that a record has names it, else its number, counted from 0. Names of
    all fields with strings are added to *columns*, taken or not.

    A text file's items are the paragraphs between blank lines; its lines, if there are no blank ones; or it is one as a *whole*.

    Raises:
        RecipeError: the file cannot be read, or not to its end.

    """
    try:
        for number, record in enumerate(read_records(path, fields, id_fields, whole=whole)):
            strings = list(_strings(record, ""))
            columns.update(field for field, _ in strings)
            ids = [key for key in id_fields if _is_id(record, key)]
            id_ = str(record[ids[0]]) if ids else str(number)
            if fields and isinstance(record, dict):
                taken = _taken(strings, fields)
            else:  # a line of a text file has no fields to choose from
                taken = [(key, texts) for key, texts in strings if key not in ids and not _are_addresses(texts)]
            yield ReferenceItem(_printable(f"{name}#{id_[:_LONGEST_ID]}"), tuple(taken))
    except RecipeError:
        raise
    except Exception as error:  # noqa: BLE001  decoders raise whatever they like; each means a set that is not whole
        raise RecipeError(f"cannot read {path}: {error or type(error).__name__}") from None


def _is_id(record: Any, key: str) -> bool:
    return isinstance(record, dict) and isinstance(record.get(key), str | int) and str(record[key]).strip() != ""


def _printable(name: str) -> str:
    """Return *name* without what a terminal obeys or UTF-8 cannot write: names go into reports and error messages."""
    return name if name.isprintable() else "".join(letter if letter.isprintable() else "\ufffd" for letter in name)


def _are_addresses(texts: Sequence[str]) -> bool:
    """Return whether texts are addresses of pages: to link to one is not to quote the item."""
    if texts[0] and not _ADDRESS.match(texts[0]):
        return False  # as most are
    return all(_ADDRESS.fullmatch(text) or not text for text in texts) and any(texts)


def _taken(strings: list[tuple[str, tuple[str, ...]]], fields: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    return [(key, texts) for field in fields for key, texts in strings if key == field or key.startswith(f"{field}.")]


def _strings(value: Any, key: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the strings of a record with the dotted names of their fields; a list of strings stays together.

    >>> list(_strings({"question": "Who?", "choices": {"text": ["I", "you"], "label": ["A", "B"]}, "answer": 1}, ""))
    [('question', ('Who?',)), ('choices.text', ('I', 'you')), ('choices.label', ('A', 'B'))]
    """
    if isinstance(value, str):
        yield key, (_clean(value),)
    elif (
        isinstance(value, dict)
        and key.rpartition(".")[2] == "target_scores"
        and value
        and all(map(_is_number, value.values()))
    ):
        yield key, tuple(map(_clean, value))  # of BIG-bench: a score for each choice
    elif isinstance(value, dict):
        numbers = [name for name, inner in value.items() if len(name) == 1 and _is_number(inner)]
        for name, inner in value.items():
            text = str(inner) if len(numbers) > 1 and name in numbers else inner  # choices A to D
            yield from _strings(text, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and value and all(isinstance(inner, tuple) for inner in value):
        yield from _strings({str(name): inner for name, inner in value}, key)  # a map of Parquet
    elif isinstance(value, list):
        if any(isinstance(inner, str) for inner in value) or len(value) <= _MOST_NUMBERS:
            texts = tuple("" if inner is None else _clean(str(inner)) for inner in value if _is_choice(inner))
            if any(texts):
                yield key, texts
        merged: dict[str, tuple[str, ...]] = {}  # of objects, each with the text of one choice, the texts are a list
        for inner in value:
            if isinstance(inner, dict | list):
                for name, strings in _strings(inner, key):
                    merged[name] = (*merged.get(name, ()), *strings)
        yield from merged.items()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_choice(value: Any) -> bool:
    """Return whether a list's element is text, a number, or nothing, which keeps the letters of the others right."""
    return value is None or isinstance(value, str) or _is_number(value)


def _clean(text: str) -> str:
    """Return *text* without lone surrogates, which JSON can write and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
