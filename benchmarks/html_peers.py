"""The peers, each as its own documentation calls it to get the text of a page without comments, links and images.

Imported in the environments of the peers, where neither this project nor Arrow is: a peer is imported when its extractor is made.
Two of them give the content as HTML; html-text, the quicker of the libraries that keep blocks apart, makes text of that (under
a tenth of their time).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

from html_pages import Page

__all__ = ["extractor", "load", "timed"]

Extract = Callable[[str], "str | None"]
Extractor = Callable[[Sequence[Page]], tuple[list[str], list["str | None"]]]


def _trafilatura(**options: bool) -> Extract:
    from trafilatura import extract

    chosen: Any = {"include_comments": False, "include_tables": True, "include_formatting": False, **options}
    return functools.partial(extract, **chosen)


def _resiliparse(*, main_content: bool) -> Extract:
    from resiliparse.extract.html2text import extract_plain_text

    options: dict[str, Any] = dict.fromkeys(["alt_texts", "links", "form_fields", "noscript", "list_bullets"], False)
    return functools.partial(extract_plain_text, main_content=main_content, comments=not main_content, **options)


def _readability() -> Extract:
    from html_text import extract_text
    from readability import Document

    return lambda html: extract_text(Document(html).summary())


def _magic_html() -> Extract:
    from html_text import extract_text
    from magic_html import GeneralExtractor

    extractor = GeneralExtractor()
    return lambda html: extract_text(extractor.extract(html, base_url="http://example.com/")["html"])


def _bs4() -> Extract:
    from bs4 import BeautifulSoup

    def extract(html: str) -> str:
        soup = BeautifulSoup(html, "lxml")
        for tag in soup(["script", "style", "noscript", "template"]):
            tag.decompose()
        return soup.get_text("\n")

    return extract


def _justext(*, language: str | None) -> Extract:
    import justext

    stop_words = justext.get_stoplist(language) if language else frozenset()
    options: dict[str, Any] = {} if language else {"stopwords_low": 0, "stopwords_high": 0}

    def extract(html: str) -> str:
        paragraphs = justext.justext(html.encode(), stop_words, encoding="utf-8", **options)
        return "\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)

    return extract


def _html_text() -> Extract:
    from html_text import extract_text

    return extract_text  # type: ignore[no-any-return]


_EXTRACTORS: dict[str, Callable[[], Extract]] = {
    "trafilatura": _trafilatura,
    "trafilatura fast": lambda: _trafilatura(fast=True),
    "trafilatura precision": lambda: _trafilatura(favor_precision=True),
    "resiliparse": lambda: _resiliparse(main_content=True),
    "resiliparse all": lambda: _resiliparse(main_content=False),
    "readability": _readability,
    "magic-html": _magic_html,
    "bs4": _bs4,
    "justext": lambda: _justext(language="English"),
    "justext no words": lambda: _justext(language=None),
    "html-text": _html_text,
}


def extractor(variant: str) -> Extractor:
    """Return what maps pages to their texts and, for each, the exception that was raised: such a page has no text."""
    work = timed(variant)
    return lambda pages: work(load(pages))


def load(pages: Sequence[Page]) -> list[str]:
    """Return the pages as peers take them: decoded."""
    return [page.html for page in pages]


def timed(variant: str) -> Callable[[list[str]], tuple[list[str], list[str | None]]]:
    """Return the work whose time counts, over what `load` gives."""
    logging.disable(logging.CRITICAL)
    extract = _EXTRACTORS[variant]()

    def run(pages: list[str]) -> tuple[list[str], list[str | None]]:
        texts: list[str] = []
        problems: list[str | None] = []
        for html in pages:
            text, problem = "", None
            try:
                text = extract(html) or ""
            except Exception as error:  # noqa: BLE001 what a system raises on a page is a result
                problem = type(error).__name__
            texts.append(text)
            problems.append(problem)
        return texts, problems

    return run
