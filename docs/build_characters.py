"""Make the character table of signatures: stages/data/characters_v1.txt. Run once, for version 1; the file is frozen.

    python3.13 -m venv .unicode && .unicode/bin/pip install unicodedata2==18.0.0 regex==2026.11.15
    .unicode/bin/python docs/build_characters.py > stages/data/characters_v1.txt

unicodedata2 has the categories, regex the scripts and White_Space, both of Unicode 18.0. Neither has lower case: it comes from
the interpreter (Python 3.13: Unicode 15.1), and for capital letters that are younger than it from regex, as the one small letter
that equals the capital where case is ignored. That rule gives the interpreter's answer for every capital it knows but İ, which
this script checks. A later Unicode does not change the file: signatures made with another table are another version.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator
from typing import TypeVar

import regex
import unicodedata2

Value = TypeVar("Value", str, int)

# No spaces between words: logographic scripts, the scripts whose line breaks need a dictionary (UAX #14, class SA), and
# Javanese and Balinese. In Tibetan the tsheg separates syllables, in Hangul and Lisu there are spaces: no need.
# fmt: off
UNSPACED = (
    "Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Nushu", "Tangut", "Khitan_Small_Script", "Jurchen", "Seal",
    "Thai", "Lao", "Khmer", "Myanmar", "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Tai_Yo", "Ahom",
    "Javanese", "Balinese",
)
# fmt: on

HEADER = f"""\
# Characters of signature specification v1, frozen. Unicode {unicodedata2.unidata_version}. Made by docs/build_characters.py;
# what it means is in docs/signature.md. Numbers are hexadecimal and ranges include their end.
# range class: L letters, digits and _; M marks; l and m the same in scripts without spaces; S white space; all else: other
# range > code: lower case of the first, the others follow in step; range/2 is every second code point
"""


def category(code: int) -> str:
    """Return the general category."""
    return str(unicodedata2.category(chr(code)))


def classes() -> dict[int, str]:
    """Return the class of every code point that is not "other"."""
    every = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    text = "".join(map(chr, every))
    white = {ord(found) for found in regex.findall(r"\p{White_Space}", text)} | {0x1C, 0x1D, 0x1E, 0x1F}
    script = regex.compile("[" + "".join(rf"\p{{Script={name}}}" for name in UNSPACED) + "]")
    shared = regex.compile(r"[\p{Script=Common}\p{Script=Inherited}]")
    # The sound marks of kana and the long vowel mark belong to no script by themselves, and to kana by extension.
    extended = [regex.compile(rf"\p{{Script_Extensions={name}}}") for name in UNSPACED]
    others = regex.compile(
        "["
        + "".join(rf"\p{{Script_Extensions={name}}}" for name in ("Latin", "Greek", "Cyrillic", "Arabic", "Devanagari"))
        + "]"
    )
    found = {}
    for code in every:
        kind = category(code)[0]
        if kind in "LMN" or code == ord("_"):
            letter = chr(code)
            unspaced = script.match(letter) or (
                shared.match(letter) and any(one.match(letter) for one in extended) and not others.match(letter)
            )
            name = "M" if kind == "M" else "L"
            found[code] = name.lower() if unspaced else name
        elif code in white:
            found[code] = "S"
    return found


def lower() -> dict[int, int]:
    """Return the simple lower case of every code point that has one; İ gives i."""
    letters = "".join(chr(code) for code in range(sys.maxunicode + 1) if category(code)[0] in "LMNS")
    found = {}
    for code in range(sys.maxunicode + 1):
        small = chr(code).lower()
        if category(code) in {"Lu", "Lt"} and code != 0x130:
            equal = [one for one in regex.findall(f"(?i:{chr(code)})", letters) if category(ord(one)) == "Ll"]
            if unicodedata.category(chr(code)) == "Cn":
                (small,) = equal
            assert small == chr(code) or small in equal, hex(code)
        if small != chr(code):
            found[code] = ord(small[0])
    return found


def runs(codes: Iterable[tuple[int, Value]], step: int) -> Iterator[tuple[int, int, Value]]:
    """Yield first code point, last code point and value for runs of one value with a distance of *step*."""
    first = last = value = None
    for code, found in codes:
        if last is not None and found == value and code == last + step:
            last = code
            continue
        if last is not None and first is not None and value is not None:
            yield first, last, value
        first, last, value = code, code, found
    if last is not None and first is not None and value is not None:
        yield first, last, value


def span(first: int, last: int, step: int = 1) -> str:
    """Return how a range is written."""
    return f"{first:04X}" + (f"-{last:04X}" if last > first else "") + (f"/{step}" if step > 1 and last > first else "")


def main() -> None:
    """Print the file."""
    kinds, smaller = classes(), lower()
    for code, small in smaller.items():
        # Whether a text is cut before or after it is put in lower case must not matter.
        assert kinds.get(code) == kinds.get(small), hex(code)
        assert small not in smaller, hex(code)
    sys.stdout.write(HEADER)
    for first, last, kind in runs(sorted(kinds.items()), 1):
        sys.stdout.write(f"{span(first, last)} {kind}\n")
    distances = [(code, small - code) for code, small in sorted(smaller.items())]
    # A capital beside its small letter, as in most of Latin Extended and Cyrillic, is every second code point.
    pairs = [(code, distance) for code, distance in distances if distance == 1]
    rest = [(code, distance) for code, distance in distances if distance != 1]
    lines = [(first, last, 2, distance) for first, last, distance in runs(pairs, 2)]
    lines += [(first, last, 1, distance) for first, last, distance in runs(rest, 1)]
    for first, last, step, distance in sorted(lines):
        sys.stdout.write(f"{span(first, last, step)} > {first + distance:04X}\n")


if __name__ == "__main__":
    main()
