"""What a deduplicator removed, held against the true similarity of all pairs.

Precision is strict: a removal is right only if a document that was *kept* is at least that similar. A system that deletes a whole
group, the first included, or that follows chains of similar documents, is not excused. What should have been removed is what
was rightly removed by any neighbour, plus the kept documents that have an earlier kept neighbour.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dedup_words import SHINGLE_WORDS

LEAST = 0.3  # pairs below are not in the truth
THRESHOLDS = (0.8, 0.75, 0.7)
STEPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(11))


@dataclass(frozen=True)
class Truth:
    """The true Jaccard similarity of all pairs of at least `LEAST`, as the neighbours of every document."""

    neighbours: list[dict[int, float]]

    @classmethod
    def of_pairs(cls, documents: int, pairs: Iterator[tuple[int, int, float]]) -> Truth:
        """Build it from pairs."""
        neighbours: list[dict[int, float]] = [{} for _ in range(documents)]
        for left, right, similarity in pairs:
            neighbours[left][right] = neighbours[right][left] = similarity
        return cls(neighbours)

    @classmethod
    def read(cls, documents: int, path: Path) -> Truth:
        """Read the pairs that come with the data (`a`, `b`, `j`)."""
        records = read_lines(path)
        return cls.of_pairs(documents, ((int(r["a"]), int(r["b"]), float(r["j"])) for r in records))

    @classmethod
    def compute(cls, texts: Sequence[str], words: Callable[[str], list[str]]) -> Truth:
        """Compare all pairs, by an inverted index of the 5-grams of *words*."""
        return cls.of_pairs(len(texts), all_pairs([shingle_set(words(text)) for text in texts]))

    def similar(self, document: int, threshold: float) -> Iterator[int]:
        """Yield the documents that are at least that similar."""
        return (other for other, similarity in self.neighbours[document].items() if similarity >= threshold)

    def isolated(self) -> Iterator[tuple[int, int, float]]:
        """Yield the pairs of which neither has another neighbour: what is found of them is the curve of the banding."""
        for document, others in enumerate(self.neighbours):
            if len(others) == 1:
                ((other, similarity),) = others.items()
                if document < other and len(self.neighbours[other]) == 1:
                    yield document, other, similarity


@dataclass(frozen=True)
class Score:
    """How good a mask is at one threshold."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def read_lines(path: Path) -> list[dict[str, str]]:
    """Return the records of compressed JSON Lines."""
    with gzip.open(path, "rt", newline="\n") as lines:
        return [json.loads(line) for line in lines]


def shingle_set(found: list[str]) -> set[tuple[str, ...]]:
    """Return the distinct 5-grams; fewer words are one, no words are none."""
    size = min(SHINGLE_WORDS, len(found))
    return {tuple(found[at : at + size]) for at in range(len(found) - size + 1)} if found else set()


def all_pairs(sets: list[set[tuple[str, ...]]]) -> Iterator[tuple[int, int, float]]:
    """Yield every pair of documents whose Jaccard similarity is at least `LEAST`."""
    numbers: dict[tuple[str, ...], int] = defaultdict(lambda: len(numbers))
    holders: list[list[int]] = []
    for document, members in enumerate(sets):
        known = [numbers[member] for member in members]
        holders += [[] for _ in range(len(numbers) - len(holders))]
        earlier = np.fromiter((other for number in known for other in holders[number]), np.int64)
        common = np.bincount(earlier, minlength=document)
        for other in np.flatnonzero(common).tolist():
            shared = int(common[other])
            similarity = shared / (len(members) + len(sets[other]) - shared)
            if similarity >= LEAST:
                yield other, document, similarity
        for number in known:
            holders[number].append(document)


def score(truth: Truth, keep: Sequence[bool], threshold: float) -> Score:
    """Return strict precision and recall at *threshold*."""
    removed = [document for document, kept in enumerate(keep) if not kept]
    strict = sum(any(keep[other] for other in truth.similar(document, threshold)) for document in removed)
    right = sum(any(True for _ in truth.similar(document, threshold)) for document in removed)
    left = sum(
        any(keep[other] and other < document for other in truth.similar(document, threshold))
        for document, kept in enumerate(keep)
        if kept
    )
    return Score(strict / len(removed) if removed else 1.0, right / (right + left) if right + left else 1.0)


def unlike(truth: Truth, keep: Sequence[bool], below: float = 0.5) -> int:
    """Return how many removed documents have no kept neighbour of at least *below*."""
    removed = (document for document, kept in enumerate(keep) if not kept)
    return sum(not any(keep[other] for other in truth.similar(document, below)) for document in removed)


def first_wins(truth: Truth, threshold: float) -> list[bool]:
    """Return the mask of a perfect deduplicator: what scores 1 if the scoring is right."""
    keep: list[bool] = []
    for document in range(len(truth.neighbours)):
        keep.append(not any(other < document and keep[other] for other in truth.similar(document, threshold)))
    return keep


def curve(truth: Truth, keep: Sequence[bool]) -> dict[float, tuple[int, int]]:
    """Return, for isolated pairs by similarity to the nearest 0.05, how many were found and how many there are."""
    counts: dict[float, list[int]] = {step: [0, 0] for step in STEPS}
    for left, right, similarity in truth.isolated():
        step = round(round(similarity * 20) / 20, 2)
        if step in counts:
            counts[step][0] += not (keep[left] and keep[right])
            counts[step][1] += 1
    return {step: (found, there) for step, (found, there) in counts.items()}
