"""The kernels that tell languages against plain Python and py3langid itself: what of a text is shown, and what is answered."""

from __future__ import annotations

import functools
import random
import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpusmill.schemas import StageError
from corpusmill.stages.kernels.language_packing import place_rows
from corpusmill.stages.kernels.language_sample import BY_PYTHON, NO_LETTERS
from corpusmill.stages.language_characters import characters
from corpusmill.stages.language_engines import best_two, engine_for, names_of
from corpusmill.stages.language_model import _repacked, language_model
from corpusmill.stages.language_samples import prepared, sample, samples
from corpusmill.stages.text_buffers import text_buffers

Answer = list[tuple[str, float]]

# What the rules turn on: cases of letters, marks that compose or change places, white space, pieces of addresses.
PIECES = (
    *"aZßİΣσςé@.:/wht\n \t\u00a0\u2003\u3000Å\u212b",
    *"éȩ\u0301\u0300\u0327\u0338\u093cडन\u0bca\u0bd7\u09c7\u09be\u0958\u1100\u1161\u11a8한ｆǅⓐ𝐀中ب\u064e\u0651",
    *("http://", "https://", "www.", "@", " ", "http", "ww.", "a" * 63, "a" * 64, "b" * 255, "c@d", "://", "//", "x"),
    *("The miller says that ", "ACHTUNG NEUE ZEITEN ", "Мельница стоит ", "e\u0301", "বাংলা ", "हिंदी में ", "12 34 "),
)


@functools.cache
def identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def fuzz(count: int, seed: int, longest: int = 40) -> list[str]:
    draw = random.Random(seed)
    texts = []
    for _ in range(count):
        few = draw.sample(PIECES, draw.randint(1, 12))
        texts.append("".join(draw.choices(few, k=draw.randint(0, longest))))
        if not draw.randrange(4):
            texts[-1] = "".join(map(chr, draw.choices((*range(0x20, 0x250), *range(0x300, 0x3100)), k=longest)))
    return texts


def shown(texts: list[str], maximum: int) -> list[str | None]:
    """Return what the kernel makes of each text; None where it leaves that to Python, "" where there are no letters."""
    found: list[str | None] = []
    for _, data, bounds, states in samples(text_buffers(pa.array(texts, pa.large_string())), maximum):
        for row, state in enumerate(states):
            written = data[bounds[row] : bounds[row + 1]].tobytes().decode()
            found.append(None if state == BY_PYTHON else written)
            assert bool(written) == (state not in (NO_LETTERS, BY_PYTHON))
    return found


def answers(texts: list[str], maximum: int = 900) -> list[Answer]:
    names = names_of("py3langid")
    found = engine_for("py3langid", maximum)(text_buffers(pa.array(texts, pa.large_string())))
    pairs = zip(found.labels.tolist(), found.scores.tolist(), strict=True)
    return [
        [(names[label], score) for label, score in zip(labels, scores, strict=True) if label >= 0]
        for labels, scores in pairs
    ]


def from_py3langid(text: str, maximum: int = 900) -> Answer:
    return best_two(lambda text: dict(identifier().rank(text)), prepared(sample(text, maximum)))


def differs(ours: Answer, theirs: Answer) -> bool:
    """Say whether answers differ by more than the fourth place, which py3langid's single precision leaves to chance."""
    scores = dict(theirs)
    if any(abs(scores.get(name, 0.0) - score) > 1.01e-4 for name, score in ours):
        return len(ours) < 2 or abs(ours[0][1] - ours[1][1]) > 2e-4
    return ours[0][0] != theirs[0][0] and abs(theirs[0][1] - theirs[-1][1]) > 2e-4


@pytest.mark.parametrize("maximum", [50, 64, 900])
def test_samples_are_those_of_plain_python(maximum: int) -> None:
    texts = fuzz(3_000, seed=maximum)
    for text, written in zip(texts, shown(texts, maximum), strict=True):
        if written is not None:
            plain = prepared(sample(text, maximum))
            assert written == (plain if any(map(str.isalpha, plain)) else ""), text


@pytest.mark.parametrize("size", [257, 300, 511, 600, 4096])
def test_rows_that_do_not_fit_are_refused_and_others_share_no_place(size: int) -> None:
    # Rows with the same entries: none fits where another one is.
    entries = np.tile(np.array([0, 7, 100, 255]), 300)
    bounds = np.arange(0, len(entries) + 1, 4)
    used, taken = np.zeros((2, size), np.bool_)
    bases = np.zeros(300, np.int64)
    last = place_rows(np.arange(300), bounds, entries, used, taken, bases)
    assert (last == -1) == (size < 4096)
    if last >= 0:
        places = (np.repeat(bases, 4) + entries).tolist()
        assert len(set(places)) == len(places)
        assert last == bases.max() < size - 256


def test_a_model_that_does_not_fit_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpusmill.stages.language_model.place_rows", lambda *_: -1)
    with pytest.raises(StageError, match="do not fit in"):
        _repacked()


def test_what_is_kept_on_disk_is_what_is_made() -> None:
    kept, made = language_model()._asdict(), _repacked()
    assert kept.pop("labels") == tuple(made.pop("labels").tolist())
    assert kept.pop("memory") == made.pop("memory")
    kept.pop("unit")
    assert kept.keys() == made.keys()
    for name, table in made.items():
        assert np.array_equal(kept[name], table)
        assert kept[name].dtype == table.dtype


def test_few_texts_are_left_to_python() -> None:
    plain = ["Plain text.", "ВОДА", "CRÈME", "Tiếng Việt", "বাংলা ভাষা", "हिंदी", "ภาษาไทย", "한국어", "中文", "தமிழ் மொழி"]
    assert None not in shown(plain, 900)
    texts = [
        "e\u0301",
        "a\u0301\u0327",
        "\u0958",
        "\u1100\u1161\u11a8 \uac00\u11a8",
        "a\u2126",
        "\u0344a",
        "a" + "\u0301" * 30,
    ]
    assert shown(texts, 900) == [unicodedata.normalize("NFC", text) for text in texts]
    left = ["ΣΟΦΟΣ", "İSTANBUL", "a" + "\u0301\u0316" * 16, "a" + "\u0f73" * 31, "a" + "\u0301\u0f81" * 16]
    assert shown(left, 900) == [None] * len(left)
    vowels = ["a" + "\u0f73" * 30 + "b\u0958", "a" + "\u0f81\u0958" * 40]
    assert shown(vowels, 900) == [unicodedata.normalize("NFC", text) for text in vowels]


def test_normal_forms_are_those_of_plain_python() -> None:
    """Text of nothing but characters that normalization has to do with, from all of Unicode."""
    draw, known = random.Random(6), characters()
    taking_part = sorted(
        {
            *known.wholes.tolist(),
            *known.parts.tolist(),
            *range(0x10FB, 0x1205),
            *(0xAC00 + 7 * step for step in range(300)),
        }
    )
    marks = [code for code in range(0x20000) if unicodedata.combining(chr(code))]
    texts = []
    for _ in range(8_000):
        few = draw.choices(taking_part, k=6) + draw.choices(marks, k=draw.randint(0, 6)) + [0x61, 0x20]
        texts.append("a" + "".join(map(chr, draw.choices(few, k=draw.randint(1, 25)))))
    # All that is composed or taken apart, as it is, apart, and with a mark between.
    for code in known.wholes.tolist():
        apart = unicodedata.normalize("NFD", chr(code))
        texts += [
            f"a{chr(code)}",
            f"a{apart}",
            f"a{apart[0]}\u0334{apart[1:]}",
            f"a{apart}\u0301",
            f"a{apart[0]}b{apart[1:]}",
        ]
    texts += [f"a{chr(first)}{chr(second)}" for first in range(0x10FF, 0x1114) for second in range(0x1160, 0x1177)]
    texts += [
        f"a{chr(first)}{chr(second)}" for first in (0xABFF, 0xAC00, 0xAC01, 0xD788) for second in range(0x11A6, 0x11C4)
    ]
    texts = [
        text for text in texts if prepared(text) == unicodedata.normalize("NFC", text)
    ]  # without those in capitals
    assert len(texts) > 15_000
    for text, found in zip(texts, shown(texts, 900), strict=True):
        assert found == unicodedata.normalize("NFC", text), ascii(text)


def test_answers_are_those_of_py3langid() -> None:
    texts = fuzz(1_500, seed=1) + [text * 40 for text in fuzz(100, seed=2)]
    for text, answer in zip(texts, answers(texts), strict=True):
        assert not differs(answer, from_py3langid(text)), text


def test_scores_are_those_of_double_precision() -> None:
    """Without the chance of single precision they are the same to the last place."""
    known, table = identifier(), None
    from py3langid.langid import visit_counts

    names = known.nb_classes
    for text, answer in zip(texts := fuzz(300, seed=3), answers(texts), strict=True):
        data = prepared(sample(text, 900))
        visits = visit_counts(known.tk_nextmove, known._rowbase, known.tk_output, data.encode())
        if answer[0][0] in {"zxx", "und"} and (answer[0][1] in {0.0, 1.0} or not visits):
            continue
        assert visits is not None
        table = known.nb_ptc[list(visits)].astype(np.float64)
        scores = (np.log1p(list(visits.values())) @ table + known.nb_pc) / np.sqrt(len(data.encode()))
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        merged: dict[str, float] = {}
        for name, chance in zip(names, chances.tolist(), strict=True):
            merged[name] = merged.get(name, 0.0) + chance
        assert answer == best_two(lambda _, merged=merged: merged, data), text  # type: ignore[misc]


@pytest.mark.parametrize("maximum", [50, 900])
def test_bytes_that_are_not_utf8_are_judged_within_bounds(maximum: int) -> None:
    draw = random.Random(5)
    raw = [
        bytes(draw.choices((0x61, 0x80, 0xBF, 0xC3, 0xE2, 0xF0, 0xFF), k=draw.choice((1, 60, 3_000))))
        for _ in range(300)
    ]
    raw += [b"\x80" * 5_000, b"\xff" * 5_000, (b"abc" + b"\x80" * 40) * 90, b"\xf0\x9f" * 900, b"A\xc3" * 800]
    cells = pa.array(raw, pa.large_binary())
    texts = text_buffers(pa.Array.from_buffers(pa.large_string(), len(raw), cells.buffers()))
    for _, data, bounds, _ in samples(texts, maximum):
        assert np.all(np.diff(bounds) <= 4 * (maximum + 4))
        data[: bounds[-1]].tobytes().decode()
    assert engine_for("py3langid", maximum)(texts).labels.min() >= -1


def test_long_texts_are_walked_in_parts_without_a_difference() -> None:
    model = language_model()
    assert 1 < model.memory < 10
    texts = [text * 9 for text in fuzz(200, seed=4)]
    data = [prepared(text).encode() for text in texts]
    bounds = np.cumsum([0, *map(len, data)], dtype=np.int64)
    buffer = np.frombuffer(b"".join(data), np.uint8).copy()
    groups = np.arange(len(model.labels))
    whole = model._replace(memory=1 << 40).rank(buffer, bounds, groups)
    parts = model.rank(buffer, bounds, groups)
    assert all(np.array_equal(one, other) for one, other in zip(whole, parts, strict=True))


def test_every_state_leads_where_py3langid_has_it() -> None:
    """The repacked automaton against the plain one, by features after random bytes that the model knows."""
    model, known = language_model(), identifier()
    draw = np.random.default_rng(0)
    state, packed, before = 0, None, 0
    pairs: dict[int, set[int]] = {}
    for byte in draw.choice(np.frombuffer("aeinrtsаеинтあいи中 ال".encode(), np.uint8), 20_000).tolist():
        state = known.tk_nextmove[known._rowbase[state] + byte]
        if packed is None:
            packed = int(model.first[byte])
        else:
            base = packed >> 17
            own = int(model.exceptions[base + byte])
            packed = own & (1 << 40) - 1 if own >> 40 == base else int(~model.usual[before << 8 | byte])
        before = byte
        pairs.setdefault(known.tk_output[state], set()).add(packed & 0x1FFFF)
    assert all(len(found) == 1 for found in pairs.values())
    assert pairs[-1] == {0}
    assert len(set().union(*pairs.values())) == len(pairs) > 500
