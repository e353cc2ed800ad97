"""JSON as people write it into pages: read strictly where it is JSON, else as far as it makes sense.

Of 1,219 JSON-LD blocks in 1,497 mixed pages, 23 that are not empty are not JSON: line breaks inside strings, comments, quotes
inside strings that should be escaped, objects in a row, missing commas, typographic quotes. msgspec reads the others.
`json.loads(strict=False)` was rejected for the rest: it reads line breaks and nothing else, and how deep it can go depends
on how deep its caller stands.

The reader is one loop over a list of open objects and lists, so no input makes it recurse, and it never goes back: 2 MB of
the worst input that was found take a quarter of a second.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

__all__ = ["MAXIMUM_DEPTH", "MAXIMUM_NODES", "read_json", "read_tolerantly"]

MAXIMUM_DEPTH: Final = 64
"""Levels of objects and lists; what lies deeper is passed over. Of 1,497 mixed pages the deepest has 11."""
MAXIMUM_NODES: Final = 10_000
"""Objects and lists that are read of one text. The largest of the same pages has 751 objects."""

_MAXIMUM_VALUES: Final = 100_000
"""Values, and quotes that end no string, that the tolerant reader looks at."""
_LONGEST_KEY: Final = 200


def read_json(data: bytes) -> tuple[list[Any], bool]:
    """Return the values in *data* and whether they had to be read tolerantly. Never raises.

    >>> read_json(b'{"a": [1, 2]}')
    ([{'a': [1, 2]}], False)
    """
    if _is_shallow(data):
        try:
            return [msgspec.json.decode(data)], False
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass
    text = data.decode("utf-8", "replace")
    if '"' not in text:
        text = text.replace("&quot;", '"').replace("&#34;", '"')  # a template escaped it as if it were an attribute
    return read_tolerantly(text), True


_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NO_MARKS: Final = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_STRING: Final = re.compile(rb'"[^"]*"')


def _is_shallow(data: bytes) -> bool:
    """Return whether nothing in *data* lies deeper than `MAXIMUM_DEPTH`, and all brackets match.

    msgspec gives up at a depth that depends on the depth of the caller, which no output may depend on.
    """
    if data.count(b"{") + data.count(b"[") <= MAXIMUM_DEPTH:
        return True
    # Of a string nothing but its quotes is left, unless it holds brackets: half the time of matching strings.
    marks = data.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ONE_KIND, _NO_MARKS).replace(b'""', b"")
    brackets = _STRING.sub(b"", marks) if b'"' in marks else marks
    for _ in range(MAXIMUM_DEPTH):  # take away the innermost level
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if len(brackets) == before:
            break
    return not brackets


# The tolerant reader ---------------------------------------------------------------------------------------------------

_GAP: Final = re.compile(
    r"""(?:[\s,;\ufeff]+  # commas and semicolons say nothing that the brackets do not
    |(?://|/\*)?[^\S\n]*(?:<!--|-->|<!\[CDATA\[|\]\]>)(?:[^\S\n]*\*/)?  # what hid a script from old browsers
    |//[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/)?)*""",
    re.VERBOSE,
)
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_BARE: Final = re.compile(r"""[^\s,:{}\[\]"]+""")
_KEY: Final = r"""(?:"(?:[^"\\\n]|\\.){0,200}"|'[^'\n]{0,200}'|“[^”\n]{0,200}”)\s*:"""
_AFTER_KEY: Final = re.compile(r"\s*:")
_AFTER_MEMBER: Final = re.compile(rf"\s*(?:[}}\]]|\Z|//|/\*|-->|,\s*(?:[}}\]]|\Z|//|/\*|{_KEY})|{_KEY})")
_AFTER_ITEM: Final = re.compile(
    r"""\s*(?:[}\]]|\Z|//|/\*|-->|,\s*(?:["'“{}\[\]\d-]|\Z|//|/\*|true|false|null)|\n\s*["{\[])"""
)
_CLOSING: Final = {'"': '"', "'": "'", "“": "”", "”": "”"}
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LITERALS: Final = {"true": True, "false": False, "null": None}
_NO_KEY: Final = object()


def read_tolerantly(text: str) -> list[Any]:
    r"""Return the values in *text*, whatever it is: a list, because there may be several in a row. Never raises.

    Read beyond JSON: comments of three languages and CDATA wrappers, missing and spare commas, control characters and quotes
    inside strings, single and typographic quotes, bare words, unknown escapes, missing ends. Numbers become floats.
    Objects below `MAXIMUM_DEPTH` and beyond `MAXIMUM_NODES` are left out.

    >>> read_tolerantly('<!-- {"a": "say "x" \n", "b": [1,], // no\n} {"c": true -->')
    [{'a': 'say "x" \n', 'b': [1.0]}, {'c': True}]
    """
    return _Reader(text).read()


class _Reader:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.roots: list[Any] = []
        self.open: list[Any] = []
        self.keys: list[Any] = []
        """The key of each open object that waits for its value."""
        self.values = _MAXIMUM_VALUES
        self.nodes = MAXIMUM_NODES

    def read(self) -> list[Any]:
        """Read to the end, or until a limit is reached."""
        text, size = self.text, len(self.text)
        while self.values > 0:
            self.at = self._gap()
            if self.at >= size:
                break
            self.values -= 1
            mark = text[self.at]
            if mark in "{[":
                if not self._begin(mark):
                    break
            elif mark in "}]":
                self._end(dict if mark == "}" else list)
            elif mark == ":":
                self.at += 1
            elif mark in _CLOSING:
                self._add(self._string(_CLOSING[mark]))
            else:
                word = _BARE.match(text, self.at)
                self.at = word.end() if word else self.at + 1
                self._add(_bare_value(word[0]) if word else None)
        return self.roots

    def _gap(self) -> int:
        found = _GAP.match(self.text, self.at)
        return found.end() if found else self.at

    def _begin(self, mark: str) -> bool:
        """Open an object or list; return whether there may be one more."""
        if self.nodes <= 0:
            return False
        self.nodes -= 1
        value: Any = {} if mark == "{" else []
        if len(self.open) < MAXIMUM_DEPTH:
            self._add(value)
        elif self.keys:
            self.keys[-1] = _NO_KEY
        self.open.append(value)
        self.keys.append(_NO_KEY)
        self.at += 1
        return True

    def _end(self, kind: type) -> None:
        """Close the innermost open *kind*, and what is open inside of it; an end without a beginning is nothing."""
        self.at += 1
        for depth in range(len(self.open) - 1, max(-1, len(self.open) - MAXIMUM_DEPTH), -1):
            if type(self.open[depth]) is kind:
                del self.open[depth:], self.keys[depth:]
                return

    def _add(self, value: Any) -> None:
        """Put *value* where it belongs: behind the last item, under the key that waits, or as the key itself."""
        if not self.open:
            if isinstance(value, (dict, list)):
                self.roots.append(value)
            return
        parent = self.open[-1]
        if isinstance(parent, list):
            parent.append(value)
        elif self.keys[-1] is not _NO_KEY:
            parent[self.keys[-1]] = value
            self.keys[-1] = _NO_KEY
        elif isinstance(value, str):
            self.keys[-1] = value

    def _string(self, closing: str) -> str:
        """Return the string that begins here. A quote ends it only where something follows that may follow a string."""
        text, begin = self.text, self.at + 1
        is_key = bool(self.open) and isinstance(self.open[-1], dict) and self.keys[-1] is _NO_KEY
        after = (
            _AFTER_KEY if is_key else _AFTER_MEMBER if self.open and isinstance(self.open[-1], dict) else _AFTER_ITEM
        )
        end, first = begin, -1
        while self.values > 0:
            end = text.find(closing, end)
            if end < 0 or (is_key and first >= 0 and end > begin + _LONGEST_KEY):
                break
            if not _is_escaped(text, begin, end):
                if after.match(text, end + 1):
                    break
                first = end if first < 0 else first
                self.values -= 1
            end += 1
        if is_key and first >= 0 and not 0 <= end <= begin + _LONGEST_KEY:
            end = first  # no colon in sight: it was a value without a key
        if end < 0 or self.values <= 0:
            end = len(text)
        self.at = end + 1
        return _decoded(text[begin:end])


def _bare_value(word: str) -> Any:
    """Return what a word without quotes stands for: a number (as a float), true, false, null, or itself."""
    return float(word) if _NUMBER.fullmatch(word) else _LITERALS.get(word, word)


def _is_escaped(text: str, begin: int, at: int) -> bool:
    """Return whether an odd number of backslashes stands before *at*."""
    place = at
    while place > begin and text[place - 1] == "\\":
        place -= 1
    return (at - place) % 2 == 1


def _decoded(text: str) -> str:
    """Return the characters that a string of JSON stands for."""
    if "\\" in text:
        text = _ESCAPE.sub(lambda found: _character(found[1]), text)
    if _SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _character(escape: str) -> str:
    if escape[0] == "u" and len(escape) == 5:
        return chr(int(escape[1:], 16))
    return _ESCAPED.get(escape, escape)
