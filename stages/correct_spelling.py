"""Misspelled words: a rate to judge by, and the correction of the few that are certain.

Correcting every word that a dictionary lacks is net harm: symspellpy with its usual settings altered 5.5 % of the
tokens of clean news (`UK` to `us`, `Mr` to `or`, `Brexit` to `credit`), because most unknown words are names and terms.
Here a word has to pass many gates before it is touched, so many misspellings stay, and a document whose unknown words
are not those of prose in the language is left alone as a whole. The rate is useful by itself, as a signal of quality.

A count alone decides too little: with it 46 % of listed misspellings of common words were corrected, and hardly one of less
than five letters. With the words beside and the kind of slip it is 55 %, and fewer changes of other words
(benchmarks/results/stages_spelling.md).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import groupby
from math import log10
from operator import itemgetter
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, RecipeError, signal_column, verdict_array
from corpusmill.stages.base import Apply, BatchFunction, DocumentStage, documents_of, replaced_texts, with_columns
from corpusmill.stages.compile_ahead import compile_ahead
from corpusmill.stages.english_words import is_derived, spelling_variants
from corpusmill.stages.spelling_dictionary import Candidate, Dictionary, load_dictionary
from corpusmill.stages.text_buffers import TextBuffers, text_buffers
from corpusmill.stages.unlisted_words import Unlisted, UnlistedWords, WordForm

__all__ = ["CorrectSpelling", "spelling_variants"]

# A lower-case word that stands alone: not part of a compound, contraction, path, address, tag, call or quotation.
# What is said here in `re` the kernel `find_unlisted` does.
_NOT_BEFORE = r"\w'’\"“‘`\-‐‑/@.#&=\\~+*<>$%^"
_NOT_AFTER = r"\w'’\"”`\-‐‑/@=\\<>*_(\["
_AFTER = rf"(?![{_NOT_AFTER}]|[.:][\w/]|[ ]?[\[(]sic\b)"
_CODE = r"{}<>=\\_|"
_CODE_LINE = re.compile(rf"[{_CODE}]|//|::")
_ANY_WORD = re.compile(r"[^\W\d_]+")
_WORD_BEFORE, _WORD_AFTER = re.compile(r"([^\W\d_]+(?:['’][^\W\d_]+)?)[ ]\Z"), re.compile(r"[ ]([^\W\d_]+)")
_CONTEXT = 40  # characters
_LONGEST = 32  # letters; longer ones are not words, and cost the lookup most
_FEWEST_WORDS = 20  # a rate of fewer words says nothing
_FEWEST_ON_LINE = 2  # words, the unknown one with them: a line of one is a label or part of a list
_FEW = (
    32  # words that are looked for one by one, each at the speed of `str.find`; more of them take a pass over all words
)
_STEM = 4  # letters that two unknown words share if they are forms of one term
# A letter left out, two swapped or one doubled can happen to a word in one way for each letter, a wrong or added letter in 25: so
# the former are as much likelier, where both kinds are as frequent (a noisy channel as of Kernighan, Church and Gale 1990).
_PLAIN_SLIP = log10(25)
_ROWS = "qwertyuiop", "asdfghjkl", "zxcvbnm"
_BESIDE = {frozenset(row[at : at + 2]) for row in _ROWS for at in range(len(row) - 1)} | {
    frozenset((low[at], high[at + step]))
    for high, low in (_ROWS[:2], _ROWS[1:])
    for at in range(len(low))
    for step in (0, 1)
    if at + step < len(high)
}
"""Keys beside each other on the keyboard that English is typed with, in a row or one below the other."""
_ALIKE = {
    frozenset((one, other)) for group in ("aeiouy", "cksq", "sz", "gj", "dt", "fv") for one in group for other in group
}
"""Letters that are taken for each other by their sound."""
_SHORT, _MIDDLE = 5, 8  # letters: below the one, both neighbours have to agree; below the other, one of them
_SHORT_RANK, _MIDDLE_RANK = (
    1_000,
    3_000,
)  # a correction so short, or so long and without a neighbour, is among so many words


class CorrectSpelling(DocumentStage, frozen=True, kw_only=True):
    """Measure the share of misspelled words in a text and, in mode `correct`, repair those that are certain.

    Looked at are lower-case words on lines that are not code. A word is corrected when it is in no dictionary, neither a
    spelling variant nor a derivation nor a compound of known words, is the only form of it in the document (a repeated
    unknown word is a term or a name), stands in a line of known words, and one common word differs from it by a single edit
    that keeps the first letter or swaps it (3 % of misspellings miss it: Pollock and Zamora 1984) and is far more likely
    than any other: by its count, by the words before and after, and by the slip, because a letter is sooner left out, doubled
    or swapped than wrong or added. Where a letter is wrong or added, words of less than 8 letters are corrected only if it is
    on a key beside or sounds alike. They also need a neighbour that the correction is known beside (or a very common
    correction), those of less than 5 letters both. Needs the extra `spelling`. Texts in other languages have a high rate and
    are not touched.

    Signals: `misspelling_rate`, unknown words / words of `minimum_length` (0 if there are none); `corrected`, words replaced.
    """

    version: ClassVar[int] = 2
    signals: ClassVar[dict[str, pa.DataType]] = {"misspelling_rate": pa.float32(), "corrected": pa.int32()}

    mode: Literal["annotate", "correct", "measure"] = "correct"
    """`annotate` writes the signals and leaves the text alone; `measure` is its former name. Risk of `correct`: rare words,
    dialect and coinages become common words, 1 in 100,000 words of clean pages."""
    language: Literal["en", "other"] = "en"
    """`en` knows British and American spelling, derivations and compounds. For any other language name `other` and a
    `dictionary` with all the forms of its words."""
    dictionary: str | None = None
    """A file of lines `word count` to use in place of the bundled English dictionary (82,765 words, from the SymSpell
    project); its hash joins the fingerprint of a run."""
    pairs: str | None = None
    """A file of lines `word word count`, counted in the same texts as `dictionary`. Without one, a dictionary of one's own
    corrects long words only, by their counts; the bundled one has 243,342 pairs."""
    minimum_length: Annotated[int, Meta(ge=3, le=32)] = 5
    """Shorter words do not count for the rate. Risk of low values: short unknown words are often abbreviations."""
    minimum_corrected_length: Annotated[int, Meta(ge=3, le=32)] = 3
    """Shorter words are never corrected. Risk of low values: short words have many neighbours; of high ones: `teh` and
    `wtih` stay. Those of 3 and 4 letters are a twelfth of planted misspellings; a third of them is corrected."""
    maximum_rate: Annotated[float, Meta(ge=0, le=1)] = 0.1
    """Correct nothing in a document with a higher rate, or with fewer than 20 words to judge by, nor on a line with more.
    Risk of high values: other languages, dialects and tables are "corrected"."""
    frequency_ratio: Annotated[float, Meta(ge=1)] = 100.0
    """How many times as likely as the next candidate the correction must be. Risk of low values: guesses. On
    lists of isolated misspellings 94 of 100 corrections were the listed word at 100, 89 at 10."""
    common_words: Annotated[int, Meta(ge=1)] = 20_000
    """A correction must be among so many most frequent words of the dictionary. Risk of high values: rare words win."""

    def resources(self) -> tuple[str, ...]:
        """Return the user's own files, if there are any."""
        return tuple(path for path in (self.dictionary, self.pairs) if path)

    @property
    def kernels(self) -> tuple[str, ...]:
        """The parts of `compile_ahead` that it runs."""
        return ("spelling",)

    def build(self) -> Apply:
        """Return the stage as one of strings, without kernels: what those are measured by, in tests too.

        Raises:
            RecipeError: symspellpy or the dictionary is missing.

        """
        dictionary = self._dictionary()
        known, word = dictionary.words, self._word(dictionary)
        common = dictionary.common(self.common_words)
        derived = lru_cache(maxsize=1 << 16)(lambda text: self.language == "en" and is_derived(text, known, common))
        corrector = _Corrector(dictionary, word, self)

        def apply(document: Document) -> Document:
            prose = document.text
            if _CODE_LINE.search(prose):
                prose = "\n".join(line for line in prose.split("\n") if not _CODE_LINE.search(line))
            words = Counter(word.findall(prose))
            unknown = {text for text in words if text not in known and not derived(text)}
            total = sum([count for text, count in words.items() if len(text) >= self.minimum_length])
            missed = sum([words[text] for text in unknown if len(text) >= self.minimum_length])
            rate = missed / max(total, 1)
            corrected = 0
            if unknown and self.mode == "correct" and total >= _FEWEST_WORDS and rate <= self.maximum_rate:
                document.text, corrected = corrector.correct(document.text, unknown, corrector.doubtful(unknown))
            document.signals["misspelling_rate"] = rate
            document.signals["corrected"] = corrected
            return document

        return apply

    def open(self) -> BatchFunction:
        """Load the dictionary, and return the function for batches, which makes strings of texts with doubtful words only.

        Raises:
            RecipeError: symspellpy or the dictionary is missing.

        """
        dictionary = self._dictionary()
        compile_ahead(*self.kernels)
        common = dictionary.common(self.common_words)
        form = WordForm(
            self._letters(dictionary), _NOT_BEFORE, _NOT_AFTER, _CODE, self._shortest, _LONGEST, self.minimum_length
        )
        derived = partial(is_derived, known=dictionary.words, common=common) if self.language == "en" else None
        words = UnlistedWords(form, dictionary.words, common, derived)
        corrector = _Corrector(dictionary, self._word(dictionary), self, words.may_be_near)

        def run(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.StructArray]:
            names = batch.schema.names
            if "text" not in names:
                raise RecipeError(f"{self.kind}: the table has no column 'text' (it has: {', '.join(names)})")
            texts = text_buffers(batch.column("text"))
            unlisted = words.find(texts)
            rates = unlisted.missed / np.maximum(unlisted.totals, 1)
            corrected = np.zeros(batch.num_rows, np.int32)
            edited: list[str] = []
            if self.mode == "correct":
                unsure = (unlisted.totals >= _FEWEST_WORDS) & (rates <= self.maximum_rate)
                tasks = dict(_tasks(texts, unlisted, unsure, corrector))
                busy = np.zeros(batch.num_rows, np.bool_)
                busy[list(tasks)] = True
                for document, (row, task) in zip(documents_of(batch, ("id", "text"), busy), tasks.items(), strict=True):
                    text, corrected[row] = corrector.correct(document.text, *task)
                    if corrected[row]:
                        edited.append(text)
            old = batch.column("text")
            columns = {"text": replaced_texts(old, edited, corrected > 0)} if edited or old.null_count else {}
            for name, measured in (("misspelling_rate", rates), ("corrected", corrected)):
                columns[signal_column(name)] = pa.array(measured, self.signals[name])
            return with_columns(batch, columns), verdict_array([None] * batch.num_rows)

        return run

    def _dictionary(self) -> Dictionary:
        if self.language == "other" and self.dictionary is None:
            raise RecipeError("correct_spelling.language: for another language than English, name its `dictionary`")
        return load_dictionary(self.dictionary, self.pairs)

    def _letters(self, dictionary: Dictionary) -> str:
        return "a-z" if self.language == "en" else re.escape("".join(dictionary.letters))

    @property
    def _shortest(self) -> int:
        return min(self.minimum_length, self.minimum_corrected_length)

    def _word(self, dictionary: Dictionary) -> re.Pattern[str]:
        """Return the pattern of the words that are looked at."""
        letters = self._letters(dictionary)
        # The first letter, then what is before it: a pattern that starts with a look behind is tried at every character.
        first = rf"[{letters}](?<![{_NOT_BEFORE}][{letters}])"
        return re.compile(rf"{first}[{letters}]{{{self._shortest - 1},{_LONGEST - 1}}}{_AFTER}")


_Task = tuple[set[str], list[str]]
"""The unknown words of a text, and those of them that may be corrected."""


def _tasks(
    texts: TextBuffers, unlisted: Unlisted, chosen: npt.NDArray[np.bool_], corrector: _Corrector
) -> Iterator[tuple[int, _Task]]:
    """Yield of the *chosen* texts those that have words which may be corrected, in order."""
    data = texts.data.data
    listed = chosen[unlisted.rows]
    spans = zip(*(of[listed].tolist() for of in (unlisted.rows, unlisted.starts, unlisted.ends)), strict=True)
    for row, words in groupby(spans, key=itemgetter(0)):
        unknown = {str(data[start:end], "utf-8") for _, start, end in words}
        doubtful = corrector.doubtful(unknown)
        if doubtful:
            yield row, (unknown, doubtful)


class _Corrector:
    """What corrects the certain ones of the unknown words of a text."""

    def __init__(
        self,
        dictionary: Dictionary,
        word: re.Pattern[str],
        settings: CorrectSpelling,
        may_be_near: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._dictionary, self._word = dictionary, word
        self._shortest = settings.minimum_corrected_length
        self._least_by_count = settings.minimum_length
        self._maximum_rate = settings.maximum_rate
        self._ratio = log10(settings.frequency_ratio)
        self._common = settings.common_words
        self._may_be_near = may_be_near
        """Whether a common word may be one edit away; to ask the dictionary takes 20 times as long."""
        self._near = lru_cache(maxsize=1 << 14)(self._candidates)

    def doubtful(self, unknown: set[str]) -> list[str]:
        """Return those of *unknown* words for which there is a correction, certain or not."""
        return sorted(word for word in unknown if len(word) >= self._shortest and self._near(word))

    def correct(self, text: str, unknown: set[str], doubtful: list[str]) -> tuple[str, int]:
        """Return *text* with the certain ones of *doubtful*, some of its *unknown* words, replaced, and how many they were."""
        places = self._places(text, self._only_ones(text.lower(), doubtful))
        parts, done = [], 0
        for at, word in self._in_prose(text, places, unknown):
            if best := self._best(text, at, word):
                parts += [text[done:at], best]
                done = at + len(word)
        return "".join([*parts, text[done:]]), len(parts) // 2

    def _only_ones(self, lower: str, words: Sequence[str]) -> list[str]:
        """Return those of *words* that occur once in the text, and no other unknown word that starts like them."""
        if len(words) <= _FEW:
            return [word for word in words if self._is_only_one(lower, word)]
        times: Counter[str] = Counter()
        lengths = {len(word[:_STEM]) for word in words}
        for other, count in Counter(_ANY_WORD.findall(lower)).items():
            if other not in self._dictionary.words:
                for length in lengths:
                    if len(other) >= length:
                        times[other[:length]] += count
        return [word for word in words if times[word[:_STEM]] <= 1]

    def _is_only_one(self, lower: str, word: str) -> bool:
        """Return whether *word* occurs once in the text, and no other unknown word that starts like it."""
        stem, occurrences = word[:_STEM], 0
        at = lower.find(stem)
        while at >= 0:
            match = None if at and _ANY_WORD.match(lower[at - 1]) else _ANY_WORD.match(lower, at)
            if match and match.group() not in self._dictionary.words:
                occurrences += 1
                if occurrences > 1:
                    return False
            at = lower.find(stem, at + 1)
        return True

    def _places(self, text: str, words: Sequence[str]) -> list[tuple[int, str]]:
        """Return where each of *words*, which occur once, stands alone, in order; some do nowhere."""
        if len(words) <= _FEW:
            places = {word: self._place(text, word) for word in words}
        else:
            places = dict.fromkeys(words, -1)
            for match in self._word.finditer(text):
                if places.get(match.group()) == -1:
                    places[match.group()] = match.start()
        return sorted((at, word) for word, at in places.items() if at >= 0)

    def _place(self, text: str, word: str) -> int:
        """Return where *word* stands alone first, or -1."""
        at = text.find(word)
        while at >= 0:
            match = self._word.match(text, at)
            if match and match.group() == word:
                return at
            at = text.find(word, at + 1)
        return -1

    def _in_prose(self, text: str, places: Iterable[tuple[int, str]], unknown: set[str]) -> Iterator[tuple[int, str]]:
        """Yield those of *places*, in order, that are on lines of prose; a line is looked at once for all words on it."""
        end, is_prose = -1, False
        for at, word in places:
            if at > end:
                start = text.rfind("\n", max(end, 0), at) + 1
                end = text.find("\n", at)
                end = end if end >= 0 else len(text)
                is_prose = self._is_prose(text[start:end], unknown)
            if is_prose:
                yield at, word

    def _is_prose(self, line: str, unknown: set[str]) -> bool:
        """Return whether a *line* is no code, and known words but for few."""
        if _CODE_LINE.search(line):
            return False
        words = self._word.findall(line)
        missed = sum(word in unknown for word in words)
        return len(words) >= _FEWEST_ON_LINE and (missed == 1 or missed <= self._maximum_rate * len(words))

    def _candidates(self, word: str) -> list[Candidate]:
        """Return what *word* may have been meant to be, if the most frequent of that can be a correction."""
        if not self._may_be_near(word):
            return []
        near = sorted(self._dictionary.near(word), key=lambda candidate: candidate.rank)
        return near if near and near[0].rank < self._common else []

    def _best(self, text: str, at: int, word: str) -> str | None:
        """Return the one word that is far more likely than any other where *word* stands at *at*."""
        before = _WORD_BEFORE.search(text[max(at - _CONTEXT, 0) : at])
        after = _WORD_AFTER.match(text, at + len(word), at + len(word) + _CONTEXT)
        neighbours = before.group(1).lower() if before else "", after.group(1).lower() if after else ""
        scored = []
        for candidate in self._near(word):
            pairs, likely = self._dictionary.support(neighbours[0], candidate.word, neighbours[1])
            slip = _PLAIN_SLIP if _is_plain_slip(word, candidate.word) else 0.0
            scored.append((log10(max(candidate.frequency, 1)) + likely + slip, pairs, candidate))
        scored.sort(key=lambda item: (-item[0], item[2].word))
        score, pairs, best = scored[0]
        if best.rank >= self._common or not _is_slip(word, best.word):
            return None
        if len(scored) > 1 and score - scored[1][0] < self._ratio:
            return None
        return best.word if self._is_supported(word, best, pairs, sum(map(bool, neighbours))) else None

    def _is_supported(self, word: str, best: Candidate, pairs: int, neighbours: int) -> bool:
        """Return whether the neighbours speak for *best* as much as a word of that length needs."""
        if not self._dictionary.pairs:
            return len(word) >= self._least_by_count
        if len(word) < _MIDDLE and not _is_plain_slip(word, best.word) and not _is_near_miss(word, best.word):
            return False
        if len(word) < _SHORT:
            return best.rank < _SHORT_RANK and neighbours > 0 and pairs == neighbours
        return len(word) >= _MIDDLE or pairs > 0 or best.rank < _MIDDLE_RANK or _is_doubling(word, best.word)


def _is_slip(word: str, candidate: str) -> bool:
    """Return whether *word* is a slip of the pen for *candidate*, by its first letter, and not another form of it."""
    swapped = len(word) == len(candidate) and word[:2] == candidate[1::-1]
    return (word[0] == candidate[0] or swapped) and not _is_inflection(word, candidate)


def _is_inflection(word: str, candidate: str) -> bool:
    """Return whether the two differ by an ending, as an unknown plural and its singular do, or by a dropped final g."""
    shorter, longer = sorted((word, candidate), key=len)
    return longer.startswith(shorter) and longer[len(shorter) :] in ("s", "d", "r", "y", "n", "g")


def _is_plain_slip(word: str, candidate: str) -> bool:
    """Return whether *word* is *candidate* with a letter left out, two neighbours swapped or a letter doubled."""
    if len(word) == len(candidate):
        return sorted(word) == sorted(candidate)
    return len(word) < len(candidate) or _is_doubling(word, candidate)


def _is_near_miss(word: str, candidate: str) -> bool:
    """Return whether the wrong or added letter is a vowel for a vowel, a letter of like sound, or one from a key beside."""
    at = next(
        (at for at, (one, other) in enumerate(zip(word, candidate, strict=False)) if one != other), len(candidate)
    )
    if len(word) == len(candidate):
        pair = frozenset((word[at], candidate[at]))
        return pair in _BESIDE or pair in _ALIKE
    around = word[max(at - 1, 0) : at] + word[at + 1 : at + 2]
    return any(frozenset((word[at], letter)) in _BESIDE for letter in around)


def _is_doubling(word: str, candidate: str) -> bool:
    """Return whether the two differ by a letter that is doubled in one and single in the other, the commonest slip of all."""
    shorter, longer = sorted((word, candidate), key=len)
    doubled = (at for at in range(1, len(longer)) if longer[at] == longer[at - 1])
    return len(longer) == len(shorter) + 1 and any(longer[:at] + longer[at + 1 :] == shorter for at in doubled)
