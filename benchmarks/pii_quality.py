"""Precision and recall of `redact_pii` by kind, on texts with marked identifiers, and what it finds in texts that have few.

    python benchmarks/pii_quality.py pii_presidio_synth.jsonl.gz texts.parquet english.parquet

The marked texts are JSONL with `text` and `spans` (`start`, `end`, `type`), made by the generator of presidio-research; types
that have no form (names, addresses, dates) are not scored. A found span is right if it overlaps a marked one of its kind, else
wrong. Numbers that look like identifiers and are none (versions, dates, orders, books) and keys in the forms of services are
generated here, from a fixed seed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import string
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from corpusmill.stages.pii_finders import (
    find_cards,
    find_emails,
    find_ibans,
    find_ip_addresses,
    find_phones,
    find_secrets,
)

Span = tuple[int, int]
_FINDERS: dict[str, Callable[[str], Iterator[Span]]] = {
    "email": find_emails,
    "ip": lambda text: find_ip_addresses(text, private=True),  # the marked ones are random, many of them reserved
    "phone": find_phones,
    "card": find_cards,
    "iban": find_ibans,
    "secret": find_secrets,
}
_TYPES = {
    "EMAIL_ADDRESS": "email",
    "IP_ADDRESS": "ip",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
}
_SEED = 20_261_130
_EACH = 2_000


def scores(path: Path) -> Iterator[str]:
    """Yield a table of right, wrong and missed identifiers of the marked texts."""
    right, wrong, missed = Counter[str](), Counter[str](), Counter[str]()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            for kind, find in _FINDERS.items():
                marked = [(s["start"], s["end"]) for s in row["spans"] if _TYPES.get(s["type"]) == kind]
                found = list(find(row["text"]))
                right[kind] += sum(any(_overlap(span, other) for other in found) for span in marked)
                missed[kind] += sum(not any(_overlap(span, other) for other in found) for span in marked)
                wrong[kind] += sum(not any(_overlap(span, other) for other in marked) for span in found)
    yield "| kind | marked | found | wrong | precision | recall |\n|---|---:|---:|---:|---:|---:|"
    for kind in _FINDERS:
        marked_count = right[kind] + missed[kind]
        if marked_count:
            precision = right[kind] / max(right[kind] + wrong[kind], 1)
            yield (
                f"| {kind} | {marked_count} | {right[kind]} | {wrong[kind]} | {precision:.3f} "
                f"| {right[kind] / marked_count:.3f} |"
            )


def _overlap(span: Span, other: Span) -> bool:
    return span[0] < other[1] and other[0] < span[1]


def generated() -> Iterator[str]:
    """Yield a table of what is found among made-up numbers that are no identifiers, and among made-up keys."""
    chance = random.Random(_SEED)
    yield "| made up | texts | with a redaction | share |\n|---|---:|---:|---:|"
    for name, make in _MADE_UP.items():
        texts = [make(chance) for _ in range(_EACH)]
        hits = sum(any(next(find(text), None) for find in _REDACTED.values()) for text in texts)
        yield f"| {name} | {_EACH:,} | {hits} | {hits / _EACH:.4f} |"


_REDACTED = {**_FINDERS, "ip": find_ip_addresses}


_PRODUCTS = (
    *(
        "Firefox",
        "Chrome/",
        "v",
        "version=",
        "Version",
        "Release",
        "nginx/",
        "iTunes",
        "firmware",
        "build",
        "libfoo-",
        "foo==",
    ),
    *("kernel", "macOS", "driver", "OpenSSL", "the plugin"),
)


def _version(chance: random.Random) -> str:
    parts = chance.choice(
        [
            [chance.randrange(1, 30), chance.randrange(100), chance.randrange(300), chance.randrange(200)],
            [chance.randrange(1, 130), 0, chance.randrange(10_000), chance.randrange(250)],
            [chance.randrange(20), chance.randrange(40), chance.randrange(60)],
        ]
    )
    product = chance.choice(_PRODUCTS)
    after = chance.choice([" is out", ", which repairs", "-beta", "", ".", " and later"])
    blank = "" if product[-1] in "/=-v" else " "
    return f"Please install {product}{blank}{'.'.join(map(str, parts))}{after}"


def _date(chance: random.Random) -> str:
    year, month, day = chance.randrange(1900, 2030), chance.randrange(1, 13), chance.randrange(1, 29)
    hour, minute = chance.randrange(24), chance.randrange(60)
    form = chance.choice(
        [
            f"{day:02}.{month:02}.{year} {hour:02}:{minute:02}",
            f"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:09Z",
            f"{month:02}/{day:02}/{year}",
            f"{day:02}-{month:02}-{year} - {day:02}-{month:02}-{year + 1}",
            f"{year}{month:02}{day:02}{hour:02}{minute:02}",
            f"{year}-{year + 1} {year + 2}",
        ]
    )
    return f"It was on {form} that the mill burnt down"


def _number(chance: random.Random) -> str:
    digits = "".join(chance.choice("0123456789") for _ in range(30))
    form = chance.choice(
        [
            f"Order {digits[:10]} was sent",
            f"ISBN 978-3-{digits[:2]}-{digits[2:8]}-{digits[9]}",
            f"costs {digits[:2]},{digits[2:5]},{digits[5:8]}.{digits[8:10]} EUR",
            f"doi:10.{digits[:4]}/{digits[4:9]}.{digits[9:12]}",
            f"at 4{digits[0]}.{digits[1:7]}, -7{digits[7]}.{digits[8:14]}",
            f"{digits[:3]} {digits[3:6]} people, {digits[6:9]} {digits[9:12]} houses",
            f"part no. {digits[:3]}-{digits[3:7]}-{digits[7:9]}",
            f"checksum {digits[:8]}{chance.choice('abcdef')}{digits[8:16]}",
        ]
    )
    return f"The note says: {form}"


def _of(chance: random.Random, alphabet: str, length: int) -> str:
    return "".join(chance.choice(alphabet) for _ in range(length))


_ALNUM, _HEX = string.ascii_letters + string.digits, "0123456789abcdef"


def _key(chance: random.Random) -> str:
    key = chance.choice(
        [
            "AKIA" + _of(chance, string.ascii_uppercase + "234567", 16),
            "ghp_" + _of(chance, _ALNUM, 36),
            "github_pat_" + _of(chance, _ALNUM, 22) + "_" + _of(chance, _ALNUM, 59),
            "glpat-" + _of(chance, _ALNUM + "_-", 20),
            f"xoxb-{_of(chance, string.digits, 12)}-{_of(chance, string.digits, 13)}-{_of(chance, _ALNUM, 24)}",
            "AIza" + _of(chance, _ALNUM + "_-", 35),
            "sk_live_" + _of(chance, _ALNUM, 24),
            "sk-" + _of(chance, _ALNUM, 20) + "T3BlbkFJ" + _of(chance, _ALNUM, 20),
            "npm_" + _of(chance, _ALNUM, 36),
            "hf_" + _of(chance, string.ascii_letters, 34),
            "SG." + _of(chance, _ALNUM + "_-", 22) + "." + _of(chance, _ALNUM + "_-", 43),
            f"eyJ{_of(chance, _ALNUM, 33)}.eyJ{_of(chance, _ALNUM + '_-', 80)}.{_of(chance, _ALNUM + '_-', 43)}",
        ]
    )
    return chance.choice(['key = "{}"', "token: {}", "Authorization: Bearer {}", "use {} here", "({})"]).format(key)


def _random_token(chance: random.Random) -> str:
    """Return a text with a hash, an identifier or base64, which is no secret by its form."""
    token = chance.choice(
        [
            _of(chance, _HEX, 40),
            "-".join(_of(chance, _HEX, length) for length in (8, 4, 4, 4, 12)),
            _of(chance, _ALNUM + "+/", chance.randrange(20, 200)),
            "sk-" + "-".join(chance.choice(["learn", "image", "toggleable", "content"]) for _ in range(6)),
            _of(chance, _ALNUM + "_-", 11),
        ]
    )
    return f"see {token} for that"


_MADE_UP: dict[str, Callable[[random.Random], str]] = {
    "versions of programs (wrong if redacted)": _version,
    "dates and times (wrong)": _date,
    "orders, books, prices, coordinates, parts (wrong)": _number,
    "hashes, identifiers, base64 (wrong)": _random_token,
    "keys of services (right)": _key,
}


def shares(path: Path) -> str:
    """Return a row of what is found in the texts of a Parquet file, which are not marked."""
    texts = pq.read_table(path, columns=["text"]).column("text").to_pylist()
    spans = {kind: [list(find(text)) for text in texts] for kind, find in _REDACTED.items()}
    found = " | ".join(f"{sum(map(len, of_kind))} in {sum(map(bool, of_kind))}" for of_kind in spans.values())
    return f"| {path.name} | {len(texts):,} | {found} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("marked", type=Path)
    parser.add_argument("texts", type=Path, nargs="*")
    options = parser.parse_args()
    print(*scores(options.marked), "", *generated(), sep="\n")
    if options.texts:
        print(f"\n| texts | documents | {' | '.join(_REDACTED)} |\n|---|---:{'|---:' * len(_REDACTED)}|")
        print(*map(shares, options.texts), sep="\n")


if __name__ == "__main__":
    main()
