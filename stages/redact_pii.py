"""Personal identifiers that have a form of their own: e-mail and IP addresses, phone, card and account numbers.

A wrong redaction destroys text for good, so every kind has to prove itself: cards and accounts by checksum and issuer,
IP addresses by being public, phone numbers by a national or international form or by a word such as "Tel." in front.
Names and street addresses have no form; finding them takes a model, and presidio with one is a 653 MB install before
the model.

Published patterns were rejected for their cost on hostile text: those of datatrove take 1.2 s for 20 kB of `a.a.a.`,
because each start scans to the end. Here an `@`, a digit or a colon must be there before anything is tried, and every
pattern has an upper length, so the work is linear in the text.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar, Literal

import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop
from corpusmill.stages.base import Apply, DocumentStage

__all__ = ["RedactPii", "find_cards", "find_emails", "find_ibans", "find_ip_addresses", "find_phones", "luhn"]

Kind = Literal["email", "ip", "phone", "card", "iban"]
Span = tuple[int, int]
Finder = Callable[[str], Iterator[Span]]

# --- e-mail: from each @ outwards, at most the lengths of RFC 5321 ---------------------------------------------------
_LETTERS = "A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\u024f\u0370-\u03ff\u0400-\u04ff"  # alphabets only
_LOCAL_REVERSED = re.compile(f"[{_LETTERS}0-9._%+'-]{{1,64}}")
_DOMAIN = re.compile(
    f"(?:[{_LETTERS}0-9](?:[{_LETTERS}0-9-]{{0,61}}[{_LETTERS}0-9])?\\.){{1,8}}(?:xn--[a-z0-9]{{2,59}}|[{_LETTERS}]{{2,24}})"
    f"(?![{_LETTERS}0-9_])"
)
_NOT_A_DOMAIN = re.compile(r"(?i)[0-9]+\.[0-9]+\.|.*\.(?:avif|css|gif|html?|jpe?g|js|json|mp4|pdf|png|svg|ts|webp)\Z")
_LONGEST_DOMAIN = 255

# --- IP --------------------------------------------------------------------------------------------------------------
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){1,7}(?::?[0-9A-Fa-f]{1,4}){0,6}:{0,2}(?:\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])"
)
_VERSION_BEFORE = re.compile(
    r"(?i)(?:\b(?:v|ver|vers|version\w*|versión|versão|версия|release|rel|firmware|build|update|section|chapter|rfc)"
    r"[.:]?[ \t]*|[A-Za-z][A-Za-z_-]*[/=-]v?)\Z"
)
_CONTEXT = 24
_SMALL = 20  # four parts below it are a version or a section number: 1 public address in 27,000 looks like that

# --- phone -----------------------------------------------------------------------------------------------------------
_START, _LISTED_START, _PLUS_START = r"(?<![\w+.,/=&%#@-])(?<!\d[ ])", r"(?<![\w+.,/=&%#@-])", r"(?<![\w+=&%#@])"
_END, _HYPHEN_END = r"(?![ .-]?\d|[\w@%])", r"(?![.-]?\d|[\w@%])"
_EXTENSION = r"(?:[ ]?(?:x|ext\.?)[ ]?\d{1,5})?"
_INTERNATIONAL = r"[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,5}(?:[ ./-]?\d{2,5}){1,5}"
_PHONE_FORMS = tuple(
    (re.compile(start + form + _EXTENSION + end), least, most)
    for start, form, end, least, most in (
        # International: + or 00, country code, groups. E.164 allows 15 digits.
        (_PLUS_START, rf"\+{_INTERNATIONAL}", _END, 9, 15),
        (_START, rf"00{_INTERNATIONAL}", _END, 11, 17),
        # North America: area code in brackets or set off, seven digits in two groups.
        (_LISTED_START, r"(?:1[ .-])?(?:\([2-9]\d{2}\)[ ]?|[2-9]\d{2}[-.])\d{3}[-.]\d{4}", _HYPHEN_END, 10, 11),
        # Trunk prefix 0 with area code in brackets, or set off by a blank, slash or hyphen: most of Europe, Asia,
        # Australia.
        (_START, r"\(0\d{1,4}\)[ ]?\d{2,8}(?:[ -]\d{2,6}){0,3}", _END, 8, 12),
        (_START, r"0\d{1,3}[ /-]\d{2,8}(?:[ -]\d{2,6}){0,3}", _END, 9, 12),
        (_START, r"0\d{4}[ /-]\d{2,8}(?:[ -]\d{2,6}){0,3}", _END, 10, 12),
        # Brazil: two-digit area code in brackets, mobile numbers with a 9 in front.
        (_LISTED_START, r"\(\d{2}\)[ ]?9?\d{4}-\d{4}", _HYPHEN_END, 10, 11),
        # France, Belgium: 0 and nine digits in pairs.
        (_START, r"0[1-9](?:\.\d{2}){4}", _END, 10, 10),
    )
)
_PHONE_WORD = re.compile(
    r"(?i)(?:(?<!\w)(?:tel|tél|tlf|telefon|telefone|telefono|teléfono|téléphone|telephone|phone|fon|fax|mobile|mobil|cell"
    r"|móvil|cellulare|handy|whatsapp|hotline|телефон|тел|факс|هاتف)|電話|电话|電話番号|手机|携帯|전화)"
    r"(?:[ ]?(?:number|no|nr|n°|#))?(?:[.:：)]{1,3}\s{0,3}|[ \t]{0,3})"
    r"(\+?(?:\(\d{1,5}\)|\d{1,5})(?:[ .()/-]{0,2}\d{1,5}){1,6})(?![ .-]?\d|\w)"
)
# Dates and years, decimals, US social security numbers (not a kind: they must not count as phones), and 00 with nothing
# set off.
_NOT_A_PHONE = re.compile(
    r"\d{1,2}[ ./-]\d{1,2}[ ./-](?:1[89]|20)\d{2}(?!\d)|(?:1[89]|20)\d{2}[ ./-]\d{1,2}[ ./-]\d{1,2}(?!\d)"
    r"|\+?\d+\.\d+\Z|\d{3}-\d{2}-\d{4}\Z|00\d+\Z|(?:(?:1[89]|20)\d{2}[ ./-]?)+\Z"
)

# --- card ------------------------------------------------------------------------------------------------------------
_CARD = re.compile(
    r"(?<![\w.,+-])(?:\d{13,19}|\d{4}([ -])(?:\d{4}\1\d{4}\1\d{1,4}(?:\1\d{3})?|\d{6}\1\d{4,5}))(?!\w|[.,-]\d)"
)
_ISSUERS = (
    # first digits from, to, lengths; ISO/IEC 7812 ranges as the card schemes publish them
    ("4", "4", (13, 16, 19)),
    ("51", "55", (16,)),
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),
    ("37", "37", (15,)),
    ("300", "305", (14, 16, 17, 18, 19)),
    ("36", "36", (14, 15, 16, 17, 18, 19)),
    ("38", "39", (14, 16, 17, 18, 19)),
    ("6011", "6011", (16, 17, 18, 19)),
    ("644", "649", (16, 17, 18, 19)),
    ("65", "65", (16, 17, 18, 19)),
    ("3528", "3589", (16, 17, 18, 19)),
    ("1800", "1800", (15,)),
    ("2131", "2131", (15,)),
    ("62", "62", (16, 17, 18, 19)),
    ("5018", "5018", tuple(range(13, 20))),
    ("5020", "5020", tuple(range(13, 20))),
    ("5038", "5038", tuple(range(13, 20))),
    ("5893", "5893", tuple(range(13, 20))),
    ("6304", "6304", tuple(range(13, 20))),
    ("6759", "6763", tuple(range(13, 20))),
)

# --- IBAN: characters by country, registry of ISO 13616 --------------------------------------------------------------
_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_IBAN_LENGTHS = {country: length for length, names in _IBAN_COUNTRIES.items() for country in names.split()}
_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[A-Za-z0-9]{11,30}|(?:[ ][A-Za-z0-9]{4}){2,7}(?:[ ][A-Za-z0-9]{1,3})?)"
)


class RedactPii(DocumentStage, frozen=True, kw_only=True):
    """Replace personal identifiers of the asked `kinds`; every kind is counted, whether it is replaced or not.

    Where two kinds claim the same characters, the one that starts first wins, then the order email, iban, card, ip,
    phone. A replacement depends on nothing but its kind: equal addresses stay equal, and nothing can be joined across
    documents. Not found: names, street addresses, identity numbers, and addresses written to be unreadable ("jane at
    example dot org").
    """

    reasons: ClassVar[frozenset[str]] = frozenset({"too_much_pii"})
    signals: ClassVar[dict[str, pa.DataType]] = {
        "pii_email": pa.int32(),
        "pii_ip": pa.int32(),
        "pii_phone": pa.int32(),
        "pii_card": pa.int32(),
        "pii_iban": pa.int32(),
    }

    kinds: tuple[Kind, ...] = ("email", "ip", "phone", "card", "iban")
    """What is replaced. Risk: `phone` is the least certain kind (a form, no checksum); leave it out for texts full of
    part numbers."""
    replacement: Literal["placeholder", "remove"] = "placeholder"
    """`placeholder` keeps the sentence whole; `remove` leaves nothing, and so sentences with a hole that a model
    learns."""
    placeholder: Annotated[str, Meta(max_length=100)] = "<{kind}>"
    """What stands in the text; `{kind}` becomes EMAIL, IP_ADDRESS, PHONE, CARD or IBAN. The default follows StarCoder's
    `<EMAIL>`, and can be made one special token. Risk: angle brackets look like a tag to a later HTML parser."""
    private_addresses: bool = False
    """Replace private, local and reserved IP addresses too. They identify nobody, and tutorials are full of
    `192.168.0.1`."""
    maximum_per_document: Annotated[int, Meta(ge=0)] | None = None
    """Drop a document with more identifiers of `kinds` than this (`too_much_pii`); None never drops. Risk of low
    values: contact pages and mailing lists go, also where the text around is good."""

    def build(self) -> Apply:
        """Bind the finders and replacements."""
        finders: tuple[tuple[Kind, Finder], ...] = (
            ("email", find_emails),
            ("iban", find_ibans),
            ("card", find_cards),
            ("ip", lambda text: find_ip_addresses(text, private=self.private_addresses)),
            ("phone", find_phones),
        )
        replacements = {kind: self._replacement_for(kind) for kind in self.kinds}

        def apply(document: Document) -> Document | Drop:
            text = document.text
            spans = _disjoint(
                [(start, order, end) for order, (_, find) in enumerate(finders) for start, end in find(text)]
            )
            counts = dict.fromkeys((kind for kind, _ in finders), 0)
            parts, done = [], 0
            for start, order, end in spans:
                kind = finders[order][0]
                counts[kind] += 1
                if kind in replacements:
                    parts += [text[done:start], replacements[kind]]
                    done = end
            document.text = "".join([*parts, text[done:]])
            document.signals.update({f"pii_{kind}": count for kind, count in counts.items()})
            total = sum(counts[kind] for kind in replacements)
            if self.maximum_per_document is not None and total > self.maximum_per_document:
                return Drop("too_much_pii", total, self.maximum_per_document)
            return document

        return apply

    def _replacement_for(self, kind: Kind) -> str:
        """Return what replaces an identifier of *kind*."""
        name = "IP_ADDRESS" if kind == "ip" else kind.upper()
        return "" if self.replacement == "remove" else self.placeholder.replace("{kind}", name)


def _disjoint(spans: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return the (start, order, end) of *spans* that overlap none before them, in order."""
    chosen: list[tuple[int, int, int]] = []
    for span in sorted(spans):
        if not chosen or span[0] >= chosen[-1][2]:
            chosen.append(span)
    return chosen


def find_emails(text: str) -> Iterator[Span]:
    """Yield the spans of e-mail addresses: a local part of at most 64 characters, a domain with a top level.

    Not handles (`@user@social.example`), `git@` remotes, image names (`logo@2x.png`) or package versions (`x@1.2.3`).

    >>> [("Mail jane.doe@example.org."[a:b]) for a, b in find_emails("Mail jane.doe@example.org.")]
    ['jane.doe@example.org']
    """
    at = text.find("@")
    while at >= 0:
        local = _LOCAL_REVERSED.match(text[max(at - 64, 0) : at][::-1])
        domain = _DOMAIN.match(text, at + 1, at + 1 + _LONGEST_DOMAIN) if local else None
        if local and domain and not local.group().startswith(".") and not _NOT_A_DOMAIN.match(domain.group()):
            name = local.group()[::-1].lstrip(".%+'-")
            start = at - len(name)
            if name and name != "git" and text[max(start - 1, 0) : start] not in ("@", "/"):
                yield start, domain.end()
        at = text.find("@", at + 1)


def find_ip_addresses(text: str, *, private: bool = False) -> Iterator[Span]:
    """Yield the spans of IP addresses, public ones only unless *private*; version and section numbers are none.

    >>> list(find_ip_addresses("from 93.184.215.14, version 93.184.215.14, host 192.168.0.1"))
    [(5, 18)]
    """
    if text.count(".") >= 3:
        for match in _IPV4.finditer(text):
            if _is_ipv4(match.group(), private) and not _VERSION_BEFORE.search(_before(text, match.start())):
                yield match.span()
    if text.count(":") >= 2:
        for match in _IPV6.finditer(text):
            if _is_ipv6(match.group(), private):
                yield match.span()


def _before(text: str, at: int) -> str:
    """Return the few characters before *at*."""
    return text[max(at - _CONTEXT, 0) : at]


def _is_ipv4(address: str, private: bool) -> bool:
    """Return whether *address* is an IPv4 address that counts, and not a version number."""
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    if all(part < _SMALL for part in parsed.packed):
        return False
    return private or (parsed.is_global and not parsed.is_multicast)


def _is_ipv6(address: str, private: bool) -> bool:
    """Return whether *address* is an IPv6 address that counts: written in full, or global unicast (2000::/3)."""
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return False
    if "::" in address and not private:
        return parsed.is_global and parsed.packed[0] >> 5 == 1
    return private or not (parsed.is_private or parsed.is_link_local or parsed.is_multicast)


def find_phones(text: str) -> Iterator[Span]:
    """Yield the spans of phone numbers in international form, in common national forms, or after a word for phone.

    Ten digits in a row are an order number as likely as a phone number, and count only after such a word.

    >>> text = "Call +44 20 7946 0958 or (212) 555-0147, order 2125550147, Tel: 2125550147"
    >>> [text[a:b] for a, b in find_phones(text)]
    ['+44 20 7946 0958', '(212) 555-0147', '2125550147']
    """
    for form, least, most in _PHONE_FORMS:
        for match in form.finditer(text):
            number = match.group()
            digits = sum(character.isdigit() for character in re.split("x|ext", number)[0])
            if least <= digits <= most and not _NOT_A_PHONE.match(number):
                yield match.span()
    for match in _PHONE_WORD.finditer(text):
        digits = sum(character.isdigit() for character in match.group(1))
        if 7 <= digits <= 15 and not _NOT_A_PHONE.match(match.group(1)):
            yield match.span(1)


def find_cards(text: str) -> Iterator[Span]:
    """Yield the spans of payment card numbers: a known issuer, a length it uses, a valid check digit.

    One number in ten passes the check digit alone, so 13 digits that are a valid EAN barcode count as that.

    >>> list(find_cards("4111 1111 1111 1111 is a test card, 4111 1111 1111 1112 is none"))
    [(0, 19)]
    """
    for match in _CARD.finditer(text):
        digits = re.sub("[ -]", "", match.group())
        if digits.isascii() and _has_issuer(digits) and luhn(digits) and not _is_barcode(digits):
            yield match.span()


def _has_issuer(digits: str) -> bool:
    """Return whether an issuer uses the first digits and the length of *digits*."""
    return any(len(digits) in lengths and low <= digits[: len(low)] <= high for low, high, lengths in _ISSUERS)


def _is_barcode(digits: str) -> bool:
    """Return whether *digits* are 13 with the check digit of EAN-13 (GS1 General Specifications)."""
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return len(digits) == 13 and weighted % 10 == 0


def luhn(digits: str) -> bool:
    """Return whether the last of *digits* is the check digit of the others (ISO/IEC 7812-1).

    >>> luhn("79927398713"), luhn("79927398710")
    (True, False)
    """
    doubled = "0246813579"
    total = sum(int(doubled[int(d)] if place % 2 else d) for place, d in enumerate(reversed(digits)))
    return total % 10 == 0


def find_ibans(text: str) -> Iterator[Span]:
    """Yield the spans of bank account numbers: a country of the registry, its length, valid check digits (mod 97).

    >>> list(find_ibans("IBAN DE89 3704 0044 0532 0130 00 at the bank"))
    [(5, 32)]
    """
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match.group()[:2].upper(), 0)
        end = match.start()
        compact = ""
        while len(compact) < length and end < match.end():
            compact += text[end].strip()
            end += 1
        if length and len(compact) == length and not text[end : end + 1].isalnum() and _mod_97(compact.upper()) == 1:
            yield match.start(), end


def _mod_97(iban: str) -> int:
    """Return the remainder that is 1 for valid check digits (ISO 7064, letters as 10 to 35)."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97
