"""Bytes to text: the character encoding of web pages and of plain text files.

Most of a crawl is clean UTF-8, but the rest decides whether Korean, Russian or Chinese pages arrive as text or as
noise. The order follows the WHATWG standards (byte order mark, transport label, declaration in the page) with two checks
that a corpus needs: a label whose bytes do not decode is not believed, and what is valid UTF-8 is UTF-8 under any label.

For pages without a usable label detectors decide (`encoding_detect`). Of real pages encoded anew in 22 legacy encodings and
UTF-16, labelled rightly, wrongly and not at all, more than 99 % come back as they were: benchmarks/results/encodings.md.
Rejected: to believe every label whose bytes decode (21 % of wrongly or rightly labelled pages wrong, most of them because
servers label everything iso-8859-1), and to call everything with one broken byte legacy (a fifth of damaged UTF-8 pages).
"""

from __future__ import annotations

import codecs
import re
from typing import Final

import numpy as np

from corpusmill.stages.encoding_codecs import MULTI_BYTE, decode_as, decode_strictly, not_ascii
from corpusmill.stages.encoding_detect import detect, latin_text, oddness, utf8_runs, words_beyond_ascii

__all__ = ["decode_html", "decode_text", "encoding_name", "find_declaration", "utf8_length"]

_LABELS: Final = """
utf-8: unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf8 x-unicode20utf8
ibm866: 866 cp866 csibm866
iso-8859-2: csisolatin2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2
iso-8859-3: csisolatin3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3
iso-8859-4: csisolatin4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4
iso-8859-5: csisolatincyrillic cyrillic iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988
iso-8859-6: arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6-e iso-8859-6-i iso-ir-127
iso-8859-6: iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987
iso-8859-7: csisolatingreek ecma-118 elot_928 greek greek8 iso-ir-126 iso8859-7 iso88597 iso_8859-7 iso_8859-7:1987
iso-8859-7: sun_eu_greek
iso-8859-8: csiso88598e csisolatinhebrew hebrew iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988
iso-8859-8: visual csiso88598i iso-8859-8-i logical
iso-8859-10: csisolatin6 iso-ir-157 iso8859-10 iso885910 l6 latin6
iso-8859-13: iso8859-13 iso885913
iso-8859-14: iso8859-14 iso885914
iso-8859-15: csisolatin9 iso8859-15 iso885915 iso_8859-15 l9
iso-8859-16:
koi8-r: cskoi8r koi koi8 koi8_r
koi8-u: koi8-ru
macintosh: csmacintosh mac x-mac-roman
windows-874: dos-874 iso-8859-11 iso8859-11 iso885911 tis-620
windows-1250: cp1250 x-cp1250
windows-1251: cp1251 x-cp1251
windows-1252: ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1
windows-1252: iso_8859-1:1987 l1 latin1 us-ascii x-cp1252 x-user-defined
windows-1253: cp1253 x-cp1253
windows-1254: cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 x-cp1254
windows-1255: cp1255 x-cp1255
windows-1256: cp1256 x-cp1256
windows-1257: cp1257 x-cp1257
windows-1258: cp1258 x-cp1258
x-mac-cyrillic: x-mac-ukrainian
gb18030: chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk
big5: big5-hkscs cn-big5 csbig5 x-x-big5
euc-jp: cseucpkdfmtjapanese x-euc-jp
iso-2022-jp: csiso2022jp
shift_jis: csshiftjis ms932 ms_kanji shift-jis sjis windows-31j x-sjis
euc-kr: cseuckr csksc56011987 iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949
utf-16be: unicodefffe
utf-16le: csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16
"""
"""The labels of the WHATWG Encoding Standard, behind the name that we report; gbk is read as its superset gb18030."""

_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16be"), (codecs.BOM_UTF16_LE, "utf-16le"))
_WRITTEN_AS: Final = {
    "iso-8859-2": "windows-1250",
    "iso-8859-4": "windows-1257",
    "iso-8859-5": "windows-1251",
    "iso-8859-6": "windows-1256",
    "iso-8859-7": "windows-1253",
    "iso-8859-8": "windows-1255",
    "iso-8859-13": "windows-1257",
    "iso-8859-15": "windows-1252",
}
"""Windows encodings that authors wrote under the name of the ISO standard for their script."""
_RUNS: Final = 0.6
_RUNS_LABELLED: Final = 0.5
"""What `utf8_runs` must give for bytes that are not clean UTF-8 and not labelled, or labelled, as UTF-8."""
_SAMPLE: Final = 65_536
_SAMPLE_BEYOND_ASCII: Final = 2_000
_TAGS: Final = 300
_ODD: Final = 2
_ODD_SHARE: Final = 0.05
"""How odd the text under a label may be: so many places, and so many in each byte beyond ASCII."""
_PRESCAN_BYTES: Final = 1024
_LATE_DECLARATION_BYTES: Final = 32_768


def _table(*sources: str) -> dict[str, str]:
    """Return label -> name for the label tables above."""
    lines = [line.split(":", 1) for source in sources for line in source.strip().splitlines()]
    return {label: name for name, labels in lines for label in (name, *labels.split())}


_NAMES: Final = _table(_LABELS)


def encoding_name(label: str | None) -> str | None:
    """Return the encoding that the web means by *label*, or None for a label that it does not know.

    Source: WHATWG Encoding Standard, "names and labels".

    >>> encoding_name(" ISO-8859-1 "), encoding_name("ks_c_5601-1987"), encoding_name("base64")
    ('windows-1252', 'euc-kr', None)
    """
    return _NAMES.get(label.strip("\t\n\f\r ").lower()) if label else None


def decode_html(data: bytes, declared: str | None = None) -> tuple[str, str]:
    """Return the text of a page and the name of the encoding that was used. Never raises.

    *declared* is the transport's label (`charset` of the HTTP Content-Type). Order: byte order mark, UTF-8 if all bytes
    agrees, UTF-8 with some broken places (they become U+FFFD), transport label, `<meta>` or XML declaration, a declaration
    that comes late, detectors, windows-1252. The departures from the standard are there because crawls hold many
    mislabelled pages: a label is passed over when the bytes do not decode under it or give what nobody writes, and bytes
    that are UTF-8 are UTF-8 under every label (legacy text that happens to be valid UTF-8 is shorter than a sentence).

    >>> decode_html("<p>한국어</p>".encode("euc-kr"), "euc-kr")
    ('<p>한국어</p>', 'euc-kr')
    >>> decode_html('<meta charset="iso-8859-1"><p>é</p>'.encode())[1]
    'utf-8'
    """
    if not isinstance(data, bytes):
        data = bytes(data)
    marked = _by_mark(data) or _wide(data, encoding_name(declared))
    if marked:
        return marked
    unmistakable = _unmistakable(data)
    if unmistakable:
        return unmistakable
    labels = (encoding_name(declared), find_declaration(data[:_PRESCAN_BYTES]))
    return _damaged_utf8(data, labels) or _labelled(data, labels) or _undeclared(data, late=True)


def utf8_length(data: bytes, declared: str | None = None) -> int | None:
    """Return the characters of a page that `decode_html` reads as UTF-8 as it stands, or None for others and broken ones.

    For those who go on with the bytes: making a string of a page takes longer than all else that is done to find its encoding.
    """
    from corpusmill.stages.kernels.utf8 import utf8_characters

    if not isinstance(data, bytes):
        data = bytes(data)
    if any(data.startswith(mark) for mark, _ in _BOMS) or _has_escapes(data) or _wide(data, encoding_name(declared)):
        return None
    count = utf8_characters(np.frombuffer(data, np.uint8))
    return None if count < 0 else int(count)


def decode_text(data: bytes) -> tuple[str, str]:
    """Return the text of a plain text file and the name of the encoding that was used. Never raises.

    Order: byte order mark, UTF-16 by its zero bytes, UTF-8, detectors, windows-1252.

    >>> decode_text("naïve".encode("utf-16"))
    ('naïve', 'utf-16le')
    """
    if not isinstance(data, bytes):
        data = bytes(data)
    found = _by_mark(data) or _wide(data, None) or _unmistakable(data) or _damaged_utf8(data, ())
    return found or _undeclared(data, late=False)


def _by_mark(data: bytes) -> tuple[str, str] | None:
    """Return the text behind a byte order mark, which outranks every other sign."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace"), name
    return None


def _wide(data: bytes, name: str | None) -> tuple[str, str] | None:
    """Return the text of unmarked UTF-16, known by its zero bytes: markup and spaces are ASCII in every language.

    Binary rubbish also holds zero bytes; it must besides decode without an error. Where the zeros lie is believed before a
    label, since "utf-16" is also written on big-endian pages.
    """
    head = data[:4096]
    if head.count(0) * 20 < len(head) or len(head) < 4:
        return None
    odd, even = head[1::2].count(0), head[::2].count(0)
    if max(odd, even) > 10 * min(odd, even) or name not in ("utf-16le", "utf-16be"):
        if max(odd, even) * 5 < len(head) // 2 or min(odd, even) * 10 > max(odd, even):
            return None
        name = "utf-16le" if odd > even else "utf-16be"
    text = decode_strictly(data, name)
    return None if text is None else (text, name)


def _unmistakable(data: bytes) -> tuple[str, str] | None:
    """Return text and encoding of bytes that can hardly be anything else: iso-2022-jp (escape sequences), UTF-8."""
    if _has_escapes(data):
        text = decode_as(data, "iso-2022-jp")
        if text is not None:
            return text, "iso-2022-jp"
    text = decode_strictly(data, "utf-8")
    return None if text is None else (text, "utf-8")


def _has_escapes(data: bytes) -> bool:
    """Return whether there are escape sequences of iso-2022-jp; looking for the one byte first is much faster."""
    return 0x1B in data and b"\x1b$" in data


def _damaged_utf8(data: bytes, labels: tuple[str | None, ...]) -> tuple[str, str] | None:
    """Return the text of UTF-8 with some broken places, which may outnumber the whole ones where that is the label."""
    sample = not_ascii(data[:_SAMPLE])[:_SAMPLE_BEYOND_ASCII] or not_ascii(data)[:_SAMPLE_BEYOND_ASCII]
    text = None
    # Most pages that come here are in a legacy encoding; these are told from their first characters.
    if sample.decode("utf-8", "replace").count("\ufffd") * 6 < len(sample):
        text = decode_as(data, "utf-8")
    if text is None and utf8_runs(data) >= (_RUNS_LABELLED if "utf-8" in labels else _RUNS):
        text = data.decode("utf-8", "replace")
    return None if text is None else (text, "utf-8")


def _labelled(data: bytes, labels: tuple[str | None, ...]) -> tuple[str, str] | None:
    """Return the text under the first label that can be believed."""
    for label in labels:
        name = _closest(data, label) if label else None
        text = decode_as(data, name)
        if name and text is not None and _plausible(data, name):
            return text, name
    return None


def _closest(data: bytes, name: str) -> str:
    """Return *name*, or the windows encoding that is written under it: one that has characters where ISO has controls."""
    other = _WRITTEN_AS.get(name)
    if other is None:
        return name
    words = words_beyond_ascii(data)
    if not (_C1.search(words) or (name == "iso-8859-7" and _ACCENTED_ALPHA.search(words))):
        return name
    text, written = decode_as(words, name), decode_as(words, other)
    return other if written is not None and (text is None or oddness(written) <= oddness(text)) else name


def _plausible(data: bytes, name: str) -> bool:
    """Return whether somebody can have written what *data* gives as *name*.

    Servers put the label iso-8859-1 (or none, which means the same) on pages of every language.
    """
    if name in MULTI_BYTE or name == "utf-8":
        return True
    if name == "windows-1252" and not latin_text(data):
        return False
    words = words_beyond_ascii(data, _TAGS)
    return oddness(decode_as(words, name) or "") <= _ODD + _ODD_SHARE * len(not_ascii(words))


def _undeclared(data: bytes, *, late: bool) -> tuple[str, str]:
    """Return text and encoding of bytes for which no trustworthy label is known."""
    if late:
        # Browsers start over when a declaration comes after the first 1,024 bytes.
        found = _labelled(data, (find_declaration(data[:_LATE_DECLARATION_BYTES]),))
        if found:
            return found
    name = detect(data)
    text = decode_as(data, name)
    if name and text is not None:
        return text, name
    return decode_as(data, "windows-1252") or "", "windows-1252"


_C1: Final = re.compile(rb"[\x80-\x9f]")
_ACCENTED_ALPHA: Final = re.compile(rb"(?<![\xb8-\xfe])\xa2[\xe1-\xfe]")  # of windows-1253; a quote in iso-8859-7
_META: Final = re.compile(rb"<meta[\t\n\f\r /]", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(
    rb"""[\t\n\f\r /]*([^\t\n\f\r />=][^\t\n\f\r />=]*|=[^\t\n\f\r />=]*)"""
    rb"""(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r >"'][^\t\n\f\r >]*)?))?"""
)
_CHARSET: Final = re.compile(rb"""charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^"]*)"|'([^']*)'|([^\t\n\f\r ;"']+))""")
_XML: Final = re.compile(rb"""<\?xml[^>]{0,400}?encoding[\t\n\f\r ]*=[\t\n\f\r ]*(?:"([^">]*)"|'([^'>]*)')""")


def find_declaration(head: bytes) -> str | None:
    """Return the encoding that the first bytes of a page declare by `<meta>` or XML declaration, or None.

    Source: the prescan of the HTML Standard: comments are skipped, of `<meta>` elements the first with a known label
    counts, and a page that declares UTF-16 in ASCII bytes means UTF-8. The caller limits *head* (browsers: 1,024).

    >>> find_declaration(b"<!-- <meta charset=big5> --><META http-equiv=Content-Type content='a; charset=GB2312'>")
    'gb18030'
    """
    lower = head.lower()
    if b"charset" not in lower and b"encoding" not in lower:
        return None
    at = 0
    while (at := head.find(b"<", at)) >= 0:
        if head.startswith(b"<!--", at):
            end = head.find(b"-->", at + 2)
            if end < 0:
                break
            at = end + 3
        elif _META.match(head, at):
            attributes, at = _attributes(head, at + 5)
            name = _meta_encoding(attributes)
            if name:
                return _in_ascii(name)
        elif head[at + 1 : at + 2].isalpha() or (head[at + 1 : at + 2] == b"/" and head[at + 2 : at + 3].isalpha()):
            found = _TAG_NAME.match(head, at + 1)
            _, at = _attributes(head, found.end() if found else at + 1)
        else:
            end = head.find(b">", at) if head[at + 1 : at + 2] in (b"!", b"/", b"?") else at
            at = (end if end >= 0 else len(head)) + 1
    found = _XML.match(head)
    return _in_ascii(encoding_name(_first(found))) if found else None


_TAG_NAME: Final = re.compile(rb"[^\t\n\f\r >]*")


def _attributes(head: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """Return the attributes of the tag whose name ends at *at* (the first of a kind counts), and where the tag ends."""
    attributes: dict[bytes, bytes] = {}
    while found := _ATTRIBUTE.match(head, at):
        value = next((v for v in found.groups()[1:] if v is not None), b"")
        attributes.setdefault(found[1].lower(), value)
        at = found.end()
    end = head.find(b">", at)
    return attributes, end + 1 if end >= 0 else len(head)


def _meta_encoding(attributes: dict[bytes, bytes]) -> str | None:
    """Return the encoding that a `<meta>` element with these attributes declares."""
    if b"charset" in attributes:
        return encoding_name(attributes[b"charset"].decode("latin-1"))
    if attributes.get(b"http-equiv", b"").strip().lower() == b"content-type":
        found = _CHARSET.search(attributes.get(b"content", b"").lower())
        return encoding_name(_first(found)) if found else None
    return None


def _first(found: re.Match[bytes]) -> str:
    """Return the group that took part in a match."""
    return next((group for group in found.groups() if group is not None), b"").decode("latin-1")


def _in_ascii(name: str | None) -> str | None:
    """Return what a declaration readable as ASCII can mean: it cannot be UTF-16."""
    return "utf-8" if name in ("utf-16le", "utf-16be") else name
