from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import Document, Drop, RecipeError
from corpusmill.stages.redact_pii import (
    RedactPii,
    find_cards,
    find_emails,
    find_ibans,
    find_ip_addresses,
    find_phones,
    luhn,
)

DEFAULT = RedactPii().build()
SIGNALS = ("pii_email", "pii_ip", "pii_phone", "pii_card", "pii_iban", "pii_secret")


def redacted(text: str) -> str:
    document = Document(text=text)
    DEFAULT(document)
    return document.text


def found(finder: object, text: str) -> list[str]:
    return [text[start:end] for start, end in finder(text)]  # type: ignore[operator]


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
    "piece",
    [
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
        "DE89",
        "DE89 ",
        "4111 ",
    ],
)
def test_hostile_text_is_linear(piece: str) -> None:
    # The quadratic patterns in use elsewhere take seconds for 20 kB of this, and so many minutes for these.
    text = piece * (300_000 // len(piece))
    assert redacted(f"{text} x@example.org") != ""


def test_settings_are_validated() -> None:
    with pytest.raises(RecipeError, match="kinds"):
        RedactPii(kinds=("name",))  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="maximum_per_document"):
        RedactPii(maximum_per_document=-1)
