"""Misspelled words: a rate to judge by, and the correction of the few that are certain.

Correcting every word that a dictionary lacks is net harm: symspellpy with its usual settings altered 5.5 % of the
tokens of clean news (`UK` to `us`, `Mr` to `or`, `Brexit` to `credit`), because most unknown words are names and terms.
Here a word has to pass many gates before it is touched, so most misspellings stay, and a document whose unknown words
are not those of English prose is left alone as a whole. The rate is useful by itself, as a signal of quality.

British and American spelling are both right: a short table of rules covers what the dictionary, which has only one of
the two for many words, would call an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, RecipeError
from corpusmill.stages.base import Apply, DocumentStage

__all__ = ["CorrectSpelling", "spelling_variants"]

# A lower-case word that stands alone: not part of a compound, contraction, path, address, tag, call or quotation.
_BEFORE = r"(?<![\w'’\"“‘`\-‐‑/@.#&=\\~+*<>$%^])"
_AFTER = r"(?![\w'’\"”`\-‐‑/@=\\<>*_(\[]|[.:][\w/]|[ ]?[\[(]sic\b)"
_CODE_LINE = re.compile(r"[{}<>=\\_|]|//|::")
_ANY_WORD = re.compile(r"[A-Za-z]+")
_LONGEST = 32  # letters; longer ones are not words, and cost the lookup most
_ENDING = r"(?=(?:s|ed|ing|er|ers|able|ably|ful|fully|ite|ites|less|ist|ists|hood|hoods|ly)?$)"

_VARIANTS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (f"our{_ENDING}", "or"),  # colour
        (f"or{_ENDING}", "our"),
        (r"(?<=[iy])s(?=e|ed|es|er|ers|ing|ation|ations|able)", "z"),  # organise, analyse
        (r"(?<=[iy])z(?=e|ed|es|er|ers|ing|ation|ations|able)", "s"),
        (r"re(?=[sd]?$)", "er"),  # centre
        (r"er(?=(?:s|ed)?$)", "re"),
        (r"ll(?=(?:ing|ed|er|ers|or|ors|ist|ists|ous|ment|ments|ful|fully)$)", "l"),  # travelling, fulfillment
        (r"l(?=(?:ing|ed|er|ers|or|ors|ist|ists|ous|ment|ments|ful|fully)$)", "ll"),
        (r"pp(?=(?:ing|ed|er|ers)$)", "p"),  # worshipping, kidnapper
        (r"p(?=(?:ing|ed|er|ers)$)", "pp"),
        (r"ogue(?=s?$)", "og"),  # catalogue
        (r"og(?=s?$)", "ogue"),
        (r"ae|oe", "e"),  # anaemia, foetus
        (r"(?<=defen|offen|licen|reten)se", "ce"),
        (r"(?<=defen|offen|licen|reten)ce", "se"),
        (r"amme(?=s?$)", "am"),  # programme
        (r"am(?=s?$)", "amme"),
        (r"mould", "mold"),
        (r"mold", "mould"),
        (r"grey", "gray"),
        (r"gray", "grey"),
        (r"dgment", "dgement"),  # judgement
        (r"dgement", "dgment"),
        (r"skep", "scep"),
        (r"scep", "skep"),
        (r"sulf", "sulph"),
        (r"plow", "plough"),
        (r"(?<=[gkvz])able", "eable"),  # likeable
        (r"eable", "able"),
        (r"(?<=ag)ing$", "eing"),  # ageing
    )
)
_PREFIXES = (
    "anti",
    "auto",
    "bio",
    "counter",
    "cyber",
    "eco",
    "extra",
    "hyper",
    "inter",
    "macro",
    "mega",
    "micro",
    "mini",
)
_PREFIXES_SHORT = (
    "co",
    "de",
    "dis",
    "mis",
    "non",
    "out",
    "over",
    "post",
    "pre",
    "re",
    "semi",
    "sub",
    "super",
    "un",
    "under",
)
_SUFFIXES = ("able", "esque", "ful", "ish", "ism", "ist", "less", "like", "ness", "ship", "wards", "wise")
_PART = 3  # letters that each half of a compound needs
_FEWEST_WORDS = 20  # a rate of fewer words says nothing


class CorrectSpelling(DocumentStage, frozen=True, kw_only=True):
    """Measure the share of misspelled words in English text and, in mode `correct`, repair those that are certain.

    Looked at are lower-case ASCII words of at least `minimum_length` letters on lines that are not code. A word is
    corrected when it is in no dictionary, neither a spelling variant nor a derivation nor a compound of known words,
    occurs once in the document (a repeated unknown word is a term or a name), and one common word differs from it by a
    single edit that keeps the first letter (3 % of misspellings miss it: Pollock and Zamora 1984) and is far more
    frequent than any other. Needs the extra `spelling`. Texts in other languages have a high rate and are not touched.

    Signals: `misspelling_rate`, unknown words / words looked at (0 if there are none); `corrected`, words replaced.
    """

    signals: ClassVar[dict[str, pa.DataType]] = {"misspelling_rate": pa.float32(), "corrected": pa.int32()}

    mode: Literal["measure", "correct"] = "correct"
    """`measure` leaves the text alone. Risk of `correct`: rare words, dialect and coinages become common words."""
    language: Literal["en"] = "en"
    """Language of the bundled dictionary: 82,765 words with counts, from the SymSpell project."""
    dictionary: str | None = None
    """A file of lines `word count` to use in place of the bundled dictionary; its hash joins the fingerprint of a
    run."""
    minimum_length: Annotated[int, Meta(ge=3, le=32)] = 5
    """Shorter words are ignored. Risk of low values: short words have many neighbours, and are often abbreviations."""
    maximum_rate: Annotated[float, Meta(ge=0, le=1)] = 0.1
    """Correct nothing in a document with a higher rate, or with fewer than 20 words to judge by. Risk of high values:
    other languages, dialects and tables are "corrected"."""
    frequency_ratio: Annotated[float, Meta(ge=1)] = 100.0
    """How many times as frequent as the next candidate the correction must be. Risk of low values: guesses. On
    lists of isolated misspellings 94 of 100 corrections were the listed word at 100, 89 at 10."""
    common_words: Annotated[int, Meta(ge=1)] = 20_000
    """A correction must be among so many most frequent words of the dictionary. Risk of high values: rare words win."""

    def resources(self) -> tuple[str, ...]:
        """Return the user's dictionary, if there is one."""
        return (self.dictionary,) if self.dictionary else ()

    def build(self) -> Apply:
        """Load the dictionary; raises `RecipeError` where symspellpy or the dictionary is missing."""
        speller = _load(self.dictionary)
        known: dict[str, int] = speller.words
        top = sorted(known.values(), reverse=True)[: self.common_words]
        word = re.compile(rf"{_BEFORE}[a-z]{{{self.minimum_length},{_LONGEST}}}{_AFTER}")
        is_known = lru_cache(maxsize=1 << 16)(lambda text: _is_known(text, known))
        correct = lru_cache(maxsize=1 << 14)(_corrector(speller, top[-1] if top else 0, self.frequency_ratio))

        def apply(document: Document) -> Document:
            lines = document.text.split("\n")
            total, unknown = 0, []
            for number, line in enumerate(lines):
                if _CODE_LINE.search(line):
                    continue
                for match in word.finditer(line):
                    total += 1
                    if match.group() not in known and not is_known(match.group()):
                        unknown.append((number, match))
            rate = len(unknown) / max(total, 1)
            corrected = 0
            if unknown and self.mode == "correct" and total >= _FEWEST_WORDS and rate <= self.maximum_rate:
                corrected = _rewrite(lines, unknown, Counter(_ANY_WORD.findall(document.text.lower())), correct)
                document.text = "\n".join(lines)
            document.signals["misspelling_rate"] = rate
            document.signals["corrected"] = corrected
            return document

        return apply


def _load(dictionary: str | None) -> Any:
    """Return the loaded symspellpy engine, for edits of distance 1."""
    try:
        import symspellpy
    except ImportError:
        raise RecipeError(
            "correct_spelling needs symspellpy, which is not installed; type: pip install 'corpusmill[spelling]'"
        ) from None
    if dictionary is None:
        return _bundled(str(files(symspellpy).joinpath("frequency_dictionary_en_82_765.txt")))
    return _read(dictionary)


def _read(path: str) -> Any:
    """Return an engine that holds the dictionary at *path*."""
    from symspellpy import SymSpell

    speller = SymSpell(max_dictionary_edit_distance=1, prefix_length=7)
    if not Path(path).is_file():
        raise RecipeError(f"correct_spelling.dictionary: there is no file {path!r}")
    if not speller.load_dictionary(path, 0, 1, encoding="utf-8") or not speller.words:
        raise RecipeError(f"correct_spelling.dictionary: {path!r} has no line of the form `word count`")
    return speller


_bundled = lru_cache(maxsize=1)(_read)  # 0.6 s, and the file does not change; a user's file may


def _rewrite(
    lines: list[str],
    unknown: list[tuple[int, re.Match[str]]],
    counts: Counter[str],
    correct: Callable[[str], str | None],
) -> int:
    """Replace the certain ones of *unknown* words in *lines*, in place; return how many there were."""
    pieces: dict[int, list[str]] = {}
    ends: dict[int, int] = {}
    corrected = 0
    for number, match in unknown:
        replacement = correct(match.group()) if counts[match.group()] == 1 else None
        if replacement is None:
            continue
        corrected += 1
        pieces.setdefault(number, []).extend((lines[number][ends.get(number, 0) : match.start()], replacement))
        ends[number] = match.end()
    for number, parts in pieces.items():
        lines[number] = "".join(parts) + lines[number][ends[number] :]
    return corrected


def _corrector(speller: Any, least: int, ratio: float) -> Callable[[str], str | None]:
    """Return the function that gives the one certain correction of a word, or None."""
    from symspellpy import Verbosity

    def correct(word: str) -> str | None:
        candidates = speller.lookup(word, Verbosity.CLOSEST, max_edit_distance=1)
        if not candidates:
            return None
        best = candidates[0]
        if best.count < least or best.term[0] != word[0] or _is_inflection(word, best.term):
            return None
        if len(candidates) > 1 and best.count < ratio * candidates[1].count:
            return None
        return str(best.term)

    return correct


def _is_inflection(word: str, candidate: str) -> bool:
    """Return whether the two differ by an ending, as an unknown plural and its singular do, or by a dropped final g."""
    shorter, longer = sorted((word, candidate), key=len)
    return longer.startswith(shorter) and longer[len(shorter) :] in ("s", "d", "r", "y", "n", "g")


def _is_known(word: str, known: dict[str, int]) -> bool:
    """Return whether an unlisted *word* is a variant, a derivation or a compound of listed ones."""
    if any(variant in known for variant in spelling_variants(word)):
        return True
    for prefix in (*_PREFIXES, *_PREFIXES_SHORT):
        if word.startswith(prefix) and len(word) - len(prefix) > _PART and word[len(prefix) :] in known:
            return True
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and word[: -len(suffix)] in known:
            return True
    return any(word[:at] in known and word[at:] in known for at in range(_PART + 1, len(word) - _PART))


def spelling_variants(word: str) -> list[str]:
    """Return the British or American forms that *word* may have, right or not; the dictionary decides.

    >>> spelling_variants("armor"), spelling_variants("ischemic")
    (['armour'], ['ischaemic', 'ischoemic'])
    """
    variants = [pattern.sub(replacement, word) for pattern, replacement in _VARIANTS]
    for at, letter in enumerate(word):
        if letter == "e":
            variants += [f"{word[:at]}ae{word[at + 1 :]}", f"{word[:at]}oe{word[at + 1 :]}"]
    return [variant for variant in variants if variant != word]
