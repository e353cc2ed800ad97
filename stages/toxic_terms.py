"""The lexicon of toxic terms: how it is read, and which of its terms count where in a text.

A word of one language can be an innocent word of another, so an entry applies where its language is plausible; evidence is only
gathered for texts with a match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from corpusmill.schemas import RecipeError
from corpusmill.stages.term_folding import fold
from corpusmill.stages.term_matcher import TermMatcher
from corpusmill.stages.text_buffers import TextBuffers

if TYPE_CHECKING:
    from corpusmill.stages.plausible_languages import LanguageEvidence

__all__ = ["DEFAULT_LEXICON", "Hit", "LexiconEntry", "ToxicTerms", "read_lexicon"]

DEFAULT_LEXICON = Path(__file__).parent / "data" / "toxicity_lexicon.jsonl"
_RANK = {"severe": 0, "strong": 1, "mild": 2}


class LexiconEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a lexicon."""

    term: str
    """A word or phrase; a star at the end (or start) stands for any rest of the word."""
    language: str = ""
    """ISO 639-1 code; empty for terms that apply whatever the language."""
    category: str = "other"
    severity: Literal["mild", "strong", "severe", "allow"] = "strong"
    """`allow` marks an innocent word or phrase: terms inside it do not count."""
    applies: Literal["plausible", "everywhere", "certain"] = "plausible"
    """Where the term counts: where its language is plausible or the text too short to tell; in any text (a word like no
    innocent one elsewhere); or only where its language is certain (it is an innocent word of others)."""
    exceptions: tuple[str, ...] = ()
    """Innocent words or phrases that contain the term."""


class Hit(NamedTuple):
    """A term that counts: offsets in code points."""

    start: int
    end: int
    entry: LexiconEntry


class ToxicTerms:
    """The terms in force, and the function that finds those that count in a text."""

    def __init__(self, entries: Sequence[LexiconEntry], *, everywhere: bool, disguised: bool) -> None:
        """Take the *entries*; *everywhere* they apply in every text, whatever its language.

        *disguised* ones are found too: strong and severe words that are spelled to be missed, but no spam and no word that is
        innocent in another language.
        """
        self._terms = [entry for entry in entries if entry.severity != "allow"]
        allowed = [entry.term for entry in entries if entry.severity == "allow"]
        allowed += [word for entry in self._terms for word in entry.exceptions]
        names, languages = [entry.term for entry in self._terms], [entry.language for entry in self._terms]
        self._disguised = None
        if disguised:
            from corpusmill.stages.disguised_terms import DisguisedTerms

            eligible = [
                (fold(entry.term.strip("*")).text, number, entry.term.endswith("*"))
                for number, entry in enumerate(self._terms)
                if entry.severity != "mild"
                and entry.applies != "certain"
                and entry.category != "spam"
                and not entry.term.startswith("*")
            ]
            self._disguised = DisguisedTerms(eligible, (fold(word).text for word in allowed))
        tables = self._disguised.tables if self._disguised else None
        self._matcher = TermMatcher(names, languages, allowed, tables)
        self._everywhere = everywhere

    def may_be_in(self, texts: TextBuffers) -> npt.NDArray[np.bool_]:
        """Say of each text of a batch whether there may be hits; there are none in any other."""
        return self._matcher.texts_with_terms(texts)

    def find(self, text: str) -> list[Hit]:
        """Return the hits of a text in order: the terms that apply to it, the longest of overlapping ones."""
        read = self._matcher.read(text)
        hits = [Hit(start, end, self._terms[term]) for start, end, term in self._matcher.matches(text, read)]
        if self._disguised and read.odd:
            found = self._disguised.find(read, read.odd)
            hits += [Hit(start, end, self._terms[term]) for start, end, term in _in_characters(read.data, found)]
        if not hits:
            return []
        if not self._everywhere and any(hit.entry.language and hit.entry.applies != "everywhere" for hit in hits):
            from corpusmill.stages.plausible_languages import LanguageEvidence

            evidence = LanguageEvidence(read)
            hits = [hit for hit in hits if _applies(hit.entry, evidence)]
        return _longest(hits)


def _in_characters(
    data: npt.NDArray[np.uint8], found: Iterable[tuple[int, int, int]]
) -> Iterator[tuple[int, int, int]]:
    """Yield *found*, in order of start, with its ends as characters: counted from one start to the next, not from the first."""
    at = characters = 0
    for start, end, term in found:
        characters += len(data[at:start].tobytes().decode())
        at = start
        yield characters, characters + len(data[start:end].tobytes().decode()), term


def _applies(entry: LexiconEntry, evidence: LanguageEvidence) -> bool:
    """Return whether *entry* applies to the text of the *evidence*."""
    if not entry.language or entry.applies == "everywhere":
        return True
    if entry.applies == "certain":
        return evidence.certain(entry.language)
    return evidence.plausible(entry.language)


def _longest(hits: list[Hit]) -> list[Hit]:
    """Return *hits* without overlaps: from left to right the longest, of equal ones the most severe."""
    hits.sort(key=lambda h: (h.start, -h.end, _RANK[h.entry.severity], h.entry.category, h.entry.language))
    chosen: list[Hit] = []
    for hit in hits:
        if not chosen or hit.start >= chosen[-1].end:
            chosen.append(hit)
    return chosen


def read_lexicon(path: Path) -> list[LexiconEntry]:
    """Return the entries of a lexicon file in UTF-8; its suffix says what it is (see `FilterToxicity.lexicons`).

    Raises RecipeError with file and line if it cannot be read. The message never quotes the line.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"filter_toxicity.lexicons: cannot read {path}: {error.__class__.__name__}") from None
    columns = lines[0].rstrip("\r").split("\t") if path.suffix == ".tsv" else []
    entries = []
    for number, line in enumerate(lines[1:] if columns else lines, 2 if columns else 1):
        bare = line.strip()
        if not bare or (bare.startswith("#") and path.suffix != ".jsonl"):
            continue
        try:
            entry = _entry(line.rstrip("\r"), columns, path.suffix)
        except (msgspec.MsgspecError, ValueError) as error:
            raise RecipeError(f"filter_toxicity.lexicons: {path}, line {number}: {error}") from None
        entries.append(entry)
    return entries


def _entry(line: str, columns: Sequence[str], suffix: str) -> LexiconEntry:
    if suffix == ".jsonl":
        entry = msgspec.json.decode(line, type=LexiconEntry)
    elif suffix == ".tsv":
        cells = {name: cell.strip() for name, cell in zip(columns, line.split("\t"), strict=True) if cell.strip()}
        exceptions = [word.strip() for word in cells.pop("exceptions", "").split(";") if word.strip()]
        entry = msgspec.convert({**cells, "exceptions": exceptions}, LexiconEntry)
    else:
        entry = LexiconEntry(term=line.split("#")[0].strip())
    if not any(map(str.isalnum, entry.term)):
        raise ValueError("a term needs a letter or digit")
    return entry
