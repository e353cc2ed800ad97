r"""Where two tokenization engines may read one `tokenizer.json` differently: found by asking both, before any text is.

Both split text by the pattern of the tokenizer, but each with the Unicode of its own: what is a letter to one is an unassigned
code point to the other (gigatoken 0.10 beside tokenizers 0.23: 4,657 code points), and a text with one of those gets other ids.
Here every code point is asked for, with letters, digits, punctuation, white space and itself beside it, through a vocabulary that
shows where a text was split: any two characters that stay together become one token. gigatoken is asked for all 1.1 million.
tokenizers would take a minute for that; it is asked for five of each class that its pattern can tell apart (`\p{L}`, `\s`, …),
and must answer alike for all of them.

Then both encode the vocabulary itself, entry by entry and thrown together at random: merges that one of them reads in another
order show there. All of it takes 5 s of one processor: 4 once for each way to split and versions, 1 for each vocabulary. What is
found is kept where compiled kernels are.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["Differences", "Encode", "compare_engines"]

Encode = Callable[[bytes], npt.NDArray[np.uint32]]
"""UTF-8 in, ids out."""
Load = Callable[[dict[str, Any]], Encode]
"""What an engine makes of a `tokenizer.json`, with the separator for its only special token."""
Bits = npt.NDArray[np.bool_]

_VERSION = 1  # raised when something else is asked
_CODES = 0x110000
_SURROGATES = range(0xD800, 0xE000)
_FOUR_BYTES = 0x10000
_ASTRAL = 0x40000  # from here on nothing is assigned but tags and selectors, and less is asked
_C = "\ufffe"  # stands for the code point that is asked for
_SHORT = f"xx{_C}XX{_C}11{_C}{_C}..{_C} "
_LONG = (
    f"{_C}xx{_C}xx {_C} 11{_C}{_C}11 xx {_C}{_C} xx..{_C}..{_C}\n\n{_C}\n\nxx  {_C}  xx'{_C} xx'{_C}xx'l{_C} x'r{_C}"
    f" x's{_C} XX{_C}XX{_C}xx XX{_C}{_C}XX{_C}"
)
_ATOM = re.compile(r"\\[pP]\{\^?\w+\}|\\[sSwWdDhH]|\[:\^?\w+:\]")
_CHUNK = 1 << 15
_OF_A_CLASS = 5
_MIXES, _PIECES = 500, 30


class Differences(msgspec.Struct, frozen=True):
    """What two engines are known to read differently."""

    unsure: tuple[tuple[int, int], ...]
    """Code points, as ranges (first, last): a text with any of these may get other ids."""
    flaw: str | None
    """Why the engine must not be used for this tokenizer at all."""


def compare_engines(
    config: dict[str, Any],
    whole: str,
    patterns: Sequence[str],
    load: Load,
    separator: str,
    versions: str,
    folder: str | None,
) -> Differences:
    """Compare the engine that *load* makes of a `tokenizer.json` with `tokenizers`, for a tokenizer, *config* (*whole* as text).

    *patterns* are the ones that it splits by, *separator* is the text between documents as the engine is given them. What was
    found for the same *versions* is taken from *folder*, and kept there.
    """
    splits = [config["pre_tokenizer"], config.get("normalizer"), separator, unicodedata.unidata_version]
    found = _kept(["splits", versions, splits], folder, lambda: _compare_splits(config, patterns, load, separator))
    if found.flaw is not None:
        return found
    unsure = np.zeros(_CODES, np.bool_)
    for first, last in found.unsure:
        unsure[first : last + 1] = True
    checked = _kept(
        ["merges", versions, whole, *splits], folder, lambda: Differences((), _other_merges(config, load, unsure))
    )
    return Differences(found.unsure, checked.flaw)


def _kept(key: Any, folder: str | None, find: Callable[[], Differences]) -> Differences:
    """Return what *find* finds, or what it found earlier for the same *key*, if *folder* keeps it."""
    digest = hashlib.sha256(msgspec.json.encode([_VERSION, key])).hexdigest()
    path = Path(folder, f"tokenizer-{digest[:24]}.json") if folder else None
    if path is not None:
        with suppress(OSError, msgspec.DecodeError):  # a file that is not there, or was cut off, is as good as none
            return msgspec.json.decode(path.read_bytes(), type=Differences)
    found = find()
    if path is not None:
        with suppress(OSError):
            temporary = path.with_name(f"{path.name}.{os.getpid()}")
            temporary.write_bytes(msgspec.json.encode(found))
            temporary.replace(path)
    return found


def _compare_splits(config: dict[str, Any], patterns: Sequence[str], load: Load, separator: str) -> Differences:
    """Ask both engines for every code point."""
    from tokenizers import Tokenizer

    showing = _showing(config)
    shown, apart = Tokenizer.from_str(json.dumps(showing)), _Splits(load(showing), separator)
    classes = _classes(patterns)
    unsure = np.zeros(_CODES, np.bool_)
    for template, codes in ((_SHORT, range(_ASTRAL, _CODES)), (_LONG, range(_ASTRAL))):
        flaw = _compare(template, codes, classes, shown, apart, unsure)
        if flaw is not None:
            return Differences((), flaw)
    if config.get("normalizer") is not None:
        unsure |= _unsure_normal_forms()
    unsure[ord(separator)] = True
    edges = np.flatnonzero(np.diff(np.r_[False, unsure, False].astype(np.int8))).reshape(-1, 2)
    return Differences(tuple((first, past - 1) for first, past in edges.tolist()), None)


def _showing(config: dict[str, Any]) -> dict[str, Any]:
    """Return a tokenizer that splits as *config* does and shows where: characters that stay together become one token.

    Between an ASCII character and one of several bytes, and between two of those, the two bytes that meet are merged. Every byte
    meets one other at most in the texts that are asked (ASCII characters come in pairs), so no merge is in another's way.
    """
    from corpusmill.stages.tokenize import byte_characters

    shown = dict(byte_characters())
    leads, trails, ascii_ = range(0xC2, 0xF5), range(0x80, 0xC0), range(0x80)
    pairs = [*itertools.product(ascii_, leads), *itertools.product(trails, ascii_), *itertools.product(trails, leads)]
    vocabulary = {shown[byte]: byte for byte in range(256)}
    vocabulary |= {shown[a] + shown[b]: 256 + number for number, (a, b) in enumerate(pairs)}
    model = {"type": "BPE", "vocab": vocabulary, "merges": [[shown[a], shown[b]] for a, b in pairs]}
    return {"version": "1.0", "added_tokens": [], "pre_tokenizer": config["pre_tokenizer"], "model": model}


class _Splits:
    """Where an engine splits texts that differ in one character alone."""

    def __init__(self, encode: Encode, separator: str) -> None:
        self._encode = encode
        self._separator = np.frombuffer(separator.encode(), np.uint8)

    def of(self, template: str, codes: npt.NDArray[np.int64]) -> Bits:
        """Return for each code point, all of which take the same number of bytes, after which characters the text is split."""
        width = len(chr(int(codes[0])).encode())
        size = sum(width if character == _C else 1 for character in template)
        texts = np.empty((codes.size, size + self._separator.size), np.uint8)
        ends = []
        at = 0
        for character in template:
            length = width if character == _C else 1
            texts[:, at : at + length] = _utf8(codes, width) if character == _C else ord(character)
            at += length
            ends.append(at)
        texts[:, at:] = self._separator
        ids = self._encode(texts.tobytes())
        lengths = np.where(ids < 256, 1, 2)
        lengths[ids == 256 + _PAIRS] = self._separator.size
        split = np.zeros(texts.size + 1, np.bool_)
        split[np.cumsum(lengths)] = True
        return split[1:].reshape(texts.shape)[:, np.array(ends) - 1]


_PAIRS = 128 * 51 + 64 * 128 + 64 * 51


def _utf8(codes: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.uint8]:
    """Return the UTF-8 of code points that take *width* bytes each, one row for each."""
    if width == 1:
        return codes.astype(np.uint8)[:, None]
    rest = [0x80 | (codes >> 6 * place) & 0x3F for place in range(width - 2, -1, -1)]
    lead = (0xF00 >> width & 0xFF) | codes >> 6 * (width - 1)
    return np.stack([lead, *rest], axis=1).astype(np.uint8)


def _shown_splits(tokenizer: Any, template: str, code: int) -> Bits:
    """Return after which characters `tokenizers` splits."""
    text = template.replace(_C, chr(code))
    ids = np.array(tokenizer.encode(text).ids)
    split = np.zeros(len(text.encode()) + 1, np.bool_)
    split[np.cumsum(np.where(ids < 256, 1, 2))] = True
    result: Bits = split[np.cumsum([len(character.encode()) for character in text])]
    return result


def _classes(patterns: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return for every code point a number: the same for those that none of the *patterns* can tell apart."""
    from tokenizers import Regex, normalizers

    every = "".join(chr(code) for code in range(_CODES) if code not in _SURROGATES)
    numbers = np.zeros(_CODES, np.int64)
    for atom in sorted({found for pattern in patterns for found in _ATOM.findall(pattern)}):
        # Removing them takes an eighth of the time of splitting by them.
        outside = normalizers.Replace(Regex(f"(?:{atom})+"), "").normalize_str(every)
        numbers *= 2
        numbers[np.frombuffer(outside.encode("utf-32-le"), np.uint32)] += 1
    edges = sorted({ord(character) for pattern in patterns for character in pattern if ord(character) >= 0x80})
    between = [np.searchsorted(edges, np.arange(_CODES), side) for side in ("left", "right")]
    numbers = numbers * (2 * len(edges) + 1) + sum(between)
    # What letter case takes for an ASCII letter ('s and the like, where case is ignored) is a class of its own.
    alone = [*range(0x80), *(code for code in range(0x80, _ASTRAL) if _like_ascii(chr(code)))]
    numbers[alone] = -1 - np.array(alone)
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)


def _like_ascii(character: str) -> bool:
    """Return whether another case of a character has an ASCII character in it."""
    if not character.isalpha():
        return False
    return any(c < "\x80" for form in (character.lower(), character.upper(), character.casefold()) for c in form)


def _compare(
    template: str, codes: range, classes: npt.NDArray[np.int64], shown: Any, apart: _Splits, unsure: Bits
) -> str | None:
    """Mark in *unsure* the *codes* that the engines split differently; return what makes comparing them impossible."""
    here = np.array([code for code in codes if code not in _SURROGATES and code != _CODES - 1])
    expected: dict[int, Bits] = {}
    mine = classes[here]
    order = np.argsort(mine, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(mine[order]) != 0])
    for start, end in itertools.pairwise([*starts.tolist(), len(here)]):
        members = here[order[start:end]]
        chosen = members[np.unique(np.linspace(0, len(members) - 1, _OF_A_CLASS).astype(np.int64))]
        answers = [_shown_splits(shown, template, int(code)) for code in chosen]
        if any((answer != answers[0]).any() for answer in answers):
            return f"`tokenizers` tells code points apart that its pattern does not (U+{int(chosen[0]):04X} and others)"
        expected[int(classes[members[0]])] = answers[0]
    table = np.zeros((int(classes.max()) + 1, len(template)), np.bool_)
    for number, answer in expected.items():
        table[number] = answer
    bounds = [0, 0x80, 0x800, _FOUR_BYTES, _CODES]
    for low, high in itertools.pairwise(bounds):
        alike = here[(here >= low) & (here < high)]
        for at in range(0, len(alike), _CHUNK):
            part = alike[at : at + _CHUNK]
            unsure[part] |= (apart.of(template, part) != table[classes[part]]).any(axis=1)
    return None


def _unsure_normal_forms() -> Bits:
    """Return the code points that some version of Unicode may normalize (NFC) in another way than others.

    Normal forms of assigned characters never change (Unicode stability policy), so these are the ones that Python's Unicode,
    older than the engine's, does not know, and those where `tokenizers` is older still.
    """
    from tokenizers import normalizers

    unsure = np.zeros(_CODES, np.bool_)
    normal = normalizers.NFC().normalize_str
    decomposed: list[tuple[int, str]] = []
    known: list[int] = []
    for code in range(_CODES):
        if code in _SURROGATES:
            continue
        character = chr(code)
        if unicodedata.category(character) == "Cn":
            unsure[code] = True
        elif code >= 0x80 and unicodedata.category(character) != "Co":
            known.append(code)
            if (form := unicodedata.normalize("NFD", character)) != character:
                decomposed.append((code, form))
    texts = [f"{chr(code)}\u0334 a\u0345{chr(code)} {chr(code)}" for code in known]
    owners = [{code} for code in known]
    texts += [form for _, form in decomposed]
    owners += [{code, *map(ord, form)} for code, form in decomposed]
    mine = [unicodedata.normalize("NFC", text) for text in texts]
    for theirs, expected, codes in zip(normal("\n".join(texts)).split("\n"), mine, owners, strict=True):
        if theirs != expected:
            unsure[[code for code in codes if code >= 0x80]] = True
    return unsure


def _other_merges(config: dict[str, Any], load: Load, unsure: Bits) -> str | None:
    """Return the first text of the vocabulary's own pieces for which the engines give other ids."""
    from tokenizers import Tokenizer

    plain = {**config, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    encode, reference = load(plain), Tokenizer.from_str(json.dumps(plain))
    for piece in _pieces(config, unsure):
        if encode(piece.encode()).tolist() != reference.encode(piece, add_special_tokens=False).ids:
            return f"it gives other ids than `tokenizers` for {piece[:60]!a}"
    return None


def _pieces(config: dict[str, Any], unsure: Bits) -> Iterator[str]:
    """Yield the entries of a vocabulary as texts, and many of them one after the other, without the code points to avoid."""
    from corpusmill.stages.tokenize import byte_characters

    bytes_of = {character: byte for byte, character in byte_characters()}
    entries = []
    for entry in config["model"]["vocab"]:
        with suppress(KeyError, UnicodeDecodeError):  # special tokens are stored as they are read
            text = bytes(bytes_of[character] for character in entry).decode()
            if not any(unsure[ord(character)] for character in text):
                entries.append(text)
    yield from ("\n".join(entries[at : at + 64]) for at in range(0, len(entries), 64))
    yield from ("".join(entries[at : at + 64]) for at in range(0, len(entries), 64))
    dice = random.Random(_VERSION)  # noqa: S311  the same texts every time
    for _ in range(min(_MIXES, len(entries))):
        yield "".join(dice.choice(entries) for _ in range(_PIECES))
