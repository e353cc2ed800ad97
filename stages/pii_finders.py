"""Personal identifiers and secrets that have a form of their own, and the proof that each of them has to give.

A wrong redaction destroys text for good: cards and accounts are known by checksum and issuer, IP addresses by being public,
phone numbers by a national or international form or by a word such as "Tel." in front, secrets by prefix and length. Names and
street addresses have no form; finding them takes a model, and presidio with one is a 653 MB install before the model.

Every pattern has an upper length and is tried only at the candidates of pii_candidates.py, so the work is linear in the text.
Published patterns were rejected for their cost on hostile text: those of datatrove take 1.2 s for 20 kB of `a.a.a.`, because
each start scans to the end.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from corpusmill.stages.pii_candidates import CALL, PHONE_WORDS, Candidates, find_candidates
from corpusmill.stages.secret_forms import PRIVATE_KEY, SECRET, is_example

__all__ = [
    "Span",
    "cards_at",
    "emails_at",
    "find_cards",
    "find_emails",
    "find_ibans",
    "find_ip_addresses",
    "find_phones",
    "find_secrets",
    "ibans_at",
    "ip_addresses_at",
    "luhn",
    "phones_at",
    "secrets_at",
]

Span = tuple[int, int]

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
_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){1,7}(?::?[0-9A-Fa-f]{1,4}){0,6}:{0,2}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?(?![\w:])"
)
_VERSION_BEFORE = re.compile(
    r"(?i)(?:\b(?:v|ver|vers|version\w*|versión|versão|версия|release|rel|rev|revision|firmware|build|update|upgrade|patch|section"
    r"|chapter|rfc|driver|kernel|plugin|player|client|package|library|module|sdk|api|app|bios|runtime|framework|edition)"
    r"[.:]?[ \t]*|[A-Za-z][A-Za-z0-9_-]*[/=<>~^-]{1,2}[ \t]?v?)\Z"
)
_VERSION_AFTER = re.compile(
    r"(?i)[-+~_](?:alpha|beta|rc|dev|pre|post|final|release|snapshot|generic|hotfix|patch|build|sp)\d{0,3}\b"
)
# The name of a program, as in "iTunes 12.30.1.3": a word with a capital, where the first part is low or the second 0.
_NAME_BEFORE = re.compile(r"(?<!\w)(?=[a-z]*[A-Z])([A-Za-z][A-Za-z0-9+-]*)[ \t]\Z")
_NOT_A_PROGRAM = frozenset(
    (
        *(
            "address",
            "at",
            "by",
            "client",
            "dns",
            "from",
            "gateway",
            "host",
            "ip",
            "ipv4",
            "is",
            "node",
            "peer",
            "ping",
        ),
        *("proxy", "router", "server", "to", "user", "via"),
    )
)
_HIGHEST_MAJOR = 30
_BETWEEN_VERSIONS = re.compile(r"\s*(?:[,;/&–-]|and|or|to|through|until)?\s*")
_CONTEXT = 24
_SMALL = 20  # four parts below it are a version or a section number: 1 public address in 27,000 looks like that

# --- phone -----------------------------------------------------------------------------------------------------------
_START, _LISTED_START, _PLUS_START = r"(?<![\w+.,/=&%#@-])(?<!\d[ ])", r"(?<![\w+.,/=&%#@-])", r"(?<![\w+=&%#@])"
_END, _HYPHEN_END = r"(?![ .-]?\d|[\w@%])", r"(?![.-]?\d|[\w@%])"
_EXTENSION = r"(?:[ ]?(?:x|ext\.?)[ ]?\d{1,5})?"
_INTERNATIONAL = r"[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,5}(?:[ ./-]?\d{2,5}){1,5}"
_PHONE_FORMS = tuple(
    (firsts, re.compile(start + form + _EXTENSION + end), least, most)
    for firsts, start, form, end, least, most in (
        # International: + or 00, country code, groups. E.164 allows 15 digits.
        ("+", _PLUS_START, rf"\+{_INTERNATIONAL}", _END, 9, 15),
        ("0", _START, rf"00{_INTERNATIONAL}", _END, 11, 17),
        # North America: area code in brackets or set off, seven digits in two groups.
        (
            "(123456789",
            _LISTED_START,
            r"(?:1[ .-])?(?:\([2-9]\d{2}\)[ ]?|[2-9]\d{2}[-.])\d{3}[-.]\d{4}",
            _HYPHEN_END,
            10,
            11,
        ),
        # Trunk prefix 0 with area code in brackets, or set off by a blank, slash or hyphen: most of Europe, Asia,
        # Australia.
        ("(", _START, r"\(0\d{1,4}\)[ ]?\d{2,8}(?:[ -]\d{2,6}){0,3}", _END, 8, 12),
        ("0", _START, r"0\d{1,3}[ /-]\d{2,8}(?:[ -]\d{2,6}){0,3}", _END, 9, 12),
        ("0", _START, r"0\d{4}[ /-]\d{2,8}(?:[ -]\d{2,6}){0,3}", _END, 10, 12),
        # Brazil: two-digit area code in brackets, mobile numbers with a 9 in front.
        ("(", _LISTED_START, r"\(\d{2}\)[ ]?9?\d{4}-\d{4}", _HYPHEN_END, 10, 11),
        # France, Belgium: 0 and nine digits in pairs.
        ("0", _START, r"0[1-9](?:\.\d{2}){4}", _END, 10, 10),
    )
)
# Digits one by one, because groups of some digits in a row can be cut up in thousands of ways: a text of `+1234567/111…` took
# 1,000 steps for each character. What is in no such shape is in no form.
_ANY_NUMBER = r"\+?\(?\d(?:[ .()/-]{0,3}\d)"
_PHONE_SHAPE = re.compile(rf"{_ANY_NUMBER}{{7,16}}{_EXTENSION}(?![.-]?\d|[\w@%])")
_PHONE_WORD = re.compile(
    rf"(?i)(?:(?<!\w)(?:{'|'.join(PHONE_WORDS)}|{CALL})|電話|电话|電話番号|手机|携帯|전화)"
    r"(?:[ ]?(?:number|no|nr|n°|#))?(?:[.:：)]{1,3}\s{0,3}|[ \t]{0,3})"
    rf"({_ANY_NUMBER}{{6,14}})(?![ .-]?\d|\w)"
)
_WORD_BEFORE = (
    30  # characters from the start of a word for phone to the first digit, at most; 26 by the longest of each part
)
_NUMBER = 100  # characters from the first digit on that the pattern may look at: the rest of a prefix, and 15 digits with gaps
# Dates and years, decimals, US social security numbers (not a kind: they must not count as phones), and 00 with nothing
# set off.
_NOT_A_PHONE = re.compile(
    r"\d{1,2}[ ./-]\d{1,2}[ ./-](?:1[89]|20)\d{2}(?!\d)|(?:1[89]|20)\d{2}[ ./-]\d{1,2}[ ./-]\d{1,2}(?!\d)"
    r"|\+?\d+\.\d+\Z|\d{3}-\d{2}-\d{4}\Z|00\d+\Z|(?:(?:1[89]|20)\d{2}[ ./-]?)+\Z"
)

_OTHER_NUMBER = re.compile(
    r"(?i)\b(?:part|item|order|invoice|serial|model|article|reference|ref|sku|isbn|issn|ssn|tracking|ticket|case|patent|lot|batch"
    r"|catalog|catalogue|product)[ ]?(?:no|nr|number|code|id|#)?[.:#]{0,2}[ ]{0,2}\Z"
)

# --- card ------------------------------------------------------------------------------------------------------------
_CARD = re.compile(
    r"(?<![\w.,+-])(?:[0-9]{12,19}|[0-9]{4}([ -])(?:[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1[0-9]{3})?|[0-9]{6}\1[0-9]{4,5}))"
    r"(?!\w|[.,-]\d)"
)
_CARD_BEFORE = re.compile(
    r"(?i)(?<!\w)(?:cards?|cc|visa|mastercard|amex|maestro|jcb|discover|kreditkarten?|karten?|carte|tarjeta|carta|cartão|карт\w{1,2})"
    r"[^0-9\n]{0,24}\Z"
)
_CARD_CONTEXT = 40
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

# --- private key ------------------------------------------------------------------------------------------------------
_LONGEST_KEY = 20_000  # characters; an RSA key of 16,384 bits takes 12,600
# One class and nothing beside it: a written-out line break is a backslash and an n, and as a form of its own besides these two it
# doubled the ways to read a key with every line (1.6 s for 22 of them, where the body did not end as one).
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=\s\\:,._()-]{40,}", re.ASCII)

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
    r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[A-Za-z0-9]{11,30}|(?:[ ][A-Za-z0-9]{4}){2,7}(?:[ ][A-Za-z0-9]{1,3})?)"
)


def find_emails(text: str) -> Iterator[Span]:
    """Yield the spans of e-mail addresses: a local part of at most 64 characters, a domain with a top level.

    Not handles (`@user@social.example`), `git@` remotes, image names (`logo@2x.png`) or package versions (`x@1.2.3`).

    >>> [("Mail jane.doe@example.org."[a:b]) for a, b in find_emails("Mail jane.doe@example.org.")]
    ['jane.doe@example.org']
    """
    return emails_at(text, find_candidates(text).emails)


def emails_at(text: str, signs: Iterable[int]) -> Iterator[Span]:
    """Yield the spans of the e-mail addresses whose `@` is at one of *signs*."""
    for at in signs:
        local = _LOCAL_REVERSED.match(text[max(at - 64, 0) : at][::-1])
        domain = _DOMAIN.match(text, at + 1, at + 1 + _LONGEST_DOMAIN) if local else None
        if local and domain and not local.group().startswith(".") and not _NOT_A_DOMAIN.match(domain.group()):
            name = local.group()[::-1].lstrip(".%+'-")
            start = at - len(name)
            if name and name != "git" and text[max(start - 1, 0) : start] not in ("@", "/"):
                yield start, domain.end()


def find_ip_addresses(text: str, *, private: bool = False) -> Iterator[Span]:
    """Yield the spans of IP addresses, public ones only unless *private*; version and section numbers are none.

    >>> list(find_ip_addresses("from 93.184.215.14, version 93.184.215.14, host 192.168.0.1"))
    [(5, 18)]
    """
    return ip_addresses_at(text, find_candidates(text, private=private), private=private)


def ip_addresses_at(text: str, found: Candidates, *, private: bool) -> Iterator[Span]:
    """Yield the spans of the IP addresses that start at one of the candidates *found*."""
    version_end = -1
    for match in _matches(_IPV4, text, found.ipv4):
        start, end = match.span()
        if _is_version(text, start, end) or (version_end >= 0 and _is_between(text, version_end, start)):
            version_end = end
        elif _is_ipv4(match.group(), private):
            yield start, end
    for match in _matches(_IPV6, text, found.ipv6):
        if _is_ipv6(match.group(), private):
            yield match.span()


def _matches(pattern: re.Pattern[str], text: str, positions: Iterable[int]) -> Iterator[re.Match[str]]:
    """Yield what `pattern.finditer(text)` would, if it matches at no other positions."""
    done = 0
    for position in positions:
        match = pattern.match(text, position) if position >= done else None
        if match:
            yield match
            done = match.end()


def _is_version(text: str, start: int, end: int) -> bool:
    """Return whether the words around say that four numbers are a version."""
    before = text[max(start - _CONTEXT, 0) : start]
    if _VERSION_BEFORE.search(before) or _VERSION_AFTER.match(text, end):
        return True
    first, second, *_ = text[start:end].split(".")
    name = _NAME_BEFORE.search(before) if int(first) < _HIGHEST_MAJOR or second == "0" else None
    return name is not None and name.group(1).lower() not in _NOT_A_PROGRAM


def _is_between(text: str, end: int, start: int) -> bool:
    """Return whether there is so little between two numbers that what one is, the other is too."""
    return start - end <= _CONTEXT and _BETWEEN_VERSIONS.fullmatch(text, end, start) is not None


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
    found = find_candidates(text)
    return phones_at(text, found.phones, found.spoken_phones)


def phones_at(text: str, starts: Iterable[int], spoken: Iterable[int]) -> Iterator[Span]:
    """Yield the spans of the phone numbers that start at one of *starts*, or behind a word and with a first digit in *spoken*.

    What has a form and is none, such as a date, does not hide a number that starts inside it.
    """
    yield from dict.fromkeys([*_phones_by_form(text, starts), *_phones_by_word(text, spoken)])


def _phones_by_form(text: str, starts: Iterable[int]) -> Iterator[Span]:
    done = [0] * len(_PHONE_FORMS)
    for start in starts:
        if not _PHONE_SHAPE.match(text, start):
            continue
        for number, (firsts, form, least, most) in enumerate(_PHONE_FORMS):
            if text[start] in firsts and start >= done[number] and (match := form.match(text, start)):
                digits = _count_digits(re.split("x|ext", match.group())[0])
                is_phone = least <= digits <= most and not _NOT_A_PHONE.match(match.group())
                if is_phone and not _is_other_number(text, start):
                    yield match.span()
                    done[number] = match.end()


def _phones_by_word(text: str, spoken: Iterable[int]) -> Iterator[Span]:
    done = 0
    for digit in spoken:
        match = _PHONE_WORD.search(text, max(done, digit - _WORD_BEFORE), digit + _NUMBER)
        if match and match.start() < digit:
            done = match.end()
            if not _NOT_A_PHONE.match(match.group(1)):
                yield match.span(1)


def _is_other_number(text: str, start: int) -> bool:
    """Return whether the word before says what else a number in a national form is."""
    return text[start] != "+" and _OTHER_NUMBER.search(text[max(start - _CONTEXT, 0) : start]) is not None


def _count_digits(number: str) -> int:
    return sum(character.isdigit() for character in number)


def find_cards(text: str) -> Iterator[Span]:
    """Yield the spans of payment card numbers: a valid check digit, and a known issuer and a length it uses or a word for card.

    One number in ten passes the check digit alone, so 13 digits that are a valid EAN barcode count as that.

    >>> list(find_cards("4111 1111 1111 1111 is a test card, 4111 1111 1111 1112 is none"))
    [(0, 19)]
    """
    return cards_at(text, find_candidates(text).cards)


def cards_at(text: str, starts: Iterable[int]) -> Iterator[Span]:
    """Yield the spans of the card numbers that start at one of *starts*."""
    for match in _matches(_CARD, text, starts):
        digits = re.sub("[ -]", "", match.group())
        if luhn(digits) and not _is_barcode(digits) and (_has_issuer(digits) or _is_called_card(text, match.start())):
            yield match.span()


def _is_called_card(text: str, start: int) -> bool:
    """Return whether a word for card stands before *start*."""
    return _CARD_BEFORE.search(text[max(start - _CARD_CONTEXT, 0) : start]) is not None


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
    return ibans_at(text, find_candidates(text).ibans)


def ibans_at(text: str, starts: Iterable[int]) -> Iterator[Span]:
    """Yield the spans of the account numbers that start at one of *starts*."""
    for match in _matches(_IBAN, text, starts):
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


def find_secrets(text: str) -> Iterator[Span]:
    """Yield the spans of keys and tokens of the forms in secret_forms.py, and of private keys from first to last line.

    >>> [("key=AKIAQ3EGRVZ7KD5WMT2A;"[a:b]) for a, b in find_secrets("key=AKIAQ3EGRVZ7KD5WMT2A;")]
    ['AKIAQ3EGRVZ7KD5WMT2A']
    """
    return secrets_at(text, find_candidates(text).secrets)


def secrets_at(text: str, starts: Iterable[int]) -> Iterator[Span]:
    """Yield the spans of the secrets that start at one of *starts*."""
    done = 0
    for start in starts:
        if start < done:
            continue
        span = _private_key(text, start) if text[start] == "-" else _token(text, start)
        if span:
            yield span
            done = span[1]


def _token(text: str, start: int) -> Span | None:
    match = SECRET.match(text, start)
    return match.span() if match and not is_example(match.group()) else None


def _private_key(text: str, start: int) -> Span | None:
    """Return the span of the private key that starts at *start*: its last line must be there, and a key before it."""
    first = PRIVATE_KEY.match(text, start)
    if not first:
        return None
    rule, last = "-----", f"-----END {first.group(1)}-----"
    at = text.find(rule, first.end(), first.end() + _LONGEST_KEY)
    if at < 0 or not text.startswith(last, at) or not _KEY_BODY.fullmatch(text, first.end(), at):
        return None
    return start, at + len(last)
