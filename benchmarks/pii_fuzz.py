"""The candidates of `redact_pii` held against every position: texts of pieces that identifiers are made of, 300,000 by default.

    python benchmarks/pii_fuzz.py --cases 300000 --seed 1

Each text is searched twice by the same patterns: at the candidates that the kernel gives, and at all positions. The guard has to
say of the text, as one of a batch, whether there was a candidate. Exits with 1 at the first difference.
"""

from __future__ import annotations

import argparse
import random
import sys

import pyarrow as pa

from corpusmill.stages.pii_candidates import PHONE_WORDS, Candidates, find_candidates, have_candidates
from corpusmill.stages.pii_finders import cards_at, emails_at, ibans_at, ip_addresses_at, phones_at, secrets_at
from corpusmill.stages.secret_forms import SECRET_FORMS
from corpusmill.stages.text_buffers import text_buffers

__all__ = ["PIECES", "everywhere", "made_up", "spans"]

PIECES = (
    *"0123456789" * 2,
    *" -.:/()+@#,_\n\t=%&x" * 2,
    *(
        "  ",
        ": ",
        "::",
        ". ",
        ") ",
        " (",
        "\u3000",
        "\xa0",
        "：",
        "é",
        "я",
        "話",
        "\u0663",
        "\u096b",
        "\uff10",
        "\u212a",
        "\ufeff",
        "😀",
    ),
    *(
        "12",
        "00",
        "01",
        "0049",
        "+49",
        "+1 ",
        "030",
        "(0",
        "(212) ",
        "212-",
        "555",
        "-0147",
        "5551234",
        "2019",
        "01.02.",
        "2020-01-02",
    ),
    *PHONE_WORDS,
    *(
        "Tel",
        "Fax: ",
        "no. ",
        "number ",
        "nr",
        "n°",
        "call me on ",
        "reach us at ",
        "電話",
        "전화",
        "part no. ",
        "TEL\u212a",
        "ﬁ",
        "ſ",
    ),
    *("a@b.co", "jane", "@", "example.org", "b.c", ".png", "git@", "x" * 70, "xn--p1ai", "'", "%"),
    *("93.184.215.14", "8.8.8.8", "1.2.3.", ".14", "255", "256", "v", "version ", "Firefox ", "-beta", " and "),
    *(
        "2a00:1450:4001:81b::200e",
        "2600::1",
        "fe80::1",
        "1:2:3:4:5:6:7:8",
        "2001:",
        "abcd",
        ":f",
        "::ffff:1.2.3.4",
        "dead",
    ),
    *(
        "4111 1111 1111 1111",
        "4111-1111-",
        "378282246310005",
        "30569309025904",
        "4111111111111111",
        "1111",
        "card ",
        "501864667909",
    ),
    *(
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB82",
        " WEST",
        " 1234",
        "XX12",
        "NO93",
        "3704",
        "ab",
        "fr14",
    ),
    *(
        "AKIAQ3EGRVZ7KD5WMT2A",
        "ghp_",
        "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
        "sk_live_",
        "eyJ",
        "eyJhbGciOiJIUzI1NiJ9",
        "xoxb-",
    ),
    *(
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END RSA PRIVATE KEY-----",
        "-----BEGIN ",
        "MIIEow" * 12,
        "-----",
        "hf_",
        "SG.",
        "AIza",
    ),
    *(form.prefixes[0] for form in SECRET_FORMS),
    *("word", "Wort ", "and ", "the price of 12.50 ", "EUR", "\x00", "I", "K", "_", "J", "z"),
)
_MOST = 14
_TOGETHER = 500


def made_up(chance: random.Random) -> str:
    """Return a text of up to 14 pieces; in one of five a character is changed, dropped or doubled."""
    text = "".join(chance.choice(PIECES) for _ in range(chance.randrange(1, _MOST + 1)))
    if text and chance.random() < 0.2:
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice(["", text[at] * 2, chance.choice(PIECES)]) + text[at + 1 :]
    return text


def everywhere(text: str) -> Candidates:
    """Return every position as a candidate of each kind that can be there at all."""
    every = list(range(len(text)))
    signs = [at for at in every if text[at] == "@"]
    digits = [at for at in every if text[at].isdecimal()]
    return Candidates(signs, every, every, every, every, every, digits, every)


def spans(text: str, found: Candidates, *, private: bool) -> list[list[tuple[int, int]]]:
    """Return what is found at the candidates *found*, by kind."""
    return [
        list(emails_at(text, found.emails)),
        list(ip_addresses_at(text, found, private=private)),
        list(ibans_at(text, found.ibans)),
        list(cards_at(text, found.cards)),
        list(phones_at(text, found.phones, found.spoken_phones)),
        list(secrets_at(text, found.secrets)),
    ]


def main() -> None:
    """Compare, and print how much was compared."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    identifiers = passing = 0
    for at in range(0, options.cases, _TOGETHER):
        texts = [made_up(chance) for _ in range(min(_TOGETHER, options.cases - at))]
        private = at // _TOGETHER % 2 == 1
        busy = have_candidates(text_buffers(pa.array(texts, pa.large_string())), private=private)
        for text, is_busy in zip(texts, busy.tolist(), strict=True):
            found = find_candidates(text, private=private)
            given, expected = spans(text, found, private=private), spans(text, everywhere(text), private=private)
            if given != expected or is_busy != any(found):
                sys.exit(f"different: {text!r}\n{given}\n{expected}\nguard {is_busy}, {found}")
            identifiers += sum(map(len, expected))
            passing += is_busy
    print(f"{options.cases:,} texts, {passing:,} with a candidate, {identifiers:,} identifiers, 0 differences")


if __name__ == "__main__":
    main()
