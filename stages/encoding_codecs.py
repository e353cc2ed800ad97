"""Decoding as the web means a name: Python's codecs, completed where the WHATWG Encoding Standard goes further.

Python's own tables are close to the standard's, but not the same, and the differences sit on characters of every day: in Big5
the middle dot and the euro sign, in EUC-JP and ISO-2022-JP the wave dash, the minus sign, circled numbers and the signs for
companies, in GBK the euro sign, in the windows encodings the bytes that nobody defined. 18 of 41 Big5 pages came back with one
wrong character or more before. Rejected: a table of our own for each encoding (24,000 rows for what these lines say).
"""

from __future__ import annotations

import codecs
from typing import Final

__all__ = ["MULTI_BYTE", "decode_as", "decode_strictly", "first_error", "not_ascii"]

MULTI_BYTE: Final = frozenset({"big5", "euc-jp", "euc-kr", "gb18030", "iso-2022-jp", "shift_jis"})
"""Names of the encodings in which a character can take two bytes, Unicode's aside."""

_CODECS: Final = {
    "big5": "big5hkscs",
    "euc-jp": "euc_jp",
    "euc-kr": "cp949",
    "ibm866": "cp866",
    "iso-2022-jp": "iso2022_jp_ext",
    "macintosh": "mac_roman",
    "shift_jis": "cp932",
    "windows-874": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
}
"""Python's codec for a name; a name that is not here is its own codec. Python's own euc_kr, shift_jis and gb2312 lack
characters that pages under these labels use every day."""

_JAPANESE: Final = str.maketrans("〜‖−¢£¬", "～∥－￠￡￢")
_CHARACTERS: Final[dict[str, dict[int, int] | dict[int, str]]] = {
    "big5": str.maketrans("•､‾∼♁☉¥¢£", "‧﹑¯～⊕⊙￥￠￡"),
    "euc-jp": _JAPANESE,
    "iso-2022-jp": _JAPANESE,
    "shift_jis": dict.fromkeys(range(0xF8F0, 0xF8F4), "\ufffd"),
}
"""Characters that Python's codec gives where the standard has another one."""

_WIDE_CODECS: Final = frozenset({"utf-16le", "utf-16be"})
_BROKEN_SHARE: Final = 0.1
"""Share of characters outside ASCII that may be broken in UTF-8. Legacy text read as UTF-8 is broken in 40 to 100 %."""
_BROKEN_SHARE_LEGACY: Final = 0.02
"""The same for other encodings, in which wrong text decodes with far fewer errors."""
_HEAD: Final = 65_536
_ASCII: Final = bytes(range(128))
_C1: Final = bytes(range(0x80, 0xA0))


def not_ascii(data: bytes) -> bytes:
    """Return the bytes beyond ASCII, in their order."""
    return data.translate(None, _ASCII)


def decode_as(data: bytes, name: str | None) -> str | None:
    """Return *data* decoded as *name*, with U+FFFD for a little that is broken, or None where too much does not decode.

    At most one character beyond ASCII in ten may be broken in UTF-8, one in fifty in another encoding.
    """
    if name is None:
        return None
    text = decode_strictly(data, name)
    if text is not None or name in _WIDE_CODECS:
        return text
    if name == "utf-8":
        text = data.decode(name, "replace")
        ascii_characters = len(data) - len(not_ascii(data))
        return text if text.count("\ufffd") <= _BROKEN_SHARE * (len(text) - ascii_characters) else None
    # Each broken byte costs a call; a wrong name shows in the first of them.
    return _tolerantly(data, name) if len(data) <= _HEAD or _tolerantly(data[:_HEAD], name, 4.0) is not None else None


def _tolerantly(data: bytes, name: str, factor: float = 1.0) -> str | None:
    """Return *data* with U+FFFD for what is broken, or None for more of it than *factor* times the usual share."""
    text = data.decode(_CODECS.get(name, name), _REPLACE)
    share = text.count("\ufffd") * (2 if name in MULTI_BYTE else 1)
    return _corrected(text, name) if share <= factor * _BROKEN_SHARE_LEGACY * len(not_ascii(data)) else None


def decode_strictly(data: bytes, name: str) -> str | None:
    """Return *data* decoded as *name* without any error, but for a last character that the crawler cut in two.

    The cut is only believed behind other characters beyond ASCII: a lone 0xE9 at the end is an "é" of windows-1252.
    """
    codec = _CODECS.get(name, name)
    try:
        return _corrected(data.decode(codec, _EXTEND), name)
    except UnicodeError:
        pass
    decoder = codecs.getincrementaldecoder(codec)(_EXTEND)
    try:
        text = decoder.decode(data, final=False)
    except UnicodeError:
        return None
    return None if text.isascii() else _corrected(text, name)


def first_error(data: bytes, name: str) -> int | None:
    """Return the place of the first byte of *data* that *name* does not know, or None. A cut at the end is no error."""
    try:
        codecs.getincrementaldecoder(_CODECS.get(name, name))(_EXTEND).decode(data, final=False)
    except UnicodeDecodeError as error:
        return error.start
    return None


def _corrected(text: str, name: str) -> str:
    """Return *text* with the standard's characters in place of Python's."""
    table = _CHARACTERS.get(name)
    return text.translate(table) if table else text


def _defined(error: UnicodeError) -> tuple[str, int]:
    """Return what the standard reads at the place where Python's codec stops; raise *error* where it stops too."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    at, data, codec = error.start, error.object, error.encoding
    if codec == "charmap":
        if data[at] in _C1:
            return chr(data[at]), at + 1
    elif codec == "big5hkscs":
        if data.startswith(b"\xa3\xe1", at):
            return "€", at + 2
    elif codec == "gb18030":
        if data[at] == 0x80:
            return "€", at + 1
    elif codec in ("euc_jp", "iso2022_jp_ext") and len(data) > at + 1:
        row, cell = data[at] & 0x7F, data[at + 1] & 0x7F
        if row in _VENDOR_ROWS and 0x21 <= cell <= 0x7E and (data[at] ^ data[at + 1]) < 0x80:
            return _vendor_character(row, cell, error), at + 2
    raise error


_VENDOR_ROWS: Final = frozenset({0x2D, 0x79, 0x7A, 0x7B, 0x7C})
"""Rows that NEC and IBM added to JIS X 0208: circled numbers, Roman numerals, units, company signs, rarer names."""


def _vendor_character(row: int, cell: int, error: UnicodeDecodeError) -> str:
    """Return the character at a place of JIS X 0208, read by way of Shift_JIS, whose codec knows the added rows."""
    first = ((row - 0x21) >> 1) + (0x81 if row < 0x5F else 0xC1)
    second = cell + (0x7E if row % 2 == 0 else 0x20 if cell >= 0x60 else 0x1F)
    try:
        return bytes([first, second]).decode("cp932")
    except UnicodeDecodeError:
        raise error from None


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Return what the standard reads at the place where Python's codec stops, or U+FFFD."""
    try:
        return _defined(error)
    except UnicodeDecodeError as undefined:
        return "\ufffd", undefined.end


_EXTEND: Final = "corpusmill.extend"
_REPLACE: Final = "corpusmill.replace"
codecs.register_error(_EXTEND, _defined)
codecs.register_error(_REPLACE, _replaced)
