"""What several test modules share: made-up prose, and settings that cut a small corpus into many splits and shards."""

from __future__ import annotations

import random
from typing import Any

import pytest

from corpusmill.journal import Journal

SMALL_STEPS = (
    "input.split_size=6kB",
    "tokenize.vocabulary_size=400",
    "output.shard_tokens=2500",
    "output.validation_share=0.2",
)

_STEMS = ("mill", "river", "stone", "bread", "grain", "wheel")
WORDS = [stem + ending for stem in _STEMS for ending in ("", "s", "er", "ing", "ed", "like", "work")]


def prose(seed: int, length: int = 120) -> str:
    """Return *length* words that depend on *seed* alone."""
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def stop_after(patch: pytest.MonkeyPatch, events: int) -> None:
    """Interrupt the runs that follow when their journal holds *events* events."""
    append = Journal.append

    def stopping(self: Journal, event: Any) -> None:
        append(self, event)
        if len(self.events) == events:
            raise KeyboardInterrupt

    patch.setattr(Journal, "append", stopping)
