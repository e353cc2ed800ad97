"""Main content and all visible text by resiliparse, and what stands around it.

On seven sets of real pages it reaches 94 to 104 % of trafilatura's F1 at 14 times its speed. It is fast but trusting, so most of
this module is guards, each against something measured on resiliparse 2.0:

- Main-content extraction costs nesting depth times text: 1 MB of text under 1,000 open elements takes 4 s, 10,000 nested
  elements 1.7 s, and native code cannot be interrupted. Depth is therefore asked of the parsed tree, by a selector that
  matches only below the limit. Counting tags instead misses what the parser closes, moves or ignores. All visible text of
  the same tree costs linear time, so a deep page loses its menus' removal and nothing else.
- The parser itself is quadratic in three places, each cut off before it: formatting elements that are left open (59 KB of
  `<p><b id=1>` fill 3 GB), options in one list box (100,000 take over 20 s), attributes of one tag (50,000 take 4 s; a text
  file with a stray `<` is enough).
- On 1 to 3 % of pages it finds no main content, or a crumb. On two samples of 150 mixed pages, taking all visible text where
  it finds under 1,000 characters and under 5 % of what is visible raised mean F1 by .03 and .05; on news, by .00.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, Final

from corpusmill.schemas import RecipeError

__all__ = ["Resiliparse", "tidy"]

_SHORT: Final = 1000
_DEPTH_BUDGET: Final = 1_000_000_000
_USUAL_DEPTH: Final = 64


class Resiliparse:
    """Extraction from a tree of resiliparse. No method raises, whatever the page."""

    options: ClassVar[dict[str, Any]] = {
        "alt_texts": False,
        "form_fields": False,
        "list_bullets": False,
        "links": False,
    }
    hidden: ClassVar[list[str]] = ["[hidden]", "[style*='display:none' i]", "[style*='display: none' i]"]

    def __init__(self, maximum_depth: int, minimum_share: float, fallback: bool) -> None:
        """Import resiliparse; see `StripHtml` for the settings."""
        try:
            from resiliparse.extract.html2text import extract_plain_text
            from resiliparse.parse.html import HTMLTree
        except ImportError as error:
            raise RecipeError(
                f"strip_html: the engine resiliparse cannot be loaded ({error}); pip install 'resiliparse>=2.0'"
            ) from None
        self._maximum_depth, self._minimum_share, self._fallback = maximum_depth, minimum_share, fallback
        self._parse: Callable[[str], Any] = HTMLTree.parse
        self._extract: Callable[..., str] = extract_plain_text

    def main(self, page: str) -> tuple[str, str]:
        """Return the main content, or all visible text where there is none or looking for it would cost too much."""
        tree = self._tree(page)
        if tree is None:
            return "", "resiliparse"
        if self._is_deep(tree, len(page)):
            return self._visible(tree), "depth_fallback"
        text = self._text(tree, main_content=True, comments=False, noscript=False)
        if not self._fallback or len(text) >= _SHORT:
            return text, "resiliparse"
        visible = self._visible(tree)
        if text.strip() and len(text) >= self._minimum_share * len(visible):
            return text, "resiliparse"
        return visible, "text_fallback"

    def visible(self, page: str) -> tuple[str, str]:
        """Return all visible text in the widest sense."""
        tree = self._tree(page)
        return ("" if tree is None else self._visible(tree)), "text_fallback"

    def _visible(self, tree: Any) -> str:
        """Return what is shown, or all there is where nearly all waits for a script; else what stands in for scripts."""
        for options in ({}, {"noscript": True}):
            shown = self._text(tree, skip_elements=self.hidden, **options)
            if len(shown) < _SHORT:
                everything = self._text(tree, **options)
                shown = everything if len(shown) < self._minimum_share * len(everything) else shown
                shown = shown if shown.strip() else everything
            if shown.strip():
                return shown
        return ""

    def _tree(self, page: str) -> Any:
        try:
            return self._parse(_tamed(page))
        except Exception:  # noqa: BLE001 a page that the parser refuses goes on to the fallbacks
            return None

    def _text(self, tree: Any, **options: Any) -> str:
        try:
            return self._extract(tree, **{**self.options, **options})
        except Exception:  # noqa: BLE001 as above
            return ""

    def _is_deep(self, tree: Any, characters: int) -> bool:
        """Return whether any element lies deeper than extraction can afford."""
        limit = min(self._maximum_depth, max(32, _DEPTH_BUDGET // max(1, characters)))
        # The short selector answers for nearly every page, in a tenth of the time.
        return self._has_depth(tree, min(limit, _USUAL_DEPTH)) and self._has_depth(tree, limit)

    def _has_depth(self, tree: Any, depth: int) -> bool:
        try:
            return tree.document.query_selector(">".join(["*"] * (depth + 1))) is not None
        except Exception:  # noqa: BLE001 a tree without a document node is not deep
            return False


# What is cut off before parsing ------------------------------------------------------------------------------------

_FORMATTING: Final = "b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u"
_COSTLY_TAG: Final = re.compile(rf"<(?:{_FORMATTING}|option)[\s/>]", re.IGNORECASE)
_OPTION_TAG: Final = re.compile(r"</?option(?=[\s/>])[^<>]*>?", re.IGNORECASE)
_FORMATTING_TAG: Final = re.compile(rf"</?(?:{_FORMATTING})(?=[\s/>])[^<>]*>?", re.IGNORECASE)
_ANY_TAG: Final = re.compile(r"<(/?)([a-z][a-z0-9]*)[^<>]*", re.IGNORECASE)
_TAG_START: Final = re.compile(r"<[a-zA-Z]")
_QUOTED: Final = re.compile(r""""[^"]*"|'[^']*'""")
_MAXIMUM_OPTIONS: Final = 5000
_MAXIMUM_REOPENED: Final = 250_000
_MAXIMUM_ATTRIBUTES: Final = 2000
_STRIDE: Final = 8192


def _tamed(page: str) -> str:
    """Return *page* without what a parser takes quadratic time or memory for; its text is left alone."""
    tags = page.count("<")
    if tags * tags > 16 * _MAXIMUM_REOPENED:
        costly = len(_COSTLY_TAG.findall(page))
        if costly > _MAXIMUM_OPTIONS and len(_OPTION_TAG.findall(page)) > _MAXIMUM_OPTIONS:
            page = _OPTION_TAG.sub("", page)
        if costly * tags > 4 * _MAXIMUM_REOPENED and _reopens_too_many(page):
            page = _FORMATTING_TAG.sub("", page)
    return _without_endless_tags(page)


def _reopens_too_many(page: str) -> bool:
    """Return whether formatting elements left open would be reopened too often.

    The parser opens a copy of each of them in every block that follows, except that it keeps at most three that are
    written alike (HTML Standard, "reconstruct the active formatting elements").
    """
    names = frozenset(_FORMATTING.split("|"))
    left_open: dict[str, list[str]] = {}
    alike: dict[str, int] = {}
    opened = reopened = 0
    for found in _ANY_TAG.finditer(page):
        name = found[2].lower()
        if name not in names:
            reopened += 0 if found[1] else opened
            if reopened > _MAXIMUM_REOPENED:
                return True
        elif not found[1]:
            if alike.get(found[0], 0) < 3:
                alike[found[0]] = alike.get(found[0], 0) + 1
                left_open.setdefault(name, []).append(found[0])
                opened += 1
        elif left_open.get(name):
            alike[left_open[name].pop()] -= 1
            opened -= 1
    return False


def _without_endless_tags(page: str) -> str:
    """Return *page* with `<` escaped where it would begin a tag of thousands of attributes: that is prose, not a tag.

    A tag that long spans a whole stride without any `>`, so ordinary pages cost one search per stride.
    """
    parts: list[str] = []
    done = at = 0
    while at + _STRIDE <= len(page):
        if page.find(">", at, at + _STRIDE) >= 0:
            at += _STRIDE
            continue
        close = page.find(">", at + _STRIDE)
        close = len(page) if close < 0 else close
        before = page.rfind(">", max(done, at - _STRIDE), at)
        start = _TAG_START.search(page, max(done, at - _STRIDE, before), close)
        if start and len(_QUOTED.sub("", page[start.start() : close]).split()) > _MAXIMUM_ATTRIBUTES:
            prose = page[start.start() : close]
            parts += [page[done : start.start()], _TAG_START.sub(lambda m: "&lt;" + m[0][1:], prose)]
            done = close
        at = max(close, at + 1)
    return "".join(parts) + page[done:] if parts else page


_TABS: Final = re.compile(r"\t[ \t]+")
_INDENTATION: Final = re.compile(r"^ +", re.MULTILINE)
_EMPTY_LINES: Final = re.compile(r"\n{3,}")
_PREFORMATTED: Final = re.compile(r"<(?:pre|plaintext|xmp)[\s>]", re.IGNORECASE)


def tidy(text: str, page: str) -> str:
    """Return *text* without blanks at line ends, with one tab between cells and at most one empty line in a row.

    The engine indents list items; without bullets that says nothing, so it goes, unless *page* may hold indented code.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\t" in text and not _PREFORMATTED.search(page):
        text = _TABS.sub("\t", text)
    if "\n " in text and not _PREFORMATTED.search(page):
        text = _INDENTATION.sub("", text)
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return _EMPTY_LINES.sub("\n\n", text).strip()
