"""Repair of text: `normalize_text` beside `ftfy.fix_text` with the same configuration, and plsfix, a port of it. See `stages.py`.

ftfy is asked for what both have: encodings, entities, terminal escapes, controls, line breaks, NFC; no quotes, ligatures or
width. `corpusmill` does all of its defaults, white space and invisible characters too; `corpusmill, encodings` the repair of
encodings alone. plsfix 0.1.8 does not export its configuration, so it does all that ftfy does by default.
"""

from __future__ import annotations

import functools
import random
import unicodedata
from collections.abc import Mapping
from typing import Any

from stages_child import Kind, Run, Texts


def _corpusmill(**settings: Any) -> Run:
    from corpusmill.stages import NormalizeText

    stage = NormalizeText(**settings).open()
    return lambda texts: [stage(batch) for batch in texts.batches]


_ENCODINGS_ONLY: dict[str, Any] = {
    "unescape_html": "never",
    "unicode_form": "none",
    "line_separators": False,
    "control_characters": False,
    "zero_width": False,
    "white_space": False,
    "blank_lines": None,
}


def _ftfy(**settings: Any) -> Run:
    import ftfy

    config = ftfy.TextFixerConfig(uncurl_quotes=False, fix_latin_ligatures=False, fix_character_width=False, **settings)

    def run(texts: Texts) -> list[str]:
        return [ftfy.fix_text(text, config) for text in texts.strings]

    return run


def _plsfix() -> Run:
    import plsfix

    def run(texts: Texts) -> list[str]:
        return [plsfix.fix_text(text) for text in texts.strings]

    return run


def _clean(texts: list[str]) -> list[str]:
    """Return *texts* as good extraction leaves them: composed, single blanks, nothing invisible but joiners."""

    def shows(character: str) -> bool:
        return character in "\u200c\u200d" or unicodedata.category(character) not in ("Cc", "Cf")

    cleaned = []
    for text in texts:
        lines = (" ".join(line.split()) for line in unicodedata.normalize("NFC", text).splitlines())
        cleaned.append("\n".join("".join(filter(shows, line)) for line in lines if line))
    return cleaned


def _damaged(texts: list[str], share: float) -> list[str]:
    """Return clean texts of which that share of lines was read as Windows-1252."""
    chance = random.Random(1)

    def damaged(line: str) -> str:
        if chance.random() >= share:
            return line
        return line.encode().decode("windows-1252", "replace")

    return ["\n".join(map(damaged, text.split("\n"))) for text in _clean(texts)]


SYSTEMS = {
    "corpusmill": _corpusmill,
    "corpusmill, encodings": functools.partial(_corpusmill, **_ENCODINGS_ONLY),
    "ftfy": _ftfy,
    "plsfix": _plsfix,
}
REFERENCE = "ftfy"
KINDS: Mapping[str, Kind] = {
    "clean": _clean,
    "as they are": lambda texts: texts,
    "5 % of lines damaged": functools.partial(_damaged, share=0.05),
    "all lines damaged": functools.partial(_damaged, share=1.0),
}
ENVIRONMENTS: Mapping[str, list[str]] = {"plsfix": ["plsfix", "pyarrow"]}
ENVIRONMENT_OF: Mapping[str, str] = {"plsfix": "plsfix"}
