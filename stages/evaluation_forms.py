"""The forms in which an item may stand in a document: its texts as cleaning leaves them, and put together as pages print them.

Documents come out of `NormalizeText`, so references go through it too; what its settings and its surroundings in a page decide
(NFKC, entities beside a `<`) is covered by comparing every form that differs. Short questions are put together with their
choices by two rules: which text is the question, and which texts are choices. Rejected: a reader for each known set, because
sets are renamed, exported and mixed faster than such a list grows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from corpusmill.schemas import Document
from corpusmill.stages.normalize_text import NormalizeText
from corpusmill.stages.references import ReferenceItem

__all__ = ["cleaned_forms", "cleaned_texts", "joined_texts"]

_CONTROL: Final = re.compile(r"[^\t-\r -~]")
_LABEL: Final = re.compile(r"\W*[A-Ja-j]\W*")
_COLUMN: Final = re.compile(r"(.*?)([A-J]|[a-j]|\d{1,2})", re.DOTALL)
_TAG_WORDS: Final = 4
_MOST_CHOICES: Final = 26
_LABELS: Final = (("",) * 26, tuple(map(chr, range(65, 91))), tuple(map(str, range(1, 27))))
_QUESTIONS: Final = frozenset(
    {"ctx", "goal", "input", "instruction", "premise", "problem", "prompt"}
    | {"query", "question", "question_stem", "sentence", "stem"}
)
"""Names of fields that hold the question, where a set has such a field."""


@lru_cache(maxsize=1)
def _cleaners() -> tuple[Callable[[str], str], ...]:
    def cleaner(stage: NormalizeText) -> Callable[[str], str]:
        apply = stage.build()

        def clean(text: str) -> str:
            document = Document(text=text)
            apply(document)  # an empty text is dropped, and changed in place all the same
            return document.text

        return clean

    stages = (NormalizeText(), NormalizeText(unicode_form="NFKC"), NormalizeText(unescape_html="never"))
    return (*map(cleaner, stages), str)


def _is_clean(text: str) -> bool:
    """Return whether cleaning cannot change a word: true of printable ASCII without entities, which most texts are."""
    return text.isascii() and "&" not in text and (text.isprintable() or not _CONTROL.search(text))


def cleaned_texts(text: str) -> list[str]:
    r"""Return *text* as `NormalizeText` leaves it, then, where they differ, with NFKC, with its entities, and as it is.

    >>> cleaned_texts("ﬁve ca\u00adf&eacute;s")
    ['ﬁve cafés', 'five cafés', 'ﬁve caf&eacute;s', 'ﬁve ca\xadf&eacute;s']
    >>> cleaned_texts("five cafes")
    ['five cafes']
    """
    return [text] if _is_clean(text) else list(dict.fromkeys(clean(text) for clean in _cleaners()))


def cleaned_forms(item: ReferenceItem) -> list[ReferenceItem]:
    """Return *item* with all its texts in each form of `cleaned_texts`, without repeating itself."""
    if all(_is_clean(text) for _, texts in item.fields for text in texts):
        return [item]
    forms = (
        tuple((name, tuple(clean(text) for text in texts)) for name, texts in item.fields) for clean in _cleaners()
    )
    return [ReferenceItem(item.ref, fields) for fields in dict.fromkeys(forms)]


class _Part(NamedTuple):
    """A field: one text, or choices, with the size in tenths of a word of the longest."""

    name: str
    texts: tuple[str, ...]
    tenths: int


def joined_texts(item: ReferenceItem, tenths: Sequence[int], size: int, *, named: bool) -> Iterator[str]:
    r"""Yield what pages print of an item together: question and choices bare, lettered and numbered; all texts without choices.

    *tenths* has the size of each text of the item. Nothing is yielded of texts that are as long as an n-gram, *size* words:
    these are found by themselves. Labels (`"B"`) are left out; so are tags, texts of fewer than four words such as `"abstract
    algebra"`, where there is another text, unless their fields were *named*.

    >>> item = ReferenceItem("x#0", (("question", ("Which river is the longest?",)), ("choices", ("Nile", "Rhine"))))
    >>> list(joined_texts(item, [50, 10, 10], 13, named=False))[1]
    'Which river is the longest?\nA Nile\nB Rhine'
    """
    texts, lists = _parts(item, tenths)
    short = [part for part in texts if part.tenths < size * 10]
    untagged = [part for part in short if named or not _is_tag(part)]
    questions = [part for part in short if part.name.rpartition(".")[2].lower() in _QUESTIONS]
    question = max(questions, key=lambda part: part.tenths) if questions else next(iter(untagged or short), None)
    for choices in lists:
        if choices.tenths < size * 10 and (question or not texts):
            for labels in _LABELS:
                lines = [f"{label} {text}".strip() for label, text in zip(labels, choices.texts, strict=False) if text]
                yield "\n".join([*(question.texts if question else ()), *lines])
    if len(untagged) > 1 and len(short) == len(texts):
        yield "\n".join(part.texts[0] for part in untagged)


def _parts(item: ReferenceItem, tenths: Sequence[int]) -> tuple[list[_Part], list[_Part]]:
    """Return the texts and the lists of choices of an item, without labels; choices in columns of their own are lists too."""
    texts: list[_Part] = []
    lists: list[_Part] = []
    first = 0
    for name, strings in item.fields:
        longest = max(tenths[first : first + len(strings)])
        first += len(strings)
        if all(_LABEL.fullmatch(text) for text in strings if text):
            continue
        if len(strings) > _MOST_CHOICES:  # lines, not choices
            texts.append(_Part(name, ("\n".join(strings),), sum(tenths[first - len(strings) : first])))
        else:
            (lists if len(strings) > 1 else texts).append(_Part(name, strings, longest))
    columns: dict[tuple[str, str], dict[str, _Part]] = {}
    for part in texts if len(texts) > 1 else ():
        if match := _COLUMN.fullmatch(part.name):
            stem, label = match.groups()
            kind = "0" if label.isdigit() else "A" if label.isupper() else "a"
            columns.setdefault((stem, kind), {})[label] = part
    for (stem, kind), members in columns.items():
        begin = "1" if kind == "0" and "0" not in members else kind
        wanted = [str(int(begin) + at) if kind == "0" else chr(ord(begin) + at) for at in range(len(members))]
        if len(members) > 1 and set(wanted) == set(members):
            parts = [members[label] for label in wanted]
            lists.append(
                _Part(stem, tuple(text for part in parts for text in part.texts), max(part.tenths for part in parts))
            )
            texts = [part for part in texts if part not in parts]
    return texts, lists


def _is_tag(part: _Part) -> bool:
    """Return whether a text has too few words to be a question; `high_school_biology` is one."""
    words = part.tenths
    return (min(words, 10 * len(part.texts[0].split())) if "_" in part.texts[0] else words) < _TAG_WORDS * 10
