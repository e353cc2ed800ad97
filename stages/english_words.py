"""Words of English that no dictionary lists and that are none the less right: other spellings, derivations and compounds.

British and American spelling are both right, and the dictionary of SymSpell has only one of the two for many words. Rules that
cover too much are harmless here: they are asked whether some listed word is behind an unlisted one, and a misspelling that passes
stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Container

__all__ = ["ENDINGS", "LEAST_PART", "PREFIXES", "VARIANT_PATTERNS", "is_derived", "spelling_variants"]

_ENDING = r"(?=(?:s|ed|ing|er|ers|able|ably|ful|fully|ite|ites|less|ist|ists|hood|hoods|ly|al|ally)?$)"

_LITERAL = re.compile(r"(?:\(\?<=[^)]*\))?([a-z]+)(?=\(\?=|\$|$)")
"""A pattern that has one string of letters between what stands before and after it: no need to try it without that."""
_VARIANTS = tuple(
    (re.compile(pattern), replacement, literal.group(1) if (literal := _LITERAL.match(pattern)) else "")
    for pattern, replacement in (
        (f"our{_ENDING}", "or"),  # colour
        (f"or{_ENDING}", "our"),
        (r"(?<=[iy])s(?=e|ed|es|er|ers|ing|ation|ations|able)", "z"),  # organise, analyse
        (r"(?<=[iy])z(?=e|ed|es|er|ers|ing|ation|ations|able)", "s"),
        (r"re(?=[sd]?$)", "er"),  # centre
        (r"er(?=(?:s|ed)?$)", "re"),
        (r"er(?=(?:ed|ing)$)", "r"),  # centered
        (r"(?<=[tb])r(?=(?:ed|ing)$)", "er"),
        (r"umin(?=ums?$)", "umini"),  # aluminum
        (r"(?<=al)ty(?=$)", "ity"),  # specialty
        (r"(?<=al)ties$", "ities"),
        (r"(?<=[aeou])z(?=y$|ier$|iest$|iness$|ily$)", "s"),  # cozy
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
_ANY_VARIANT = re.compile("|".join(f"(?:{pattern.pattern})" for pattern, *_ in _VARIANTS))
"""Most unknown words are of other languages, and 35 substitutions on each took a seventh of the time of the stage there."""
VARIANT_PATTERNS = tuple(
    pattern.pattern.replace("(?<=", "(?:").replace("(?=", "(?:").replace("$", r"\Z") for pattern, *_ in _VARIANTS
)
"""The same for `automaton`, which knows no look around: what has to stand beside a match is part of it here."""
PREFIXES = (
    *("anti", "auto", "bio", "counter", "cyber", "eco", "extra", "hyper", "inter", "macro", "mega", "micro", "mini"),
    *("co", "de", "dis", "mis", "non", "out", "over", "post", "pre", "re", "semi", "sub", "super", "un", "under"),
)
ENDINGS = (
    *((suffix, "") for suffix in ("able", "esque", "ful", "ish", "ism", "ist", "less", "like", "ness", "ship")),
    *((suffix, "") for suffix in ("wards", "wise")),
    *(("er", "e"), ("ers", "e"), ("ier", "y"), ("iest", "y"), ("ily", "y"), ("iness", "y")),
)
"""Endings, and what a word ends in that has one of them: influencers, rockiest."""
LEAST_PART = 3
"""Letters that each half of a compound, and what is behind a prefix, has more than."""


def is_derived(word: str, known: Container[str], common: Container[str]) -> bool:
    """Return whether an unlisted *word* is a variant or a derivation of words in *known*, or a compound of *common* ones.

    Of rare words too many misspellings can be put together: `sate` and `lite`.
    """
    if any(variant in known for variant in spelling_variants(word)):
        return True
    for prefix in PREFIXES:
        if word.startswith(prefix) and len(word) - len(prefix) > LEAST_PART and word[len(prefix) :] in known:
            return True
    for ending, base in ENDINGS:
        if word.endswith(ending) and word[: -len(ending)] + base in known:
            return True
    return any(word[:at] in common and word[at:] in common for at in range(LEAST_PART + 1, len(word) - LEAST_PART))


def spelling_variants(word: str) -> list[str]:
    """Return the British or American forms that *word* may have, right or not; the dictionary decides.

    >>> spelling_variants("armor"), spelling_variants("ischemic")
    (['armour'], ['ischaemic', 'ischoemic'])
    """
    may_have = _ANY_VARIANT.search(word) is not None
    tried = _VARIANTS if may_have else ()
    variants = [pattern.sub(replacement, word) for pattern, replacement, literal in tried if literal in word]
    for at, letter in enumerate(word):
        if letter == "e":
            variants += [f"{word[:at]}ae{word[at + 1 :]}", f"{word[:at]}oe{word[at + 1 :]}"]
    return [variant for variant in variants if variant != word]
