"""Damaged texts in great numbers for `normalize_text`: its fast paths must give what plain steps on strings and ftfy itself give.

    python benchmarks/normalize_fuzz.py [TEXTS.parquet...] [--cases 1000000] [--seed 1] [--ftfy]

Every case is a text glued together from words of many scripts and from traps: mojibake of each encoding that ftfy knows, one or
two layers deep, with bytes lost; entities, controls, blanks, joiners, marks. Half of the cases have one trap at most, because
what a guard wrongly passes over is nearly clean. Where files are given (Parquet, column `text`) the words are pieces of those
texts, and all texts are compared whole as well.

Cases go in batches through the opened stage, under a different set of settings each, and through the same steps without guard
and kernels; where only the repair of encodings is on, through `ftfy.fix_text` with the same configuration instead (with `--ftfy`
all). A case that differs is printed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ftfy
import pyarrow as pa
import pyarrow.parquet as pq

from corpusmill.stages import NormalizeText

_BATCH = 1000
_ROUNDS = 16
ONLY_REPAIR = NormalizeText(
    unescape_html="never",
    unicode_form="none",
    line_separators=False,
    control_characters=False,
    zero_width=False,
    white_space=False,
    blank_lines=None,
)
SETTINGS = [
    NormalizeText(),
    NormalizeText(unicode_form="NFKC", unescape_html="always", repeated_punctuation=2, blank_lines=0),
    NormalizeText(keep_indentation=False, keep_tabs=False, repeated_punctuation=12, unescape_html="never"),
    NormalizeText(white_space=False, unicode_form="none", blank_lines=2, soft_hyphens=False),
    NormalizeText(repair_encoding=False, control_characters=False, line_separators=False, keep_tabs=False),
    NormalizeText(zero_width=False, blank_lines=None, repeated_punctuation=1),
    NormalizeText(
        repair_encoding=False, white_space=False, zero_width=False, blank_lines=None, control_characters=False
    ),
]
FTFY = ftfy.TextFixerConfig(
    unescape_html=False,
    remove_terminal_escapes=False,
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,
    remove_control_chars=False,
    normalization=None,
)
"""What ONLY_REPAIR says, in ftfy's words."""

WORDS = [
    *(
        "the mill",
        "schön",
        "voilà",
        "à la mode",
        "naïve “quotes”",
        "it’s",
        "Ærø",
        "Größe 5 °C",
        "ŻÓŁĆ",
        "ação",
        "l’été",
        "£5",
        "½",
    ),
    *(
        "мельница",
        "Ελλάδα ύδωρ",
        "می‌خواهم",
        "השלום",
        "हिन्दी क्‍ष",
        "বাংলা কো",
        "தமிழ் கொ",
        "ไทยน้ำ",
        "မြန်မာ",
        "ខ្មែរ",
        "日本語。",
    ),
    *(
        "👩‍⚕️ ok",
        "😀",
        "café",
        "Việt ngữ",
        "ق‍",
        "<b>",
        "a&b",
        "AT&T;",
        "1 × 2",
        "«x»",
        "œuvre",
        "Œ",
        "β€",
        "Ã",
        "Â ",
        "한국어",
    ),
]
TRAPS = [
    *"\x00\x07\x1b\x7f\x80\x85\x9d\xa0\xad\u061c\u180e\u200b\u200c\u200d\u200e\u2028\u2060\ufeff\ufffd\ufffe\U0001ffff",
    *" \t\n\r\x0b\x0c\x1c\u1680\u2000\u2003\u202f\u205f\u3000.!?=-…;&#<^~",
    *"\u0301\u0323\u0344\u0327\u093c\u09be\u09d7\u0bbe\u0bd7\u3099\u0653\u1161\u11a8\u1100가각éáǘ゛ｱﬁ①\u0958\u212b",
    *(
        "  ",
        "\n\n",
        "\n\n\n",
        "\r\n",
        " \n",
        "\x1b[0m",
        "\x1b[1;",
        "\r\x00\n",
        "\u200d\u200c",
        "👨\u200d",
        "\u200d👩",
        "...",
        "!!!!",
    ),
    *("&amp;", "&nbsp;", "&#38;", "&#x26;", "&lt;", "amp;", "&unknown;", "&eacute;", "&#128;", "...", "!!!!"),
    *("e" + "\u0301\u0323" * 16, "\u0301" * 31),
    *("Ã³", "â€œ", "â€\ufffd", "Â\xa0", "Ã ", "ï¿½", "Ð¿", "ΓÇ£", "вЂ™", "√©", "ÃƒÂ©", "ã\x81\x82", "â€", "Ã¢â‚¬â„¢"),
    "ð\x9f\x98\x80",
]
_ENCODINGS = ["latin-1", "windows-1252", "windows-1251", "windows-1250", "windows-1253", "windows-1254", "windows-1257"]
_ENCODINGS += ["iso-8859-2", "macroman", "cp437", *(f"sloppy-windows-{number}" for number in range(1250, 1255))]


def mojibake(chance: random.Random, text: str) -> str:
    """Return *text* as if its bytes had been read in a wrong encoding, perhaps twice, perhaps with losses."""
    for _ in range(chance.choice((1, 1, 1, 2))):
        text = text.encode("utf-8", "replace").decode(chance.choice(_ENCODINGS), "replace")
    return text.replace("\xa0", " ") if chance.random() < 0.2 else text


def case(chance: random.Random, words: list[str]) -> str:
    """Return one text."""
    pieces = [chance.choice(words) for _ in range(chance.randint(1, 6))]
    for _ in range(chance.choice((0, 1, 1, 3, 8))):
        kind = chance.random()
        if kind < 0.6:
            trap = chance.choice(TRAPS)
        elif kind < 0.9:
            trap = mojibake(chance, chance.choice(words))
        else:
            low, high = chance.choice(((0x80, 0x2600), (0x80, 0xD800), (0xE000, 0x110000)))
            trap = chr(chance.randrange(low, high))
        pieces.insert(chance.randint(0, len(pieces)), trap)
    joined = chance.choice(("", " ", " ", "\n")).join(pieces)
    return mojibake(chance, joined) if chance.random() < 0.03 else joined


def plain(settings: NormalizeText) -> Callable[[str], tuple[str, bool]]:
    """Return the text and whether it was repaired, by the steps on strings alone."""
    if settings != ONLY_REPAIR:
        return settings.plainly()

    def by_ftfy(text: str) -> tuple[str, bool]:
        fixed = text
        for _ in range(_ROUNDS):
            before, fixed = fixed, ftfy.fix_text(fixed, FTFY)
            if fixed == before:
                break
        return fixed, fixed != text

    return by_ftfy


class Comparison:
    """Both ways of one set of settings."""

    def __init__(self, settings: NormalizeText) -> None:
        self.settings = settings
        self.fast, self.plain = settings.open(), plain(settings)
        self.idle = 0
        self.cases = 0

    def differences(self, texts: list[str]) -> Iterator[str]:
        """Yield what differs, and count the texts that come out as they went in."""
        out, verdicts = self.fast(pa.RecordBatch.from_pydict({"text": pa.array(texts, pa.large_string())}))
        columns = (out.column(name).to_pylist() for name in ("text", "signals.repaired", "signals.replacement_share"))
        for text, got, repaired, share, verdict in zip(texts, *columns, verdicts.to_pylist(), strict=True):
            expected, was_repaired = self.plain(text)
            empty = not expected or expected.isspace()
            expected_share = pa.scalar(expected.count("\ufffd") / max(len(expected), 1), pa.float32()).as_py()
            if (got, repaired, share, verdict is not None) != (expected, was_repaired, expected_share, empty):
                yield f"{self.settings}\n  {text!a}\n  fast  {got!a} {repaired}\n  plain {expected!a} {was_repaired}"
            self.idle += got == text
            self.cases += 1


def _settings(only_ftfy: bool) -> list[NormalizeText]:
    return [ONLY_REPAIR] if only_ftfy else [ONLY_REPAIR, SETTINGS[0], ONLY_REPAIR, *SETTINGS]


def main() -> int:
    """Compare as many cases as the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", type=Path)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ftfy", action="store_true", help="only the repair of encodings, beside ftfy itself")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    real = [text for path in asked.texts for text in pq.read_table(path).column("text").to_pylist()]
    words = WORDS * 8
    for text in real[:: max(1, len(real) // 2000)]:
        at = chance.randrange(max(1, len(text)))
        words.append(text[at : at + chance.randint(3, 30)])
    comparisons = [Comparison(settings) for settings in _settings(asked.ftfy)]
    failed, began, done = 0, time.time(), 0
    while done < asked.cases:
        count = min(_BATCH, asked.cases - done)
        for problem in comparisons[done // _BATCH % len(comparisons)].differences(
            [case(chance, words) for _ in range(count)]
        ):
            failed += 1
            print(problem, flush=True)
        done += count
        if done % 100_000 == 0:
            print(f"{done:,} cases, {failed} differ, {time.time() - began:.0f} s", file=sys.stderr, flush=True)
    idle, cases = sum(c.idle for c in comparisons), sum(c.cases for c in comparisons)
    by_ftfy = sum(c.cases for c in comparisons if c.settings == ONLY_REPAIR)
    print(
        f"{cases:,} cases, {by_ftfy:,} of them beside ftfy: {failed} differ; {idle / max(cases, 1):.0%} come out unchanged"
    )
    for name, settings in (("steps on strings", NormalizeText()), ("ftfy", ONLY_REPAIR)) if real else ():
        comparison = Comparison(settings)
        problems = [p for at in range(0, len(real), _BATCH) for p in comparison.differences(real[at : at + _BATCH])]
        failed += len(problems)
        print(f"{len(real):,} texts beside {name}: {len(problems)} differ", *problems[:3], sep="\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
