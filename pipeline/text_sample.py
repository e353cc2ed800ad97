"""Texts drawn at random from any number of them, in one pass and in bounded memory: the same ones in whatever order they come.

Every text has a number that was drawn by its id (see subsets.py). Of each group, a language or all texts, those with the
smallest numbers are taken until their bytes are enough. How many bytes a group is to have may depend on how many all groups turn
out to have, which nobody knows before the end. But the share of a group that can still be wanted only ever falls as there is more
text, its own or that of others (`balanced`, with an exponent of 1 at most). So texts above that share can be forgotten at once,
and memory is at most about twice the sample, and half a megabyte for each group.

Rejected: the first texts (a listing begins with one site, one year, one language); a reservoir that draws positions (it depends
on the order); two passes, one to count (twice the time of reading and of all stages).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

__all__ = ["TextSample", "balanced"]

_SPARE, _SPARE_BYTES = 1.25, 1 << 18
"""What is held of a group beyond what it is to have, because texts that fill a share of the numbers fill that share of the bytes
only about. Where they do not, as with a few huge texts, the sample is smaller than it might be, and still the same one."""
_DRAWS = 1 << 64


class TextSample:
    """A sample of texts; *targets* says from the bytes of all texts of each group how many bytes of it to take."""

    def __init__(self, targets: Callable[[Mapping[str, int]], Mapping[str, float]]) -> None:
        self._targets = targets
        self._held: dict[str, list[tuple[int, bytes]]] = {}
        self._limits: dict[str, float] = {}
        self._bytes = 0
        self._enough = 0
        self.seen: dict[str, int] = {}
        """Bytes of all texts of each group."""

    @property
    def held(self) -> int:
        """Bytes of the texts that are in memory."""
        return self._bytes

    def add(self, group: str, drawn: int, text: str) -> None:
        """Take note of a text; *drawn* is its number, from 0 to 2**64 - 1. Empty ones are left out."""
        data = text.encode()
        if not data:
            return
        self.seen[group] = self.seen.get(group, 0) + len(data)
        if drawn < self._limits.get(group, _DRAWS):
            self._held.setdefault(group, []).append((drawn, data))
            self._bytes += len(data)
            if self._bytes > self._enough:
                self._forget()
                self._enough = self._bytes * 3 // 2 + _SPARE_BYTES

    def texts(self) -> dict[str, list[bytes]]:
        """Return the texts of each group as UTF-8, in the order of their numbers: enough for its target, the last may go over."""
        self._forget()
        targets = self._targets(self.seen)
        taken: dict[str, list[bytes]] = {}
        for group in sorted(self._held):
            left = targets[group]
            taken[group] = []
            for _, data in sorted(self._held[group]):
                if left <= 0:
                    break
                left -= len(data)
                taken[group].append(data)
        return taken

    def _forget(self) -> None:
        """Let go of the texts that cannot be wanted any more, whatever comes."""
        targets = self._targets(self.seen)
        for group, held in self._held.items():
            share = (_SPARE * targets[group] + _SPARE_BYTES) / self.seen[group]
            if share < 1:
                self._limits[group] = limit = share * _DRAWS
                self._held[group] = [entry for entry in held if entry[0] < limit]
        self._bytes = sum(len(data) for held in self._held.values() for _, data in held)


def balanced(seen: Mapping[str, int], size: int, exponent: float) -> dict[str, float]:
    """Return how many of *size* bytes each group gets: in proportion to its bytes to the power of *exponent*, from 0 to 1.

    1 is as the text has it, 0 the same for each. A group that has less than it would get gives all, and the others get the rest;
    no text is taken twice. (Conneau and Lample 2019 draw languages so, with 0.5; Conneau et al. 2020, XLM-R, with 0.3.)

    >>> balanced({"en": 10_000, "is": 100}, 1_010, 1)
    {'en': 1000.0, 'is': 10.0}
    >>> balanced({"en": 10_000, "is": 100}, 550, 0.5)
    {'en': 500.0, 'is': 50.0}
    >>> balanced({"en": 10_000, "is": 100}, 1_100, 0)
    {'is': 100.0, 'en': 1000.0}
    """
    targets: dict[str, float] = {}
    rest = sorted(seen)
    while rest:
        weights = {group: seen[group] ** exponent for group in rest}
        factor = (size - math.fsum(targets.values())) / math.fsum(weights.values())
        small = [group for group in rest if seen[group] <= factor * weights[group]]
        targets |= {group: float(seen[group]) for group in small}
        if not small:
            return targets | {group: factor * weights[group] for group in rest}
        rest = [group for group in rest if group not in targets]
    return targets
