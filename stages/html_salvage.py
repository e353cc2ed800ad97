"""The last resort for a page on which everything else found no text: a reading that nothing can swallow."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["salvaged"]

_RAW: Final = re.compile(
    r"<(script|style|template(?![^<>]*shadowroot)|svg|textarea|title|xmp|iframe)(?=[\s/>])", re.IGNORECASE
)
_RESUME: Final = re.compile(r"<(?:p|div|h[1-6]|table|ul|ol|article|section|main|body)[\s>]", re.IGNORECASE)
_LOOSE_TAG: Final = re.compile(r"<([/!?]?)([a-zA-Z]?[a-zA-Z0-9]*)[^<>]*>?")
_OPENED_UP: Final = frozenset(
    {"frameset", "noframes", "frame", "noscript", "plaintext", "select", "option", "button", "template"}
)


def salvaged(page: str) -> str:
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
