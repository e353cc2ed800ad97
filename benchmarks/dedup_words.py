"""Words and shingles as Python's regular expressions find them: what libraries that take tokens need first.

datasketch and rensa take tokens and leave it to their users to make them. This is the quickest way in plain Python, so that
neither is charged for a slow tokenizer; it is also the definition of the truth that comes with the evaluation data.
"""

from __future__ import annotations

import re

SHINGLE_WORDS = 5

find_words = re.compile(r"\w+").findall


def words(text: str) -> list[str]:
    """Return the lower-cased runs of letters, digits and underscores of *text*."""
    return find_words(text.lower())


def shingles(found: list[str]) -> list[str]:
    """Return the 5-grams of *found*, joined by spaces; fewer words are one shingle, no words are none."""
    size = min(SHINGLE_WORDS, len(found))
    return [" ".join(found[at : at + size]) for at in range(len(found) - size + 1)] if found else []
