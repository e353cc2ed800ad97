"""Is the encoding of web pages found, and how fast: real pages, encoded anew as their languages really are.

    python benchmarks/encodings.py PAGES.jsonl[.gz]... [--texts TEXTS.jsonl[.gz]] [--half final] [--speed]

PAGES hold `id`, `html` and `gold` (the main text, from which the language is told where `lang` is not given), TEXTS hold `id`,
`text`, `lang` and `level`. Every page is stripped of its declarations, encoded and must come back as the very same text.
Characters that the encoding lacks become references, as sites write them; pages that would lose more than one in twenty are left
out, and so are pages that are ASCII in the encoding, or UTF-8 because they hold mojibake already. Half of the pages, by a hash of
their ids, are for development; quote figures of the other half. `--speed` measures the
speed (CPU time) and what other detectors know, on some of the pages, instead. Markdown on stdout.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from py3langid import classify

from corpusmill.stages.encoding import decode_html

_CYRILLIC = ("windows-1251", "koi8-r", "iso-8859-5", "ibm866")
_LATIN_2 = ("windows-1250", "iso-8859-2")
ENCODINGS = {
    "ar": ("windows-1256", "iso-8859-6"),
    "bg": ("windows-1251",),
    "cs": _LATIN_2,
    "el": ("windows-1253", "iso-8859-7"),
    "fa": ("windows-1256",),
    "he": ("windows-1255",),
    "hu": _LATIN_2,
    "ja": ("shift_jis", "euc-jp", "iso-2022-jp"),
    "ko": ("euc-kr",),
    "lt": ("windows-1257",),
    "lv": ("windows-1257",),
    "pl": _LATIN_2,
    "ro": _LATIN_2,
    "ru": _CYRILLIC,
    "th": ("windows-874",),
    "tr": ("windows-1254",),
    "uk": ("windows-1251", "koi8-u"),
    "zh": ("gbk", "big5"),
} | dict.fromkeys(("da", "de", "en", "es", "fi", "fr", "id", "it", "nl", "no", "pt", "sv"), ("windows-1252",))
"""The legacy encodings that pages of a language use."""
_CODECS = {"shift_jis": "cp932", "euc-jp": "euc_jp", "iso-2022-jp": "iso2022_jp", "euc-kr": "cp949", "big5": "cp950"}
_CODECS |= {"gbk": "gb18030", "windows-874": "cp874", "ibm866": "cp866"}
_AS_THE_WEB_READS = str.maketrans("〜‖−¢£¬", "～∥－￠￡￢")  # the bytes of these, by the WHATWG's table of JIS X 0208
_NAMES = {"Greek": "el", "Polish": "pl", "Russian": "ru", "Chinese": "zh", "English": "en", "yue": "zh"}
_MULTI_BYTE = ("gbk", "big5", "shift_jis", "euc-jp", "euc-kr")
_DECLARATION = re.compile(r"<meta\b[^>]*charset[^>]*>|<\?xml\b[^>]*\?>", re.IGNORECASE)
_LOST = 0.05
_WRONG_LABELS = {
    "windows-1252": ("iso-8859-1", "us-ascii"),
    "gbk": ("gb2312",),
    "shift_jis": ("shift-jis",),
    "euc-kr": ("ks_c_5601-1987",),
    "windows-1253": ("iso-8859-7",),
    "windows-1250": ("iso-8859-2",),
}
"""Labels that pages in an encoding carry and that mean, to the letter, another one."""


@dataclass(frozen=True)
class Page:
    """A page in Unicode, without declarations."""

    language: str
    html: str


@dataclass(frozen=True)
class Case:
    """Bytes, the transport's label, and the text that they stand for."""

    group: str
    encoding: str
    language: str
    data: bytes
    label: str | None
    text: str


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with (
        gzip.open(path, "rt", encoding="utf-8", newline="\n")
        if path.suffix == ".gz"
        else path.open(newline="\n") as lines
    ):
        for line in lines:
            yield json.loads(line)


def _wanted(name: str, half: str) -> bool:
    final = hashlib.sha256(name.encode()).digest()[0] % 2 == 1
    return half == "both" or final == (half == "final")


def read_pages(paths: list[Path], half: str, most: int) -> tuple[list[Page], list[Page]]:
    """Return the pages of *half*, at most *most* of a language, and short pages of the first words of their main text."""
    pages: dict[str, list[Page]] = defaultdict(list)
    short: dict[str, list[Page]] = defaultdict(list)
    for path in paths:
        for row in _rows(path):
            gold = row.get("gold") or ""
            if not gold.strip() or not _wanted(path.name + str(row["id"]), half):
                continue
            language = str(row.get("lang") or classify(gold[:3000])[0])
            language = _NAMES.get(language, language)
            if language in ENCODINGS and len(pages[language]) < most:
                html = _DECLARATION.sub("", row["html"].encode("utf-8", "replace").decode()).lstrip("\ufeff")
                pages[language].append(Page(language, html))
                short[language].append(_page(language, gold[:200]))
    return list(chain(*pages.values())), list(chain(*short.values()))


def read_texts(path: Path, half: str, level: str) -> list[Page]:
    """Return little pages of the texts of one *level* ("document", "sentence")."""
    rows = (
        row for row in _rows(path) if row["level"] == level and row["lang"] in ENCODINGS and _wanted(row["id"], half)
    )
    return [_page(row["lang"], row["text"]) for row in rows]


def _page(language: str, text: str) -> Page:
    head = (
        '<!DOCTYPE html><html><head><link rel="stylesheet" href="/style.css"><script>var a = 1;</script></head><body>'
    )
    return Page(language, f'{head}<div class="text"><p>{text}</p></div></body></html>')


def _encode(html: str, encoding: str) -> tuple[bytes, str] | None:
    """Return the bytes and their text, or None if the page is not one that would be written in this encoding."""
    codec = _CODECS.get(encoding, encoding)
    beyond = [character for character in html if ord(character) > 127]
    lost = sum(not character.encode(codec, "ignore") for character in set(beyond))
    if lost and sum(not character.encode(codec, "ignore") for character in beyond) > _LOST * len(beyond):
        return None
    data = html.encode(codec, "xmlcharrefreplace")
    text = data.decode(codec).translate(_AS_THE_WEB_READS if "jp" in encoding else {})
    return (data, text) if b"\x1b" in data or not _is_utf8(data) else None


def _is_utf8(data: bytes) -> bool:
    """Whether most of the bytes are UTF-8: so they are where the page itself holds mojibake such as `Â»`."""
    broken = data.decode(errors="ignore").encode()
    return len(data) - len(broken) <= len(data.translate(None, bytes(range(128)))) / 2


def _declared(html: str, declaration: str) -> str:
    found = re.search(r"<head\b[^>]*>", html, re.IGNORECASE)
    at = found.end() if found else 0
    return html[:at] + declaration + html[at:]


def unlabelled(pages: list[Page], group: str) -> Iterator[Case]:
    """Pages in legacy encodings that say nothing of it."""
    for page in pages:
        for encoding in ENCODINGS[page.language]:
            if made := _encode(page.html, encoding):
                yield Case(group, encoding, page.language, made[0], None, made[1])


def labelled(pages: list[Page]) -> Iterator[Case]:
    """Pages whose label is right, or wrong in one of the ways that crawls are full of."""
    for page in pages:
        for encoding in ENCODINGS[page.language]:
            kinds: list[tuple[str, str, str | None]] = [
                ("right <meta charset>", f'<meta charset="{encoding}">', None),
                (
                    "right <meta http-equiv>",
                    f'<META http-equiv="Content-Type" content="text/html; charset={encoding.upper()}">',
                    None,
                ),
                ("right label of the transport", "", encoding),
                ("late <meta>", "<style>" + "p { margin: 0 }\n" * 80 + f"</style><meta charset={encoding}>", None),
                ("labelled utf-8", '<meta charset="utf-8">', None),
                ("transport says utf-8, page is right", f'<meta charset="{encoding}">', "utf-8"),
            ]
            kinds += [
                (f"labelled {label}", f"<meta charset={label}>", None) for label in _WRONG_LABELS.get(encoding, ())
            ]
            if encoding != "windows-1252":
                kinds.append(("labelled iso-8859-1", '<meta charset="iso-8859-1">', None))
                kinds.append(("transport says iso-8859-1, page is right", f'<meta charset="{encoding}">', "iso-8859-1"))
            for group, declaration, transport in kinds:
                if made := _encode(_declared(page.html, declaration), encoding):
                    yield Case(group, encoding, page.language, made[0], transport, made[1])


def unicode_cases(pages: list[Page]) -> Iterator[Case]:
    """UTF-8 and UTF-16, whole, marked, mislabelled and damaged."""
    chance = random.Random(1)
    for page in pages:
        html = page.html
        whole = html.encode()
        if whole.isascii():
            continue

        def case(
            group: str, encoding: str, data: bytes, text: str, label: str | None = None, of: str = page.language
        ) -> Case:
            return Case(group, encoding, of, data, label, text)

        yield case("unlabelled", "utf-8", whole, html)
        yield case("byte order mark", "utf-8", b"\xef\xbb\xbf" + whole, html, "iso-8859-1")
        for wrong in ("iso-8859-1", "windows-1251", "gbk", "shift_jis", "euc-kr", "big5"):
            yield case(f"labelled {wrong}", "utf-8", whole, html, wrong)
        for name in ("utf-16-le", "utf-16-be"):
            yield case("byte order mark", name, ("\ufeff" + html).encode(name), html)
            yield case("unlabelled", name, html.encode(name), html)
            yield case("labelled utf-16", name, html.encode(name), html, "utf-16")
        broken = bytearray(whole)
        for _ in range(3):
            at = chance.randrange(len(broken))
            broken[at:at] = bytes([chance.choice(b"\x80\xa0\xc3\xe9\xff")])
        for label in (None, "utf-8"):
            kind = "labelled" if label else "unlabelled"
            yield case(f"3 broken bytes, {kind}", "utf-8", bytes(broken), broken.decode("utf-8", "replace"), label)
            for foreign, words in (("windows-1252", "© l’été déjà"), ("windows-1251", "Все права защищены")):
                data = whole + words.encode(foreign)
                yield case(f"{foreign} in the footer, {kind}", "utf-8", data, data.decode("utf-8", "replace"), label)
        last = max(at for at, byte in enumerate(whole) if byte >= 0xC0)
        if not whole[:last].isascii():
            yield case("cut in a character", "utf-8", whole[: last + 1], whole[:last].decode())


def damaged(pages: list[Page]) -> Iterator[Case]:
    """Legacy pages with a right label, cut in a character or with some UTF-8 in them."""
    for page in pages:
        for encoding in ENCODINGS[page.language]:
            made = _encode(page.html, encoding)
            codec = _CODECS.get(encoding, encoding)
            if made is None:
                continue
            data = made[0]
            text = data.decode(codec)
            read = _AS_THE_WEB_READS if "jp" in encoding else {}
            if encoding in _MULTI_BYTE:
                last = max(at for at, character in enumerate(text) if ord(character) > 127)
                start = text[:last].encode(codec)
                cut = start + text[last].encode(codec)[:1]
                if not start.isascii():
                    yield Case(
                        "cut in a character", encoding, page.language, cut, encoding, text[:last].translate(read)
                    )
                    yield Case(
                        "cut in a character, unlabelled",
                        encoding,
                        page.language,
                        cut,
                        None,
                        text[:last].translate(read),
                    )
            elif encoding.startswith("windows-") and len(re.findall(rb"[\x80-\xff]+", data)) > 20:
                data += "© Все и вся’ é".encode()
                right = data.decode(codec, "replace")
                yield Case(
                    "UTF-8 in the footer (undefined bytes aside)", encoding, page.language, data, encoding, right
                )
            if encoding in _MULTI_BYTE and len(data.translate(None, bytes(range(128)))) > 300:
                at = data.index(b"<", len(data) // 2)
                data = data[:at] + b"\xff" + data[at:]
                place = len(data[:at].decode(codec))
                right = (text[:place] + "\ufffd" + text[place:]).translate(read)
                for label, kind in ((encoding, "labelled"), (None, "unlabelled")):
                    yield Case(f"a broken byte, {kind}", encoding, page.language, data, label, right)


def _right(case: Case, text: str) -> bool:
    if text == case.text:
        return True
    if "undefined" not in case.group:
        return False
    return len(text) == len(case.text) and all(a == b or b == "\ufffd" for a, b in zip(text, case.text, strict=True))


class Scores:
    """How many of each group and encoding came back right, and why others did not."""

    def __init__(self) -> None:
        self.right: dict[tuple[str, str], list[bool]] = defaultdict(list)
        self.wrong: dict[tuple[str, str, str, str], int] = defaultdict(int)

    def add(self, case: Case) -> None:
        """Decode *case* and count it."""
        text, name = decode_html(case.data, case.label)
        good = _right(case, text)
        self.right[case.group, case.encoding].append(good)
        if not good:
            self.wrong[case.group, case.encoding, case.language, name] += 1

    def show(self, title: str) -> None:
        """Print the table."""
        every = [good for group in self.right.values() for good in group]
        print(f"\n## {title}: {_share(every)}\n\n| case | encoding | right | pages |\n|---|---|---|---|")
        for (group, encoding), good in self.right.items():
            print(f"| {group} | {encoding} | {_share(good)} | {len(good)} |")


def _share(good: list[bool]) -> str:
    return f"{100 * sum(good) / max(1, len(good)):.2f} %"


def detectors() -> dict[str, Callable[[bytes], str | None] | None]:
    """Return the detectors that are compared, None for one that is not installed."""

    def of(module: str, make: Callable[..., Callable[[bytes], str | None]]) -> Callable[[bytes], str | None] | None:
        try:
            return make(importlib.import_module(module))
        except ImportError:
            return None

    def chardetng(module: object) -> Callable[[bytes], str | None]:
        def detect(data: bytes) -> str | None:
            detector = module.EncodingDetector()  # type: ignore[attr-defined]
            detector.feed(data, last=True)
            return str(detector.guess(tld=None, allow_utf8=True))

        return detect

    return {
        "faust-cchardet": of("cchardet", lambda m: lambda data: m.detect(data)["encoding"]),
        "chardetng": of("chardetng_py", chardetng),
        "resiliparse": of(
            "resiliparse.parse.encoding", lambda m: lambda data: m.detect_encoding(data, html5_compatible=False)
        ),
        "chardet": of("chardet", lambda m: lambda data: m.detect(data)["encoding"]),
        "charset-normalizer": of(
            "charset_normalizer", lambda m: lambda data: getattr(m.from_bytes(data).best(), "encoding", None)
        ),
    }


def _decodes(case: Case, name: str | None) -> bool:
    """Whether the detector's *name* gives the right text; a name is read as the web means it."""
    name = {
        "uhc": "cp949",
        "mac-cyrillic": "mac_cyrillic",
        "windows-874": "cp874",
        "gb2312": "gb18030",
        "gbk": "gb18030",
    }.get((name or "cp1252").lower(), name or "cp1252")
    name = {"shift_jis": "cp932", "big5": "cp950", "euc-kr": "cp949", "iso-8859-1": "cp1252"}.get(name.lower(), name)
    try:
        return case.data.decode(name) == case.text
    except (UnicodeError, LookupError):
        return False


def _seconds(work: Callable[[bytes, str | None], object], cases: list[Case], runs: int) -> float:
    best = 1e9
    for _ in range(runs):
        start = time.process_time()
        for case in cases:
            work(case.data, case.label)
        best = min(best, time.process_time() - start)
    return best


def compare(real: list[Case], short: list[Case]) -> None:
    """Print how often each detector alone is right about unlabelled pages."""
    print("\n## Detectors alone, no label\n\n| detector | real pages | short texts |\n|---|---|---|")
    for name, detect in detectors().items():
        if detect is None:
            print(f"| {name} | not installed | |")
        else:
            shares = [_share([_decodes(case, detect(case.data)) for case in cases]) for cases in (real, short)]
            print(f"| {name} | {' | '.join(shares)} |")


def _ignoring_label(detect: Callable[[bytes], object]) -> Callable[[bytes, str | None], object]:
    return lambda data, _: detect(data)


def speed(pages: list[Page]) -> None:
    """Print the speed of `decode_html` and of the detectors, all in one run."""
    utf8 = [Case("", "utf-8", page.language, page.html.encode(), None, "") for page in pages]
    plain = list(unlabelled(pages, ""))
    meta = [case for case in labelled(pages) if case.group == "right <meta charset>"]
    sets = {"clean UTF-8": utf8, "labelled legacy": meta, "unlabelled legacy": plain}
    print("\n## Speed, one core, CPU time\n\n| | " + " | ".join(sets) + " |\n|---|---|---|---|")
    rows: dict[str, Callable[[bytes, str | None], object] | None] = {"decode_html": decode_html}
    for name, detect in detectors().items():
        rows[f"{name} (detects only)"] = None if detect is None else _ignoring_label(detect)
    for name, work in rows.items():
        cells = []
        for cases in sets.values():
            # The slow ones see every tenth page, once.
            some, runs = (cases, 3) if name == "decode_html" else (cases[::10], 1)
            seconds = _seconds(work, some, runs) if work else 0.0
            size = sum(len(case.data) for case in some) / 1e6
            cells.append(f"{len(some) / seconds:,.0f} pages/s, {size / seconds:,.0f} MB/s" if work else "not installed")
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    """Read the arguments, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--texts", type=Path, help="JSONL of short texts with `lang` and `level`")
    parser.add_argument("--half", choices=("development", "final", "both"), default="development")
    parser.add_argument("--most", type=int, default=150, help="pages of a language")
    parser.add_argument("--errors", action="store_true", help="say what was taken for what")
    parser.add_argument("--speed", action="store_true", help="measure speed and other detectors instead")
    options = parser.parse_args()
    pages, short = read_pages(options.pages, options.half, options.most)
    languages = {name: sum(page.language == name for page in pages) for name in ENCODINGS}
    print("Pages: " + ", ".join(f"{count} {name}" for name, count in languages.items() if count))
    if options.speed:
        compare(list(unlabelled(pages, ""))[::4], list(unlabelled(short, "")))
        speed(pages)
        return
    sets: dict[str, Iterator[Case]] = {
        "Real pages, no label": unlabelled(pages, "no label"),
        "Real pages, labels right and wrong": labelled(pages),
        "Real pages in Unicode": unicode_cases(pages),
        "Real pages, damaged": damaged(pages),
        "Short pages: 200 characters of the main text": unlabelled(short, "no label"),
    }
    if options.texts:
        for level in ("document", "sentence"):
            sets[f"Short pages: a {level}"] = unlabelled(read_texts(options.texts, options.half, level), "no label")
    for title, cases in sets.items():
        scores = Scores()
        for case in cases:
            scores.add(case)
        scores.show(title)
        if options.errors:
            for key, count in sorted(scores.wrong.items(), key=lambda item: -item[1])[:40]:
                print("  WRONG", count, *key)


if __name__ == "__main__":
    main()
