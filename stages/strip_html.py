"""HTML to text: the main content of a page, and never nothing where a reader would see text.

The engine is resiliparse: on seven sets of real pages it reaches 94 to 104 % of trafilatura's F1 at 14 times its speed
(594 against 42 pages a second on one core). BeautifulSoup, the usual choice, keeps menus and footers (F1 .66 against .94)
and reads 41 pages a second; it is here for pipelines that must match older ones. The engine is fast but trusting, so most
of this module is what stands around it, each guard against something measured on resiliparse 2.0:

- Main-content extraction costs nesting depth times text: 1 MB of text under 1,000 open elements takes 4 s, 10,000 nested
  elements 1.7 s, and native code cannot be interrupted. Depth is therefore asked of the parsed tree, by a selector that
  matches only below the limit. Counting tags instead misses what the parser closes, moves or ignores. All visible text of
  the same tree costs linear time, so a deep page loses its menus' removal and nothing else.
- The parser itself is quadratic in three places, each cut off before it: formatting elements that are left open (59 KB of
  `<p><b id=1>` fill 3 GB), options in one list box (100,000 take over 20 s), attributes of one tag (50,000 take 4 s; a text
  file with a stray `<` is enough).
- On 1 to 3 % of pages it finds no main content, or a crumb. On two samples of 150 mixed pages, taking all visible text where
  it finds under 1,000 characters and under 5 % of what is visible raised mean F1 by .03 and .05; on news, by .00.

The page title is left out: it repeats the headline with the site's name, and no reader sees it on the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop, RecipeError
from corpusmill.stages.base import Apply, DocumentStage
from corpusmill.stages.encoding import decode_html

__all__ = ["StripHtml", "transport_charset"]

Extract = Callable[[str], tuple[str, str]]
"""A page in; its text and the engine that gave it out. The text is empty where the engine found none."""


class StripHtml(DocumentStage, frozen=True, kw_only=True):
    """Set `text` to the text of `html`, and `html` to None. Documents without `html` pass untouched.

    Bytes are decoded by `decode_html`; the transport's label is read from `content_type` in the document's metadata.
    Signals: `html_bytes`; `encoding` (null where `html` came as a string); `text_share`, characters of text per character
    of markup; and `html_engine`, the engine that really gave the text: the one that was asked for, or `text_fallback` (it
    found too little), `depth_fallback` (too deep for main content) or `salvage_fallback` (only a reading that ignores
    the rules of HTML found text: pages cut inside a comment, framesets, pages hidden until a script runs).
    """

    reads: ClassVar[tuple[str, ...]] = ("html", "metadata")
    rewrites: ClassVar[tuple[str, ...]] = ("text", "html")
    reasons: ClassVar[frozenset[str]] = frozenset({"empty", "too_large"})
    signals: ClassVar[dict[str, pa.DataType]] = {
        "html_bytes": pa.int64(),
        "encoding": pa.string(),
        "html_engine": pa.string(),
        "text_share": pa.float64(),
    }

    engine: Literal["resiliparse", "bs4", "text"] = "resiliparse"
    """`resiliparse`: main content without comments, menus and footers; loses parts of forums and product lists. `bs4`: all
    visible text by BeautifulSoup and html.parser, 14 times slower. `text`: all visible text by resiliparse, 1.7 times
    faster than its main content, about half of it boilerplate on a news page."""
    maximum_bytes: Annotated[int, Meta(ge=1)] = 20_000_000
    """Pages with more bytes are dropped as `too_large`; a tree takes up to 30 times the page's size in memory."""
    maximum_depth: Annotated[int, Meta(ge=8, le=10_000)] = 512
    """Elements nested deeper than this (browsers' own limit), or than a billion divided by the page's characters, are not
    searched for main content: the page gives all its visible text. Of 150 mixed pages the deepest had 63."""
    minimum_share: Annotated[float, Meta(ge=0, le=1)] = 0.05
    """Main content of under 1,000 characters and under this share of the visible text counts as not found (so does visible
    text beside text that waits for a script). Higher values bring menus into short news; 0 asks for nothing at all."""
    fallback: bool = True
    """Give all visible text where the engine finds none or too little; without it such pages are dropped as `empty`."""

    def build(self) -> Apply:
        """Load the engine and return the function that is applied to each document."""
        extract = self._engine()

        def apply(document: Document) -> Document | Drop:
            html = document.html
            if html is None:
                return document
            size = len(html) if isinstance(html, bytes) or html.isascii() else len(html.encode("utf-8", "replace"))
            document.signals["html_bytes"] = size
            document.html = None
            document.text = ""
            if size > self.maximum_bytes:
                return Drop("too_large", value=size, limit=self.maximum_bytes)
            if isinstance(html, str):
                page = html.encode("utf-8", "replace").decode() if _SURROGATE.search(html) else html
            else:
                page, document.signals["encoding"] = decode_html(html, transport_charset(document.metadata))
            if isinstance(html, str) or 0 in html:
                page = page.replace("\x00", "")
            text, document.signals["html_engine"] = extract(page)
            document.text = _tidy(text, page)
            document.signals["text_share"] = len(document.text) / max(1, len(page))
            return document if document.text else Drop("empty", value=0.0, limit=1.0)

        return apply

    def _engine(self) -> Extract:
        """Return the extractor that the settings ask for, with its fallbacks."""
        try:
            from resiliparse.extract.html2text import extract_plain_text
            from resiliparse.parse.html import HTMLTree
        except ImportError as error:
            raise RecipeError(f"strip_html needs resiliparse ({error}); pip install 'resiliparse>=2.0'") from None
        tree = _TreeEngine(self, HTMLTree.parse, extract_plain_text)
        if self.engine == "bs4":
            return lambda page: _bs4(page) if not self.fallback else _first(page, _bs4, tree.visible, tree.salvage)
        first = tree.main if self.engine == "resiliparse" else tree.all_text
        return lambda page: _first(page, first, tree.salvage) if self.fallback else first(page)


def transport_charset(metadata: str | None) -> str | None:
    """Return the charset of `content_type` in a document's metadata (a JSON object), or None.

    >>> transport_charset('{"content_type": "text/html; Charset=EUC-KR"}')
    'EUC-KR'
    """
    if not metadata or "content_type" not in metadata:
        return None
    try:
        value = _METADATA.decode(metadata).content_type
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    found = _CHARSET.search(value[:500]) if isinstance(value, str) else None
    return found[1] if found else None


class _Metadata(msgspec.Struct):
    """The one field of the metadata that matters here."""

    content_type: Any = None


_METADATA: Final = msgspec.json.Decoder(_Metadata)
_CHARSET: Final = re.compile(r"""charset\s{0,8}=\s{0,8}["']?([^\s"';,]+)""", re.IGNORECASE)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SHORT: Final = 1000
_DEPTH_BUDGET: Final = 1_000_000_000
_USUAL_DEPTH: Final = 64


def _first(page: str, *engines: Extract) -> tuple[str, str]:
    """Return what the first of *engines* gives that finds any text."""
    text, name = "", ""
    for engine in engines:
        text, name = engine(page)
        if text.strip():
            break
    return text, name


class _TreeEngine:
    """Extraction from a tree of resiliparse. No method raises, whatever the page."""

    options: ClassVar[dict[str, Any]] = {
        "alt_texts": False,
        "form_fields": False,
        "list_bullets": False,
        "links": False,
    }
    hidden: ClassVar[list[str]] = ["[hidden]", "[style*='display:none' i]", "[style*='display: none' i]"]

    def __init__(self, settings: StripHtml, parse: Callable[[str], Any], extract: Callable[..., str]) -> None:
        self.settings = settings
        self.parse = parse
        self.extract = extract

    def main(self, page: str) -> tuple[str, str]:
        """Return the main content, or all visible text where there is none or looking for it would cost too much."""
        tree = self._tree(page)
        if tree is None:
            return "", "resiliparse"
        if self._is_deep(tree, len(page)):
            return self._visible(tree), "depth_fallback"
        text = self._text(tree, main_content=True, comments=False, noscript=False)
        if not self.settings.fallback or len(text) >= _SHORT:
            return text, "resiliparse"
        visible = self._visible(tree)
        if text.strip() and len(text) >= self.settings.minimum_share * len(visible):
            return text, "resiliparse"
        return visible, "text_fallback"

    def all_text(self, page: str) -> tuple[str, str]:
        """Return all visible text: the engine `text`."""
        tree = self._tree(page)
        if tree is None:
            return "", "text"
        text = self._text(tree, noscript=False, skip_elements=self.hidden)
        if len(text) >= _SHORT or not self.settings.fallback:
            return text, "text"
        visible = self._visible(tree)
        if text == visible:
            return text, "text"
        return visible, "text_fallback"

    def visible(self, page: str) -> tuple[str, str]:
        """Return all visible text in the widest sense: the fallback of other engines."""
        tree = self._tree(page)
        return ("" if tree is None else self._visible(tree)), "text_fallback"

    def salvage(self, page: str) -> tuple[str, str]:
        """Return the text of a page on which everything else found none."""
        text, _ = self.visible(_salvaged(page))
        return text, "salvage_fallback"

    def _visible(self, tree: Any) -> str:
        """Return what is shown, or all there is where nearly all waits for a script; else what stands in for scripts."""
        for options in ({}, {"noscript": True}):
            shown = self._text(tree, skip_elements=self.hidden, **options)
            if len(shown) < _SHORT:
                everything = self._text(tree, **options)
                shown = everything if len(shown) < self.settings.minimum_share * len(everything) else shown
                shown = shown if shown.strip() else everything
            if shown.strip():
                return shown
        return ""

    def _tree(self, page: str) -> Any:
        try:
            return self.parse(_tamed(page))
        except Exception:  # noqa: BLE001 a page that the parser refuses goes on to the fallbacks
            return None

    def _text(self, tree: Any, **options: Any) -> str:
        try:
            return self.extract(tree, **{**self.options, **options})
        except Exception:  # noqa: BLE001 as above
            return ""

    def _is_deep(self, tree: Any, characters: int) -> bool:
        """Return whether any element lies deeper than extraction can afford."""
        limit = min(self.settings.maximum_depth, max(32, _DEPTH_BUDGET // max(1, characters)))
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


# The last resort ---------------------------------------------------------------------------------------------------

_RAW: Final = re.compile(
    r"<(script|style|template(?![^<>]*shadowroot)|svg|textarea|title|xmp|iframe)(?=[\s/>])", re.IGNORECASE
)
_RESUME: Final = re.compile(r"<(?:p|div|h[1-6]|table|ul|ol|article|section|main|body)[\s>]", re.IGNORECASE)
_LOOSE_TAG: Final = re.compile(r"<([/!?]?)([a-zA-Z]?[a-zA-Z0-9]*)[^<>]*>?")
_OPENED_UP: Final = frozenset(
    {"frameset", "noframes", "frame", "noscript", "plaintext", "select", "option", "button", "template"}
)


def _salvaged(page: str) -> str:
    """Return *page* as bare tags and text, read so that nothing can swallow the rest of the page.

    A comment, quote, script or title without an end ends at the next `>`, tag or block; attributes are gone, and so is
    hiding by them; frames and other containers that browsers do not show are plain blocks.
    """
    page = _without_raw(_without_comments(page))

    def bare(found: re.Match[str]) -> str:
        mark, name = found[1], found[2].lower()
        if mark in ("!", "?"):
            return " "
        if not name:
            return "&lt;" + found[0][1:]
        return f"<{mark}{'div' if name in _OPENED_UP else name}>"

    return _LOOSE_TAG.sub(bare, page)


def _without_comments(page: str) -> str:
    """Return *page* without comments; of one that never ends only its first four characters are removed."""
    parts: list[str] = []
    done = 0
    while (start := page.find("<!--", done)) >= 0:
        end = page.find("-->", start + 2)
        if end < 0:
            return "".join(parts) + page[done:].replace("<!--", " ")
        parts += [page[done:start], " "]
        done = end + 3
    return "".join(parts) + page[done:]


def _without_raw(page: str) -> str:
    """Return *page* without scripts, styles and the like; one that never ends ends where the next block begins."""
    parts: list[str] = []
    done = 0
    endless: set[str] = set()
    while found := _RAW.search(page, done):
        name = found[1].lower()
        parts.append(page[done : found.start()])
        end = None if name in endless else re.compile(rf"</{name}", re.IGNORECASE).search(page, found.end())
        if end is None:
            endless.add(name)
            end = _RESUME.search(page, found.end())
            done = end.start() if end else len(page)
        else:
            done = end.end()
            done = page.find(">", done) + 1 or len(page)
    return "".join(parts) + page[done:]


# BeautifulSoup -----------------------------------------------------------------------------------------------------

_SKIPPED_NAMES: Final = """
script style template noscript head title svg math iframe object canvas audio video select textarea button
"""
_SKIPPED: Final = frozenset(_SKIPPED_NAMES.split())
_PARAGRAPHS_NAMES: Final = """
p h1 h2 h3 h4 h5 h6 ul ol dl table pre blockquote figure article section hr
"""
_PARAGRAPHS: Final = frozenset(_PARAGRAPHS_NAMES.split())
_LINES_NAMES: Final = """
address aside body caption center dd details dialog div dt fieldset figcaption footer form frameset header
legend li main menu nav noframes summary tbody tfoot thead tr
"""
_LINES: Final = frozenset(_LINES_NAMES.split())
_HIDDEN_STYLE: Final = re.compile(r"display\s{0,4}:\s{0,4}none|visibility\s{0,4}:\s{0,4}hidden", re.IGNORECASE)
_BLANKS: Final = re.compile(r"[ \t\n\r\f]+")


def _bs4(page: str) -> tuple[str, str]:
    """Return all visible text, read by BeautifulSoup with Python's own parser."""
    import warnings

    from bs4 import BeautifulSoup

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # guesses about what the caller meant: a page may look like a path
            soup = BeautifulSoup(_without_open_ends(page), "html.parser")
    except Exception:  # noqa: BLE001 a page that the parser refuses goes on to the fallbacks
        return "", "bs4"
    return _visible_text(soup), "bs4"


def _without_open_ends(page: str) -> str:
    """Return *page* without comments and tags that never end: html.parser reads to the end of the page for each."""
    start = page.find("<!--", page.rfind("-->") + 3 if "-->" in page else 0)
    page = page if start < 0 else page[:start]
    last = page.rfind(">") + 1
    return page[:last] + page[last:].replace("<", "&lt;")


def _visible_text(soup: Any) -> str:
    """Return the text below *soup* with a line per block. Iterative: pages nest deeper than Python may recurse."""
    from bs4.element import PreformattedString, Tag

    parts: list[str] = []
    todo: list[tuple[Any, bool]] = [(soup, False)]
    breaks = 2  # line breaks due before the next text; blocks that meet share theirs
    while todo:
        node, preformatted = todo.pop()
        if isinstance(node, int):
            breaks = max(breaks, node)
        elif isinstance(node, str) and not isinstance(node, PreformattedString):
            text = str(node) if preformatted else _BLANKS.sub(" ", node)
            text = text.lstrip(" ") if breaks and not preformatted else text
            if text:
                parts += ["\n" * breaks, text]
                breaks = 0
        elif isinstance(node, Tag) and not _is_hidden(node):
            gap = 2 if node.name in _PARAGRAPHS else 1 if node.name in _LINES else 0
            breaks = min(2, breaks + 1) if node.name == "br" else max(breaks, gap)
            todo.append((gap, False))
            if node.name in ("td", "th"):
                todo.append(("\t", True))
            todo += [(child, preformatted or node.name == "pre") for child in reversed(node.contents)]
    return "".join(parts)


def _is_hidden(node: Any) -> bool:
    """Return whether browsers do not show *node*."""
    if node.name in _SKIPPED or "hidden" in node.attrs:
        return True
    style = node.attrs.get("style")
    return isinstance(style, str) and _HIDDEN_STYLE.search(style[:2000]) is not None


_TABS: Final = re.compile(r"\t[ \t]+")
_INDENTATION: Final = re.compile(r"^ +", re.MULTILINE)
_EMPTY_LINES: Final = re.compile(r"\n{3,}")
_PREFORMATTED: Final = re.compile(r"<(?:pre|plaintext|xmp)[\s>]", re.IGNORECASE)


def _tidy(text: str, page: str) -> str:
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
