"""The engines of `StripHtml`: from a page in UTF-8 to its text.

Each takes the settings of the stage and gives a function from a page to (text, name of the reading, page as the tokenizer read it
or None). The text is empty where an engine finds none; none of them raises, whatever the page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from corpusmill.schemas import RecipeError
from corpusmill.stages.html_beautifulsoup import visible_text
from corpusmill.stages.html_page import HtmlPage, no_class_words, read_page, with_structured_data
from corpusmill.stages.html_resiliparse import Resiliparse, tidy
from corpusmill.stages.html_salvage import salvaged
from corpusmill.stages.main_content import content_model, kept_blocks, render_text

if TYPE_CHECKING:
    from corpusmill.stages.strip_html import StripHtml

__all__ = ["Find", "any_text", "engine_of"]

Find = Callable[[bytes], tuple[str, str, HtmlPage | None]]

_STAND_INS = ("noscript", "template", "object", "canvas", "video", "audio", "select", "dialog", "map", "applet")
"""Elements whose content browsers show only where something else fails or happens."""


def engine_of(settings: StripHtml) -> Find:
    """Return the engine that the settings ask for.

    Raises:
        RecipeError: it is not installed.

    """
    return _ENGINES[settings.engine](settings)


def any_text(settings: StripHtml, page: bytes) -> tuple[str, str]:
    """Return what text there is in any reading of a page, and the name of the reading."""
    read = read_page(page, no_class_words(), show=_STAND_INS)
    text = _render(settings, read, np.ones(len(read.blocks), np.bool_))
    if text.strip():
        return text, "text_fallback"
    bare = salvaged(page.decode("utf-8", "replace")).encode()
    read = read_page(bare, no_class_words(), show=_STAND_INS)
    return _render(settings, read, np.ones(len(read.blocks), np.bool_)), "salvage_fallback"


def _render(settings: StripHtml, page: HtmlPage, keep: npt.NDArray[np.bool_]) -> str:
    return render_text(page, keep, links=settings.links, layout=settings.output, bullets=settings.lists)


def _fast(settings: StripHtml) -> Find:
    from corpusmill.stages.kernels.html_layout import B_CONTAINER, C_BITS, C_CATEGORIES
    from corpusmill.stages.kernels.html_tags import COMMENTS, TAG_BITS, TAGS

    model = content_model()
    table = int(TAG_BITS[TAGS["table"]])

    def find(source: bytes) -> tuple[str, str, HtmlPage | None]:
        page = with_structured_data(read_page(source, model.words))
        keep = kept_blocks(page, model, settings.favor)
        containers = page.containers[page.blocks[:, B_CONTAINER]]
        if not settings.comments:
            keep = keep & (containers[:, C_CATEGORIES] & COMMENTS == 0)
        if not settings.tables:
            keep = keep & (containers[:, C_BITS] & table == 0)
        return _render(settings, page, keep), "fast", page

    return find


def _text(settings: StripHtml) -> Find:
    from corpusmill.stages.kernels.html_layout import B_CONTAINER, C_BITS
    from corpusmill.stages.kernels.html_tags import HIDDEN, TAG_BITS, TAGS

    nothing = no_class_words()
    unwanted = HIDDEN | (0 if settings.tables else int(TAG_BITS[TAGS["table"]]))

    def find(source: bytes) -> tuple[str, str, HtmlPage | None]:
        page = read_page(source, nothing)
        return (
            _render(settings, page, page.containers[page.blocks[:, B_CONTAINER], C_BITS] & unwanted == 0),
            "text",
            page,
        )

    return find


def _resiliparse(settings: StripHtml) -> Find:
    engine = Resiliparse(settings.maximum_depth, settings.minimum_share, settings.fallback)

    def find(source: bytes) -> tuple[str, str, HtmlPage | None]:
        page = _as_text(source)
        text, name = engine.main(page)
        return tidy(text, page), name, None

    return find


def _bs4(_: StripHtml) -> Find:
    def find(source: bytes) -> tuple[str, str, HtmlPage | None]:
        page = _as_text(source)
        return tidy(visible_text(page), page), "bs4", None

    return find


def _trafilatura(settings: StripHtml) -> Find:
    try:
        import trafilatura
    except ImportError as error:
        raise RecipeError(
            f"strip_html: the engine trafilatura cannot be loaded ({error}); pip install 'corpusmill[trafilatura]'"
        ) from None
    options: dict[str, Any] = {
        "include_comments": settings.comments,
        "include_tables": settings.tables,
        "favor_precision": settings.favor == "precision",
        "favor_recall": settings.favor == "recall",
    }

    def find(source: bytes) -> tuple[str, str, HtmlPage | None]:
        try:
            return trafilatura.extract(_as_text(source), **options) or "", "trafilatura", None
        except Exception:  # noqa: BLE001 a page that it refuses goes on to the fallbacks
            return "", "trafilatura", None

    return find


def _as_text(source: bytes) -> str:
    return source.decode("utf-8", "replace").replace("\x00", "")


_ENGINES: dict[str, Callable[[StripHtml], Find]] = {
    "fast": _fast,
    "resiliparse": _resiliparse,
    "trafilatura": _trafilatura,
    "bs4": _bs4,
    "text": _text,
}
