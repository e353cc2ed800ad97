from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import Document, Drop, RecipeError
from corpusmill.stages import pii_finders, secret_forms
from corpusmill.stages.pii_candidates import PHONE_WORDS, Candidates, find_candidates, have_candidates
from corpusmill.stages.pseudonyms import Pseudonyms
from corpusmill.stages.redact_pii import (
    RedactPii,
    find_cards,
    find_emails,
    find_ibans,
    find_ip_addresses,
    find_phones,
    find_secrets,
    luhn,
)
from corpusmill.stages.secret_forms import PRIVATE_KEY, SECRET, SECRET_FORMS
from corpusmill.stages.text_buffers import text_buffers

DEFAULT = RedactPii().build()
SIGNALS = ("pii_email", "pii_ip", "pii_phone", "pii_card", "pii_iban", "pii_secret")


def redacted(text: str) -> str:
    document = Document(text=text)
    DEFAULT(document)
    return document.text


def found(finder: Callable[[str], Iterator[tuple[int, int]]], text: str) -> list[str]:
    return [text[start:end] for start, end in finder(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@b.co", ["a@b.co"]),
        ("<jane.doe+x@mail.example.org>,", ["jane.doe+x@mail.example.org"]),
        ("...jane@example.org.", ["jane@example.org"]),
        ("müller@exämple.de", ["müller@exämple.de"]),
        ("почта@пример.рф", ["почта@пример.рф"]),
        ("a@b.co,c@d.co", ["a@b.co", "c@d.co"]),
        ("x@xn--bcher-kva.example", ["x@xn--bcher-kva.example"]),
        ("x@example.xn--p1ai", ["x@example.xn--p1ai"]),
        ("@handle a@ @b.c a@b a@b. jane.@example.org a@b.c", []),
        ("sprite@2x.png x@1.2.3 git@github.com", []),
        ("x" * 70 + "@example.org", ["x" * 64 + "@example.org"]),
    ],
)
def test_emails(text: str, expected: list[str]) -> None:
    assert found(find_emails, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("93.184.215.14", ["93.184.215.14"]),
        ("http://93.184.215.14:8080/x", ["93.184.215.14"]),
        ("2a00:1450:4001:81b::200e", ["2a00:1450:4001:81b::200e"]),
        ("[2600::1]", ["2600::1"]),
        ("2a00:1450:4001:81b:0:0:0:200e.", ["2a00:1450:4001:81b:0:0:0:200e"]),
        ("93.184.215.256 93.184.215 93.184.215.14.5 093.184.215.14 x93.184.215.14", []),
        ("10.1.2.30 172.16.0.99 192.168.1.1 127.0.0.1 169.254.1.99 0.0.0.0 255.255.255.255 224.0.0.99", []),
        ("version 93.184.215.14 v93.184.215.14 Chrome/93.184.215.14 Version: 93.184.215.14", []),
        ("8.8.8.8 1.2.3.4", []),  # all parts below 20: reads as a version
        ("12:34:56 a::b ::1 fe80::1 2001:db8::1 de:ad:be:ef:00:01", []),
    ],
)
def test_ip_addresses(text: str, expected: list[str]) -> None:
    assert found(find_ip_addresses, text) == expected


@given(address=st.ip_addresses(v=4).filter(lambda a: a.is_global and not a.is_multicast and max(a.packed) >= 20))
def test_every_public_ipv4_address_is_found(address: ipaddress.IPv4Address) -> None:
    assert found(find_ip_addresses, f"from {address} today") == [str(address)]


@given(address=st.ip_addresses(v=6, network="2400::/12"))
def test_every_global_ipv6_address_is_found_in_both_forms(address: ipaddress.IPv6Address) -> None:
    if address.is_global:
        assert found(find_ip_addresses, f"from {address} today") == [str(address)]
        assert found(find_ip_addresses, f"from {address.exploded} today") == [address.exploded]


@pytest.mark.parametrize(
    "number",
    [
        "+49 30 1234567",
        "+491701234567",
        "+44 (0)20 7946 0958",
        "+1-984-182-0190x565",
        "0044 20 7946 0958",
        "(212) 555-0147",
        "212-555-0147",
        "1-800-555-0199",
        "020 7946 0958",
        "07700 900123",
        "01 23 45 67 89",
        "01.23.45.67.89",
        "030/1234567",
        "(089) 1234-5678",
        "(11) 91234-5678",
        "03 9496 0123",
    ],
)
def test_phone_forms(number: str) -> None:
    assert found(find_phones, f"Reach us at {number}, daily.") == [number]


@pytest.mark.parametrize("number", ["2125550147", "781 1704", "8 (495) 123-45-67", "98765 43210", "71-33-52-22"])
def test_other_numbers_are_phones_only_after_a_word_for_phone(number: str) -> None:
    assert found(find_phones, f"we saw {number} today") == []
    for word in ("Tel.: ", "phone ", "Téléphone : ".replace(" :", ":"), "电话：", "Fax:\n"):
        assert found(find_phones, f"{word}{number} today") == [number]


def test_phone_numbers_in_a_list() -> None:
    assert found(find_phones, "(555) 123-4567 555-123-4567 1-800-555-0199") == [
        "(555) 123-4567",
        "555-123-4567",
        "1-800-555-0199",
    ]


@pytest.mark.parametrize(
    "number",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "378282246310005",
        "3782 822463 10005",
        "30569309025904",
        "6011111111111117",
        "3530111333300000",
        "2223003122003222",
        "6212345678901232",
    ],
)
def test_cards_and_not_those_with_another_check_digit(number: str) -> None:
    assert found(find_cards, f"card {number}.") == [number]
    changed = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert found(find_cards, f"card {changed}.") == []


def test_numbers_that_are_no_cards() -> None:
    assert luhn("1234567812345670")
    assert found(find_cards, "1234567812345670 is no issuer; 4000000000006 is a barcode; 41111111111111111111") == []


@pytest.mark.parametrize(
    "number",
    [
        "DE89370400440532013000",
        "GB82 WEST 1234 5698 7654 32",
        "fr1420041010050500013m02606",
        "NO93 8601 1117 947",
        "NL91ABNA0417164300",
    ],
)
def test_ibans_and_not_those_with_other_check_digits(number: str) -> None:
    assert found(find_ibans, f"to {number} please") == [number]
    changed = number[:2] + f"{(int(number[2:4]) + 1) % 100:02}" + number[4:]
    assert found(find_ibans, f"to {changed} please") == []
    assert found(find_ibans, f"to {number}9 please") == []


@settings(max_examples=200)
@given(
    text=st.one_of(
        st.text(),
        st.lists(st.sampled_from([*"a@.:+-()/ 0149\n", "tel ", "a@b.co", "DE89", "93.184.215.14"]), max_size=40).map(
            "".join
        ),
    )
)
def test_placeholders_are_as_many_as_the_signals_say(text: str) -> None:
    document = Document(text=text)
    assert DEFAULT(document) is document
    before = Document(text=text)
    RedactPii(kinds=()).build()(before)
    assert before.text == text
    assert before.signals == document.signals
    total = sum(document.signals[name] for name in SIGNALS)
    names = ("EMAIL", "IP_ADDRESS", "PHONE", "CARD", "IBAN", "SECRET")
    assert sum(document.text.count(f"<{name}>") for name in names) == total
    if not total:
        assert document.text == text


def test_too_much() -> None:
    document = Document(text="a@b.co 93.184.215.14 c@d.co")
    verdict = RedactPii(maximum_per_document=1, kinds=("email",)).build()(document)
    assert verdict == Drop("too_much_pii", 2, 1)
    assert document.signals == {
        "pii_email": 2,
        "pii_ip": 1,
        "pii_phone": 0,
        "pii_card": 0,
        "pii_iban": 0,
        "pii_secret": 0,
    }


@pytest.mark.parametrize(
    "text",
    [
        "Firefox 3.40.96.119",
        "macOS 20.11.101.96 and later",
        "Chrome 115.0.222.150",
        "foo==7.30.191.0",
        "libfoo-7.30.191.2.tar",
        "driver 31.20.15.36",
        "5.40.96.119-beta",
        "upgrade 24.45.151.161",
        "versions 25.45.151.161, 25.45.151.170 and 25.45.151.180",
    ],
)
def test_versions_are_no_addresses(text: str) -> None:
    assert found(find_ip_addresses, f"Install {text}.") == []


@pytest.mark.parametrize("before", ["Server ", "from ", "IP ", "[", "host: ", "and ", "\n", "https://"])
def test_addresses_with_a_low_first_part_are_found_where_no_program_is_named(before: str) -> None:
    assert found(find_ip_addresses, f"{before}5.40.96.119 was seen") == ["5.40.96.119"]


TOKEN = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6"
BODY = ("MIIEpAIBAAKCAQEA" + "q7Zt9" * 9 + "abc\n") * 4


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAQ3EGRVZ7KD5WMT2A",
        f"ghp_{TOKEN[:36]}",
        f"github_pat_{TOKEN[:22]}_{(TOKEN * 2)[:59]}",
        f"glpat-{TOKEN[:20]}",
        f"xoxb-481516234210-9876501234567-{TOKEN[:24]}",
        f"AIza{TOKEN[:35]}",
        f"sk_live_{TOKEN[:24]}",
        f"sk-{TOKEN[:20]}T3BlbkFJ{TOKEN[20:40]}",
        f"sk-ant-api03-{(TOKEN * 2)[:93]}AA",
        f"npm_{TOKEN[:36]}",
        f"SG.{TOKEN[:22]}.{TOKEN[:43]}",
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{TOKEN[:43]}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\\n{BODY}-----END PRIVATE KEY-----",
    ],
)
def test_secrets_and_not_what_is_cut_or_part_of_more(secret: str) -> None:
    for before, after in (("", ""), ("key=", ";"), ('"', '"'), ("漢", "字"), ("Bearer ", "\n")):
        assert found(find_secrets, f"{before}{secret}{after}") == [secret]
    if not secret.startswith("-"):
        assert found(find_secrets, f"x{secret} {secret[:-25]} {secret[6:]}") == []


@pytest.mark.parametrize("form", SECRET_FORMS, ids=lambda form: f"{form.service} {form.prefixes[0]}")
def test_every_form_of_secrets_says_how_long_it_is_at_least(form: object) -> None:
    least, most = re._parser.parse(form.body).getwidth()  # type: ignore[attr-defined]
    assert form.least <= least  # type: ignore[attr-defined]
    assert most <= 14_000
    assert max(map(len, form.prefixes)) <= 24  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "x" * 36,
        "-----BEGIN PUBLIC KEY-----\n" + BODY + "-----END PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----\n" + BODY,
        "-----BEGIN PRIVATE KEY-----\n" + BODY + "-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0",
    ],
)
def test_examples_public_keys_and_halves_are_no_secrets(text: str) -> None:
    assert found(find_secrets, text) == []


def test_a_secret_in_an_address_of_a_repository_is_a_secret() -> None:
    assert redacted(f"https://ghp_{TOKEN[:36]}@github.com/a/b") == "https://<SECRET>@github.com/a/b"


VALUES = {
    "email": ["jane@example.com", "Jane@Example.com"],
    "phone": ["+44 20 7946-0958", "0044 (20) 79460958", "+442079460958 x12"],
    "ip": ["93.184.215.14"],
    "card": ["4111 1111 1111 1111", "4111-1111-1111-1111"],
    "iban": ["DE89 3704 0044 0532 0130 00", "de89370400440532013000"],
    "secret": ["AKIAQ3EGRVZ7KD5WMT2A"],
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_pseudonym_is_one_for_all_ways_of_writing_and_another_for_another_key(kind: str) -> None:
    one = {Pseudonyms(b"key 1")(kind, value) for value in VALUES[kind]}
    two = {Pseudonyms(b"key 2")(kind, value) for value in VALUES[kind]}
    assert len(one) == len(two) == 1
    assert one != two


@given(value=st.text(min_size=1), key=st.binary())
def test_pseudonyms_are_from_ranges_for_examples(value: str, key: bytes) -> None:
    pseudonyms = Pseudonyms(key)
    assert re.fullmatch(r"user-[0-9a-f]{12}@example\.org", pseudonyms("email", value))
    assert re.fullmatch(r"\+1 [2-9]\d\d 555 01\d\d", pseudonyms("phone", value))
    account, card = pseudonyms("iban", value), pseudonyms("card", value).replace(" ", "")
    assert account.startswith("ZZ")
    assert int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97 == 1
    assert card.startswith("0")
    assert len(card) == 16
    assert luhn(card)


@given(address=st.ip_addresses())
def test_pseudonyms_of_addresses_are_from_the_networks_for_documentation(address: ipaddress.IPv4Address) -> None:
    given_address = ipaddress.ip_address(Pseudonyms()("ip", str(address)))
    networks = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
    assert any(given_address in ipaddress.ip_network(network) for network in networks)
    assert given_address.version == address.version


def test_pseudonyms_in_a_text(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef")
    text = "Ask jane@example.com or JANE@example.com, Tel +44 20 7946 0958."
    outcomes = []
    for stage in (
        RedactPii(replacement="pseudonym"),
        RedactPii(replacement="pseudonym", pseudonym_key_file=str(key)),
    ):
        document = Document(text=text)
        stage.build()(document)
        first, second = found(find_emails, document.text)
        assert first == second
        assert document.text == f"Ask {first} or {first}, Tel {document.text[-16:-1]}."
        outcomes.append(document.text)
    assert outcomes[0] != outcomes[1]
    assert RedactPii(replacement="pseudonym", pseudonym_key_file=str(key)).resources() == (str(key),)
    assert RedactPii().resources() == ()


def test_a_key_that_is_missing_or_short_is_refused(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"secret")
    for path, message in ((tmp_path / "none", "there is no file"), (short, "has 6 bytes, and a key at least 16")):
        with pytest.raises(RecipeError, match=message):
            RedactPii(replacement="pseudonym", pseudonym_key_file=str(path)).build()


PIECES = [
    *"0123456789 -.:/()+@#,_\n=%&x\u3000\xa0：é話\u0663\u096b\uff10\u212a",
    *("12", "00", "0049", "+49", "030", "(0", "(212) ", "212-", "555", "-0147", "01.02.", "2020-01-02", "Tel", "no. "),
    *(
        "call me on ",
        "jane",
        "a@b.co",
        "example.org",
        ".png",
        "93.184.215.14",
        "1.2.3.",
        "256",
        "v",
        "Firefox ",
        " and ",
    ),
    *(
        "2a00:1450:4001:81b::200e",
        "fe80::1",
        "1:2:3:4:5:6:7:8",
        "2001:",
        ":f",
        "4111 1111 1111 1111",
        "card ",
        "378282246310005",
    ),
    *(
        "DE89370400440532013000",
        "GB82",
        " WEST",
        " 1234",
        "AKIAQ3EGRVZ7KD5WMT2A",
        "ghp_",
        TOKEN[:36],
        "sk_live_",
        "eyJ",
    ),
    *("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", BODY, *PHONE_WORDS),
]


def spans_at(text: str, candidates: Candidates, private: bool) -> list[list[tuple[int, int]]]:
    return [
        list(pii_finders.emails_at(text, candidates.emails)),
        list(pii_finders.ip_addresses_at(text, candidates, private=private)),
        list(pii_finders.ibans_at(text, candidates.ibans)),
        list(pii_finders.cards_at(text, candidates.cards)),
        list(pii_finders.phones_at(text, candidates.phones, candidates.spoken_phones)),
        list(pii_finders.secrets_at(text, candidates.secrets)),
    ]


@settings(max_examples=500, deadline=None)
@given(
    text=st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=14).map("".join),
    private=st.booleans(),
)
def test_candidates_miss_nothing_that_all_positions_would_give(text: str, private: bool) -> None:
    # benchmarks/pii_fuzz.py does the same with more pieces, 300,000 times.
    every = list(range(len(text)))
    signs, digits = [at for at in every if text[at] == "@"], [at for at in every if text[at].isdecimal()]
    everywhere = Candidates(signs, every, every, every, every, every, digits, every)
    candidates = find_candidates(text, private=private)
    assert spans_at(text, candidates, private) == spans_at(text, everywhere, private)
    batch = text_buffers(pa.array(["", text.encode("utf-8", "replace").decode(), "x"], pa.large_string()))
    assert have_candidates(batch, private=private).tolist() == [False, any(candidates), False]


def test_positions_are_of_characters_in_strings_of_any_kind() -> None:
    for before in ("", "é", "漢字", "😀", "\ud800", "\u0663"):
        known = (
            "Tel. 2125550147, a@b.co, 93.184.215.14, +44 20 7946 0958, 2a00:1450:4001:81b::200e, GB82WEST12345698765432"
        )
        text = f"{before} {known}"
        at = len(before)
        candidates = find_candidates(text)
        assert candidates.spoken_phones[0] == text.index("2125")
        assert candidates.emails == [text.index("@")]
        assert candidates.ipv4 == [text.index("93.")]
        assert candidates.ipv6 == [text.index("2a00")]
        assert candidates.ibans == [text.index("GB82")]
        assert text.index("+44") in candidates.phones
        assert at < candidates.emails[0]


WRITTEN_LINE = "\\nMIIE"  # a backslash and an n
MOST_REPEATS = 20
MOST_READ = 100  # times each character: of an `@` the 64 before it and what is around them
HOSTILE = [
    *(
        "a.",
        "1.",
        "@",
        "a@",
        "a.@",
        "@a-",
        "1",
        "1 ",
        "01 ",
        "+1 ",
        "a:",
        "1:",
        ":",
        "tel ",
        "tel 1 ",
        "(1)",
        "+12(345)",
    ),
    *(
        "DE89",
        "DE89 ",
        "4111 ",
        "a@a.",
        "93.184.215.14.",
        "=ghp_",
        "eyJa.",
        "eyJ",
        "-----BEGIN PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----{WRITTEN_LINE * 1_000}...<snip>...\n-----END RSA PRIVATE KEY-----",
        "AKIA",
    ),
    *(
        f"tel {'1' * 40} ",
        f"tel {'1' * 15}a ",
        f"+{'1' * 40} ",
        f"+1234567/{'1' * 40} ",
        f"{'a' * 64}@",
        f"@{'a.' * 60}",
        "\u0663",
    ),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_is_linear(piece: str) -> None:
    # The quadratic patterns in use elsewhere take seconds for 20 kB of this, and so many minutes for these.
    text = piece * (300_000 // len(piece))
    assert redacted(f"{text} x@example.org") != ""


class Read(str):
    """A text that counts the characters that are taken out of it, or passed over by a search."""

    __slots__ = ()
    read = 0

    def __getitem__(self, key: Any) -> str:
        found = super().__getitem__(key)
        Read.read += len(found)
        return found

    def find(self, part: str, start: int, end: int) -> int:  # type: ignore[override]
        at = super().find(part, start, end)
        Read.read += max(0, (at if at >= 0 else min(end, len(self))) - start)
        return at


@pytest.mark.parametrize("piece", HOSTILE)
def test_what_is_taken_out_of_hostile_text_grows_with_its_length(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = piece * max(30_000 // len(piece), 2)
    monkeypatch.setattr(Read, "read", 0)
    DEFAULT(Document(text=Read(text)))
    assert Read.read <= MOST_READ * len(text)


def test_no_pattern_reads_the_same_characters_in_ways_that_multiply() -> None:
    # A repetition of what is one character each has one way to read a run; one of more than that may have 2 ** length.
    found = [pattern for module in (pii_finders, secret_forms) for pattern in vars(module).values()]
    patterns = {pattern for pattern in found if isinstance(pattern, re.Pattern)}
    patterns |= {form for _, form, *_ in pii_finders._PHONE_FORMS}
    assert len(patterns) > 20
    several = [pattern.pattern for pattern in patterns if repeats_more_than_a_character(pattern)]
    # Years in a row: four digits and at most one sign, so that there is one way as well.
    assert several == [pii_finders._NOT_A_PHONE.pattern]


def repeats_more_than_a_character(pattern: re.Pattern[str]) -> bool:
    def visit(node: object) -> bool:
        if isinstance(node, tuple) and len(node) == 2 and str(node[0]) in ("MAX_REPEAT", "MIN_REPEAT"):
            _, most, body = node[1]
            if most > MOST_REPEATS and (len(body) > 1 or body.getwidth() != (1, 1) or str(body[0][0]) == "BRANCH"):
                return True
        if isinstance(node, (tuple, list, re._parser.SubPattern)):  # type: ignore[attr-defined]
            return any(map(visit, node))
        return False

    return visit(re._parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))  # type: ignore[attr-defined]


def test_a_private_key_is_one_with_written_out_line_breaks() -> None:
    first, last = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
    assert redacted(f"{first}{WRITTEN_LINE * 20}\\n{last}") == "<SECRET>"
    cut = f"{first}{WRITTEN_LINE * 22}...<snip>...\n{last}"
    assert redacted(cut) == cut


def test_no_pattern_looks_further_than_some_characters() -> None:
    patterns = [pattern for pattern in vars(pii_finders).values() if isinstance(pattern, re.Pattern)]
    patterns += [form for _, form, *_ in pii_finders._PHONE_FORMS]
    assert len(patterns) > 15
    unbounded = []
    for pattern in patterns:
        most = re._parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE).getwidth()[1]  # type: ignore[attr-defined]
        if most > (14_000 if pattern is SECRET else 1_000):
            unbounded.append(pattern)
    # Those are only ever given a slice of the text.
    ends = {
        id(getattr(pii_finders, name)) for name in ("_NOT_A_DOMAIN", "_NOT_A_PHONE", "_VERSION_BEFORE", "_NAME_BEFORE")
    }
    ends |= {
        id(getattr(pii_finders, name)) for name in ("_KEY_BODY", "_BETWEEN_VERSIONS", "_OTHER_NUMBER", "_CARD_BEFORE")
    }
    assert [pattern.pattern for pattern in unbounded if id(pattern) not in ends] == []
    assert PRIVATE_KEY not in unbounded


COUNT = """
import sys
from corpusmill.stages import pii_candidates as c
from corpusmill.stages.kernels.identifiers import candidates
import numpy as np
class Counted:
    def __init__(self, data): self.data, self.size, self.reads = data, len(data), 0
    def __getitem__(self, at): self.reads += 1; return np.int64(self.data[int(at)])
for piece in eval(sys.stdin.read()):
    row = []
    for size in (1000, 2000):
        data = Counted((piece * (size // len(piece) + 1)).encode()[:size])
        candidates(data, 0, size, *c._tables(), False, np.empty(3 * size + 1, np.int64))
        row.append(data.reads)
    print(*row)
"""


def test_the_scan_reads_each_byte_a_bounded_number_of_times() -> None:
    surroundings = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(  # the kernel as plain Python, over bytes that count how often they are read
        [sys.executable, "-c", COUNT], input=repr(HOSTILE), env=surroundings, capture_output=True, text=True, check=True
    )
    rows = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(rows) == len(HOSTILE)
    for piece, (once, twice) in zip(HOSTILE, rows, strict=True):
        assert twice <= 2.2 * once + 1_000, piece
        assert twice <= 400 * 2_000, piece


def test_settings_are_validated() -> None:
    with pytest.raises(RecipeError, match="kinds"):
        RedactPii(kinds=("name",))  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="replacement"):
        RedactPii(replacement="hash")  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="maximum_per_document"):
        RedactPii(maximum_per_document=-1)
