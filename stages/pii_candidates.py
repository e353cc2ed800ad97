"""Where identifiers may start in a text: the tables that the kernel reads, and what it says about strings and batches.

A whole page is Python's business only where it has a candidate, and then the patterns are tried at the candidates alone. Of
6,433 pages in many languages 4.5 % have one, of 1,657 long English ones 7.8 %.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from corpusmill.stages.secret_forms import SECRET_FORMS
from corpusmill.stages.text_buffers import TextBuffers

__all__ = ["CALL", "PHONE_WORDS", "Candidates", "find_candidates", "have_candidates"]

PHONE_WORDS = (
    *(
        "tel",
        "tél",
        "tlf",
        "telefon",
        "telefone",
        "telefono",
        "teléfono",
        "téléphone",
        "telephone",
        "phone",
        "fon",
        "fax",
    ),
    *("mobile", "mobil", "cell", "móvil", "cellulare", "handy", "whatsapp", "hotline", "desk"),
    *("телефон", "тел", "факс", "هاتف"),
)
"""Words in front of a number that make a phone number of it; those of languages without blanks are in the pattern."""
CALL = r"(?:call|dial|phone|ring|reach|text)[ ](?:(?:me|us|him|her|them)[ ])?(?:on|at)"
"""Pattern of what does so in an English sentence."""
_CALL_ENDINGS = (" on", " at")
_NUMBER_WORDS = ("number", "no", "nr")
_RAREST_FIRST = "_-zJXQZKVYUGWHNFBIMRPDLECOSTA"  # the telling character of a prefix: rare in prose
_LONGEST_PREFIX = 24
_ROOM = 3  # candidates for each byte, at most


class Candidates(NamedTuple):
    """Positions by kind, in characters, each list in order: of the `@`, of the first digit of `spoken_phones`, or the start."""

    emails: list[int]
    ipv4: list[int]
    ipv6: list[int]
    ibans: list[int]
    cards: list[int]
    phones: list[int]
    spoken_phones: list[int]
    secrets: list[int]


class _Tables(NamedTuple):
    """What the kernel reads; see there."""

    actions: npt.NDArray[np.uint8]
    foreign: npt.NDArray[np.bool_]
    endings: npt.NDArray[np.uint8]
    prefixes: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    first_row: npt.NDArray[np.int64]


def find_candidates(text: str, *, private: bool = False) -> Candidates:
    """Return where identifiers may start in *text*; *private* also where addresses may that are not global.

    >>> find_candidates("Tel. 2125550147, jane@example.org").spoken_phones
    [5]
    """
    from corpusmill.stages.kernels.identifiers import candidates

    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    out = np.empty(_ROOM * data.size + 1, np.int64)
    count = candidates(data, 0, data.size, *_tables(), private, out)
    found = Candidates([], [], [], [], [], [], [], [])
    for candidate in out[:count].tolist():
        found[candidate & 7].append(candidate >> 3)
    return found


def have_candidates(texts: TextBuffers, *, private: bool) -> npt.NDArray[np.bool_]:
    """Return for each of *texts* whether an identifier may start in it."""
    from corpusmill.stages.kernels.identifiers import any_candidate

    out = np.empty(texts.starts.size, np.bool_)
    any_candidate(*texts, *_tables(), private, np.empty(1, np.int64), out)
    return out


@cache
def _tables() -> _Tables:
    from corpusmill.stages.kernels.identifiers import AT, COLON, DIGIT, FOREIGN, TRIGGER

    actions = np.zeros(256, np.uint8)
    foreign = _foreign_digits()
    for code in np.flatnonzero(foreign).tolist():
        actions[chr(code).encode()[0]] = FOREIGN
    prefixes, rows, first_row = _prefixes()
    actions[np.flatnonzero(np.diff(first_row))] = TRIGGER
    actions[list(b"0123456789")] = DIGIT
    actions[ord("@")], actions[ord(":")] = AT, COLON
    tables = _Tables(actions, foreign, _endings(), prefixes, rows, first_row)
    for table in tables:
        table.flags.writeable = False
    return tables


def _foreign_digits() -> npt.NDArray[np.bool_]:
    r"""Return which code points above ASCII `\d` matches in this Python; 0.2 s, and no Python brings the same ones."""
    every = "".join(map(chr, [*range(0x80, 0xD800), *range(0xE000, 0x20000)]))
    found = [ord(digit) for digit in re.findall(r"\d", every)]
    foreign = np.zeros(max(found) + 1, np.bool_)
    foreign[found] = True
    return foreign


def _endings() -> npt.NDArray[np.uint8]:
    """Return which three letters may stand before a phone number, at `first << 10 | second << 5 | third`, `a` being 1."""
    endings = np.zeros(1 << 15, np.uint8)
    for word in (*PHONE_WORDS, *_NUMBER_WORDS, *_CALL_ENDINGS):
        last = [ord(letter) & 31 for letter in word[-3:]]
        if word[-3:].isascii():  # else the kernel lets them all pass
            endings[
                [((last[-3] if len(last) > 2 else any_) << 10) + (last[-2] << 5) + last[-1] for any_ in range(32)]
            ] = 1
    return endings


def _prefixes() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the prefixes of secrets by their telling character, `(length, its place, least body)`, and the first row of each."""
    listed: list[tuple[int, bytes, int, int]] = []
    for prefix, least in [(p, form.least) for form in SECRET_FORMS for p in form.prefixes] + [("-----BEGIN ", 0)]:
        letters = [
            (_RAREST_FIRST.index(letter), place) for place, letter in enumerate(prefix) if letter in _RAREST_FIRST
        ]
        place = min(letters)[1]
        listed.append((ord(prefix[place]), prefix.encode(), place, least))
    listed.sort()
    prefixes = np.zeros((len(listed), _LONGEST_PREFIX), np.uint8)
    rows = np.zeros((len(listed), 3), np.int64)
    for row, (_, prefix_bytes, place, least) in enumerate(listed):
        prefixes[row, : len(prefix_bytes)] = list(prefix_bytes)
        rows[row] = len(prefix_bytes), place, least
    first_row = np.searchsorted(np.array([telling for telling, *_ in listed]), np.arange(257)).astype(np.int64)
    return prefixes, rows, first_row
