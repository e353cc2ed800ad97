"""From the items of evaluation sets to passages, the texts that documents are compared with, and to their n-grams.

Each string of an item is a passage by itself, because a question is leaked without its answer more often than with it, and
nobody prints the fields in the order of the file. Questions shorter than an n-gram are passages together with their choices too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.schemas import RecipeError, did_you_mean
from corpusmill.stages.characters import OTHER, SPACE, character_table
from corpusmill.stages.evaluation_forms import cleaned_forms, cleaned_texts, joined_texts
from corpusmill.stages.reference_files import reference_files, reference_names
from corpusmill.stages.references import ReferenceItem, read_items
from corpusmill.stages.text_buffers import text_buffers

__all__ = ["FileCount", "NgramRules", "Passages", "gather", "texts_of"]

_ITEMS_AT_ONCE: Final = 2048
_FEW_ITEMS: Final = 5
_LONGEST_NAME: Final = 40


class NgramRules:
    """How text falls apart into n-grams: their size, the shortest text that is one itself, and the tables of the kernels."""

    def __init__(self, size: int, least: int | None) -> None:
        from corpusmill.stages.kernels.ngrams import ROLL

        self.size = size
        self.least = size if least is None else min(least, size)
        self.letters = _letters()
        powers = [1]
        for _ in range(size * 5):
            powers.append(powers[-1] * int(ROLL) % 2**64)
        self.powers = np.array(powers, np.uint64)

    def windows(self, texts: Sequence[str]) -> Windows:
        """Return the n-grams of *texts*."""
        from corpusmill.stages.kernels.ngrams import windows

        buffers = text_buffers(pa.array(texts, pa.large_string()))
        return Windows(*windows(*buffers, self.letters, *character_table(), self.powers, self.size, self.least))


def _letters() -> npt.NDArray[np.uint64]:
    """Return what an ASCII character adds to the hash of its word, 0 for those between words.

    The underscore is between words here, other than in signatures: gaps in questions are written with any number of them,
    and Markdown sets words in italics with them.
    """
    from corpusmill.stages.kernels.text import letter

    table = character_table()
    between = [table.kind(code) in {OTHER, SPACE} or chr(code) == "_" for code in range(128)]
    values = [0 if between[code] else int(letter(np.uint64(table.lower(code)))) for code in range(128)]
    return np.array(values, np.uint64)


class Windows(NamedTuple):
    """The n-grams of some texts: see the kernel of this name."""

    words: npt.NDArray[np.int64]
    tenths: npt.NDArray[np.int64]
    wholes: npt.NDArray[np.uint64]
    numbers: npt.NDArray[np.int64]
    tails: npt.NDArray[np.uint64]
    keys: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.uint8]


class FileCount(NamedTuple):
    """How many items a file has, and how many of them say the same as an earlier one of its group: see `Passages.groups`."""

    name: str
    items: int
    duplicates: int


class _Group:
    """What the items of a group have said."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.items: set[tuple[int, ...]] = set()
        self.passages: dict[tuple[int, int], int] = {}


class Passages:
    """Items, their passages, and the n-grams of these, numbered through in that order."""

    def __init__(self) -> None:
        self.counts: list[FileCount] = []
        self.refs: list[str] = []  # by item
        self.files: list[int] = []
        self.groups: list[int] = []
        """Items among which an n-gram of many is common: those of a file, or of a folder's files with few items each."""
        self.items: list[int] = []  # by passage
        self.words: list[int] = []
        self.numbers: list[int] = []
        self.short: list[bool] = []
        self.shared: list[tuple[int, int]] = []
        """Further items of the group that hold a passage, each with that passage; its own item is the first."""
        self.keys: list[npt.NDArray[np.uint64]] = []
        self.lengths: list[npt.NDArray[np.uint8]] = []
        self.tails: list[npt.NDArray[np.uint64]] = []
        self._group = _Group(0)
        self._folders: dict[str, _Group] = {}

    def add_file(
        self, name: str, folder: str, items: Iterator[ReferenceItem], rules: NgramRules, *, named: bool
    ) -> bool:
        """Add the items of a file; return whether they had any text. Another file may hold the same items.

        Files of a few items are read as one set with their like in the *folder*: some sets have a file for each item.
        """
        number, before = len(self.counts), len(self.refs)
        read = texts = 0
        while batch := list(islice(items, _ITEMS_AT_ONCE)):
            if not read:
                few = len(batch) <= _FEW_ITEMS
                self._group = self._folders.setdefault(folder, _Group(number)) if few else _Group(number)
            read += len(batch)
            texts += sum(len(strings) for item in batch for _, strings in item.fields)
            self._add(batch, rules, named, number)
        self.counts.append(FileCount(name, read, read - (len(self.refs) - before)))
        return texts > 0

    def _add(self, batch: list[ReferenceItem], rules: NgramRules, named: bool, file: int) -> None:
        forms = [(at, form) for at, item in enumerate(batch) for form in cleaned_forms(item)]
        texts = [[text for _, strings in form.fields for text in strings] for _, form in forms]
        alone = rules.windows([text for strings in texts for text in strings])
        bounds = np.concatenate([[0], np.cumsum([len(strings) for strings in texts])])
        owners: list[int] = []
        wholes: list[str] = []
        whole_owners: list[int] = []
        item = last = -1
        for place, (at, form) in enumerate(forms):
            own = slice(bounds[place], bounds[place + 1])
            if at != last:  # the first form says whether the item is new
                last = at
                item = self._new_item(form.ref, tuple(alone.wholes[own].tolist()), file)
            owners += [item] * len(texts[place])
            sizes = alone.tenths[own].tolist()
            if item >= 0 and sum(size < rules.size * 10 for size in sizes) > 1:
                joined = list(joined_texts(form, sizes, rules.size, named=named))
                wholes += joined
                whole_owners += [item] * len(joined)
        self._add_windows(owners, alone, rules.size)
        self._add_windows(whole_owners, rules.windows(wholes), rules.size)

    def _new_item(self, ref: str, identity: tuple[int, ...], file: int) -> int:
        """Return the number of an item, -1 if one of the group has said the same."""
        if identity in self._group.items:
            return -1
        self._group.items.add(identity)
        self.refs.append(ref)
        self.files.append(file)
        self.groups.append(self._group.number)
        return len(self.refs) - 1

    def _add_windows(self, items: list[int], found: Windows, size: int) -> None:
        taken = np.zeros(len(items), np.bool_)
        wholes, words, numbers = found.wholes.tolist(), found.words.tolist(), found.numbers.tolist()
        short = (found.tenths < size * 10).tolist()
        for at, item in enumerate(items):
            if item < 0 or not numbers[at]:
                continue
            known = self._group.passages.setdefault((wholes[at], words[at]), len(self.items))
            if known < len(self.items):
                if self.items[known] != item and self.shared[-1:] != [(item, known)]:
                    self.shared.append((item, known))
                continue
            taken[at] = True
            self.items.append(item)
            self.words.append(words[at])
            self.numbers.append(numbers[at])
            self.short.append(short[at])
        mask = np.repeat(taken, found.numbers)
        self.keys.append(found.keys[mask])
        self.lengths.append(found.lengths[mask])
        self.tails.append(found.tails[taken & np.array(short, np.bool_)])


def gather(references: Sequence[str], rules: NgramRules, fields: Sequence[str], id_fields: Sequence[str]) -> Passages:
    """Read evaluation sets and return their passages.

    Raises:
        RecipeError: a file cannot be read, or has none of the *fields*, or one of those is in no file.

    """
    passages = Passages()
    paths = reference_files(references)
    seen: set[str] = set()
    for path, name in zip(paths, reference_names(paths), strict=True):
        columns: set[str] = set()
        items = read_items(path, name, fields, id_fields, columns)
        if not passages.add_file(name, str(path.parent), items, rules, named=bool(fields)):
            wanted = (
                f"none of the fields {', '.join(map(repr, fields))}{_known(fields[0], columns)}"
                if fields
                else "no text"
            )
            raise RecipeError(f"{name} has {wanted}")
        seen |= columns
    for field in fields:
        if not any(f"{column}.".startswith(f"{field}.") for column in seen):
            raise RecipeError(f"no reference has the field {field!r}{_known(field, seen)}")
    return passages


def texts_of(path: Path) -> Iterator[list[str]]:
    """Yield all texts of a file in every form in which documents may have them, those of a few items at a time.

    A text file is one text: exceptions are speeches and licenses, and an n-gram does not end where a paragraph does.
    """
    items = read_items(path, path.name, (), (), set(), whole=True)
    while batch := list(islice(items, _ITEMS_AT_ONCE)):
        texts = (text for item in batch for _, strings in item.fields for text in strings)
        yield [form for text in texts for form in cleaned_texts(text)]


def _known(name: str, columns: set[str]) -> str:
    """Return the tail of a message that names the nearest field; names out of a file may be anything and are cut."""
    return did_you_mean(name, [column[:_LONGEST_NAME] for column in sorted(columns)[:30]]) if columns else ""
