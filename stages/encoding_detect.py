"""The encoding of bytes whose label is missing or not to be believed.

Two detectors are asked, because each is weak where the other is strong. On pages of one sentence chardetng, Firefox's, found
all Thai, Arabic, Hebrew, Cyrillic, Korean and Chinese texts, where faust-cchardet missed 3 to 20 %; cchardet found 99 to 100 %
of the Central European ones, where chardetng missed 10 %. Neither tells English with a few curly quotes from Central European
text (20 and 60 % of such real pages wrong): for texts in Latin letters the language decides, which ASCII letters betray.
Rejected: one detector; chardet 7 (39 % of those pages wrong, 40 % of the speed); charset-normalizer (70 % of short Central
European texts wrong); resiliparse (cchardet's weaknesses). Figures: benchmarks/results/encodings.md.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import cchardet
import chardetng_py

from corpusmill.stages.encoding_codecs import MULTI_BYTE, decode_as, first_error, not_ascii

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["detect", "latin_text", "oddness", "utf8_runs", "words_beyond_ascii"]

_DETECTOR_BYTES: Final = 200_000
_TEXT_BYTES: Final = 100_000
_LANGUAGE_CHARACTERS: Final = 4_000
_WORDS: Final = 20_000
_SAMPLE_RUNS: Final = 400
_CENTRAL: Final = ("windows-1250", "iso-8859-2")
_MARKED_SHARE: Final = 0.02
_DAMAGED_BYTES: Final = 100
"""So many bytes beyond ASCII a page must have for each byte that may be broken, and at most so many may be broken:"""
_ERRORS: Final = 10
_DAMAGEABLE: Final = ("gb18030", "euc-jp", "shift_jis", "euc-kr", "big5")
_GREEK: Final = ("windows-1253", "iso-8859-7")

_HOMES: Final = {
    language: home
    for home, languages in {
        "windows-1250": "bs cs hr hu pl ro sk sl sq",
        "windows-1254": "az tr",
        "windows-1257": "et lt lv",
        "windows-1258": "vi",
    }.items()
    for language in languages.split()
}
"""The legacy encoding of languages in Latin letters; those that are not here use windows-1252."""

_DETECTED: Final = {
    "cp874": "windows-874",
    "gb-18030": "gb18030",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "hz-gb-2312": "gb18030",
    "iso-8859-1": "windows-1252",
    "iso-8859-9": "windows-1254",
    "iso-8859-11": "windows-874",
    "iso-8859-13": "windows-1257",
    "iso-8859-15": "windows-1252",
    "koi8-r": "koi8-u",
    "mac-cyrillic": "x-mac-cyrillic",
    "tis-620": "windows-874",
    "uhc": "euc-kr",
}
"""Names of the detectors that we read as another encoding: supersets in place of subsets, and for iso-8859-13, which pages
do not use, windows-1257, which has the same letters. koi8-u is koi8-r with letters in place of box drawings."""
_LATIN: Final = frozenset(
    {"windows-1250", "windows-1252", "windows-1254", "windows-1257", "windows-1258", "iso-8859-2", "iso-8859-4"}
)
_OTHERS: Final = frozenset(
    {"windows-1251", "windows-1253", "windows-1255", "windows-1256", "windows-874"}
    | {"koi8-u", "ibm866", "x-mac-cyrillic", "iso-8859-5", "iso-8859-6", "iso-8859-7", "iso-8859-8"}
)

_RUN: Final = re.compile(rb"[\x80-\xff]+")
_UTF8_RUN: Final = re.compile(
    rb"(?<![\x80-\xff])(?:[\xc2-\xdf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xe0[\xa0-\xbf][\x80-\xbf]"
    rb"|\xed[\x80-\x9f][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{3})+(?![\x80-\xff])"
)
_MARKED_LETTER: Final = re.compile(rb"[\xc0-\xff]")
_RUNS_ONLY: Final = bytes(byte if byte > 127 else 32 for byte in range(256))
_RUNS_ONLY_WITHOUT_SPACES: Final = _RUNS_ONLY.replace(b"\xa0", b" ")
_WORDS_ONLY: Final = bytes(byte if byte > 127 or chr(byte).isalpha() else 32 for byte in range(256))
_MARKUP: Final = re.compile(rb"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[a-zA-Z/!][^>]*>", re.IGNORECASE | re.DOTALL)
_CONTROL: Final = re.compile("[\x80-\x9f¤]")
_SYMBOL_IN_WORD: Final = re.compile("[¡-¦§©¬®¯±-³µ¶¸¹¼-¿˘˛˙˝](?<=[^\\W\\d_].)(?=[^\\W\\d_])")
_CAPITAL_IN_WORD: Final = re.compile("[À-Þ](?<=[a-zß-öø-ÿ].)|[Ά-Ϋ](?<=[ά-ώ].)|[А-ЯЁ](?<=[а-яё].)")
_SYMBOL_BEFORE_GREEK: Final = re.compile("[¶’](?<![^\\W\\d_].)(?=[α-ω])")


def detect(data: bytes) -> str | None:
    """Return the name of the likeliest encoding of *data*, or None. UTF-8 and UTF-16 are not thought of."""
    if data.isascii():
        return None
    part = _part(data)
    first, second = _ask_chardetng(part), _ask_cchardet(part)
    if first in MULTI_BYTE and first_error(part, first) is None:
        return first
    damaged = _damaged(part) if first != second or first in MULTI_BYTE else None
    if damaged:
        return damaged
    if first in MULTI_BYTE:
        return first
    if latin_text(part):
        return _latin(data, part, first, second)
    guess = first if first in _OTHERS or second not in _OTHERS else second
    return _less_odd(part, _GREEK, guess) if guess in _GREEK else guess


def latin_text(data: bytes) -> bool:
    """Return whether *data* can be text in Latin letters in a single-byte encoding: bytes beyond ASCII stand alone or in pairs.

    Of Cyrillic, Greek, Thai or Chinese text most bytes stand in longer runs; no-break spaces are left out of the count.
    """
    runs = data.translate(_RUNS_ONLY_WITHOUT_SPACES).split()
    return sum(len(run) for run in runs if len(run) > 2) <= 0.3 * sum(map(len, runs))


def words_beyond_ascii(data: bytes, tags: int | None = None) -> bytes:
    """Return the words of *data* that have bytes beyond ASCII, with single spaces: all that `oddness` looks at, and short.

    Only those of the first *tags* tags and texts with such bytes, if that is given.
    """
    words = b" ".join(_pieces(data)[:tags]).translate(_WORDS_ONLY).split()
    return b" " + b" ".join([word for word in words if not word.isascii()][:_WORDS]) + b" "


def oddness(text: str) -> int:
    """Return how many characters of *text* speak against its encoding.

    They are control characters, the currency sign where other encodings have the euro, symbols within words (`¿ó³ta`) or at
    the head of Greek ones (`¶νοιξη`), and capitals after small letters (`пРИВЕТ`).
    """
    signs = (_CONTROL, _SYMBOL_IN_WORD, _CAPITAL_IN_WORD, _SYMBOL_BEFORE_GREEK)
    return sum(len(sign.findall(text)) for sign in signs)


def utf8_runs(data: bytes) -> float:
    """Return the evidence for UTF-8 against that of its broken places: 0 for legacy text, 1 where they are in balance.

    Runs of bytes beyond ASCII are counted that are UTF-8 from end to end: legacy text hits that by chance with short runs
    only, so runs of three bytes and more count threefold. Of 2,900 legacy pages and sentences none came above 0.4.
    """
    runs = data.translate(_RUNS_ONLY).split()
    if len(runs) > 2 * _SAMPLE_RUNS:
        runs = runs[:_SAMPLE_RUNS] + runs[-_SAMPLE_RUNS:]
    good = _UTF8_RUN.findall(b" ".join(runs))
    short = sum(len(run) == 2 for run in good)
    return (short + 3 * (len(good) - short)) / max(1, len(runs) - len(good))


def _part(data: bytes) -> bytes:
    """Return what detectors are given of *data*: tags and texts in which there are bytes beyond ASCII.

    In no encoding is `<` part of another character.
    """
    # A tag behind the last text says that its last character is whole, which rules out encodings for chardetng.
    whole = b"<" if data[-1:].isascii() else b""
    part = b"<".join(_pieces(data)) + whole
    if len(part) <= _DETECTOR_BYTES:
        return part
    found = _RUN.search(part)
    start = max(0, found.start() - 1024) if found else 0
    return part[start : start + _DETECTOR_BYTES]


def _pieces(data: bytes) -> list[bytes]:
    """Return the tags of *data*, each with the text behind it, in which there are bytes beyond ASCII."""
    return [piece for piece in data.split(b"<") if not piece.isascii()]


def _ask_chardetng(part: bytes) -> str | None:
    detector = chardetng_py.EncodingDetector()
    # Not told that the text ends here: a character that is cut in two would rule its encoding out.
    detector.feed(part, last=False)
    return _name(detector.guess(tld=None, allow_utf8=False))


def _ask_cchardet(part: bytes) -> str | None:
    return _name(cchardet.detect(part).get("encoding"))


def _name(guess: str | None) -> str | None:
    """Return our name for a detector's *guess*, None for one that pages do not use."""
    lower = (guess or "").lower()
    name = _DETECTED.get(lower, lower)
    return name if name in _LATIN or name in _OTHERS or name in MULTI_BYTE else None


def _damaged(part: bytes) -> str | None:
    """Return the multi-byte encoding that *part* is in but for some broken bytes, one of which misleads both detectors.

    It is the one that chardetng names for the longest stretch without an error in it. None for less text than tells errors
    from another encoding.
    """
    most = min(_ERRORS, len(not_ascii(part)) // _DAMAGED_BYTES)
    for name in _DAMAGEABLE if most else ():
        stretch = _undamaged(part, name, most)
        if 3 * len(stretch) > len(part) and _ask_chardetng(stretch) == name:
            return name
    return None


def _undamaged(part: bytes, name: str, most: int) -> bytes:
    """Return the longest stretch of *part* without an error in *name*; empty for more than *most* errors."""
    stretches: list[bytes] = []
    rest = part
    for _ in range(most + 1):
        at = first_error(rest, name)
        if at is None:
            return max([*stretches, rest], key=len)
        stretches.append(rest[:at])
        rest = rest[at + 1 :]
    return b""


def _latin(data: bytes, part: bytes, first: str | None, second: str | None) -> str:
    """Return the encoding of text in Latin letters, by its language.

    Detectors that agree are believed about texts with many marked letters: short ones are taken for other languages, and
    English, whose quotes mislead the detectors, has none.
    """
    text = _visible(data)
    home = _HOMES.get(_classifier()(text.decode("latin-1")), "windows-1252")
    central = _CENTRAL if first in _CENTRAL and second in _CENTRAL else ()
    if (
        home == "windows-1252"
        and (first == second or central)
        and len(_MARKED_LETTER.findall(text)) > _MARKED_SHARE * len(text)
    ):
        home = first if first in _LATIN else home
    return _less_odd(part, _CENTRAL, second) if home in _CENTRAL else home or "windows-1252"


def _less_odd(part: bytes, names: tuple[str, str], preferred: str | None) -> str:
    """Return the name of *names*, Windows' and ISO's, under which *part* looks less odd.

    *preferred* where they are equal, or ISO's if the text is the very same: nothing speaks for more characters than that.
    """
    words = words_beyond_ascii(part)
    windows, iso = (decode_as(words, name) for name in names)
    if windows is None or iso is None:
        return names[0] if iso is None else names[1]
    odds = oddness(windows), oddness(iso)
    if windows == iso or odds[0] > odds[1]:
        return names[1]
    return names[0] if odds[0] < odds[1] or preferred not in names else preferred


def _visible(data: bytes) -> bytes:
    """Return some of the visible text of *data*, around the first bytes beyond ASCII."""
    found = _RUN.search(data)
    start = max(0, found.start() - _TEXT_BYTES // 2) if found else 0
    text = _MARKUP.sub(b" ", data[start : start + _TEXT_BYTES])
    found = _RUN.search(text)
    start = max(0, found.start() - _LANGUAGE_CHARACTERS // 2) if found else 0
    return text[start : start + _LANGUAGE_CHARACTERS]


@cache
def _classifier() -> Callable[[str], str]:
    import py3langid

    classify: Any = py3langid.classify
    return lambda text: str(classify(text)[0])
