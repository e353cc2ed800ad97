"""The explicit table of stages: one place to look a name up, for recipes, the command line and the docs."""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

import msgspec

from corpusmill.schemas import RecipeError, did_you_mean
from corpusmill.stages.base import Stage
from corpusmill.stages.convert_emoji import ConvertEmoji
from corpusmill.stages.correct_spelling import CorrectSpelling
from corpusmill.stages.decontaminate import Decontaminate
from corpusmill.stages.deduplicate import Deduplicate
from corpusmill.stages.filter_language import FilterLanguage
from corpusmill.stages.filter_quality import FilterQuality
from corpusmill.stages.filter_toxicity import FilterToxicity
from corpusmill.stages.filter_url import FilterUrl
from corpusmill.stages.function import Function
from corpusmill.stages.normalize_text import NormalizeText
from corpusmill.stages.pack import Pack
from corpusmill.stages.redact_pii import RedactPii
from corpusmill.stages.remove_repeated_lines import RemoveRepeatedLines
from corpusmill.stages.strip_html import StripHtml
from corpusmill.stages.tokenize import Tokenize

__all__ = ["PLUGIN_GROUP", "known_stages", "stage_from"]

_LOGGER = logging.getLogger("corpusmill")

PLUGIN_GROUP = "corpusmill.stages"
"""Entry points of this group name stage classes of other packages."""

_OWN: tuple[type[Stage], ...] = (
    StripHtml,
    NormalizeText,
    ConvertEmoji,
    FilterUrl,
    FilterLanguage,
    RemoveRepeatedLines,
    FilterQuality,
    FilterToxicity,
    RedactPii,
    CorrectSpelling,
    Decontaminate,
    Deduplicate,
    Tokenize,
    Pack,
    Function,
)


@lru_cache(maxsize=1)
def known_stages() -> dict[str, type[Stage]]:
    """Return every stage class by its kind: our own in recipe order, then those that installed packages register."""
    stages = {str(cls.__struct_config__.tag): cls for cls in _OWN}
    for point in sorted(entry_points(group=PLUGIN_GROUP), key=lambda point: point.name):
        try:
            cls = point.load()
        except Exception as error:  # noqa: BLE001  a broken plugin costs itself, not every command
            _LOGGER.warning("the plugin stage %s cannot be imported: %s: %s", point.value, type(error).__name__, error)
            continue
        if not (isinstance(cls, type) and issubclass(cls, Stage)):
            _LOGGER.warning("the plugin stage %s is no class derived from corpusmill.stages.Stage", point.value)
            continue
        kind = str(cls.__struct_config__.tag)
        if kind in stages:
            raise RecipeError(f"the package {point.value!r} registers a stage named {kind!r}, which exists already")
        stages[kind] = cls
    return stages


def stage_from(table: Any, where: str) -> Stage:
    """Return the stage that a recipe table describes.

    Raises:
        RecipeError: unknown kind, unknown or ill-typed setting; the message says *where* and suggests the nearest name.

    """
    stages = known_stages()
    if not isinstance(table, dict):
        raise RecipeError(f'{where}: a stage is a table, [[stage]] with kind = "…", not {table!r}')
    kind = table.get("kind")
    if not isinstance(kind, str):
        raise RecipeError(f"{where}: the stage has no `kind`{did_you_mean('', stages)}")
    if kind not in stages:
        raise RecipeError(f"{where}: unknown stage {kind!r}{did_you_mean(kind, stages)}")
    cls = stages[kind]
    for name in table:
        if name != "kind" and name not in cls.__struct_fields__:
            raise RecipeError(f"{where} ({kind}): unknown setting {name!r}{did_you_mean(name, cls.__struct_fields__)}")
    try:
        return cls(**{name: value for name, value in table.items() if name != "kind"})
    except RecipeError as error:
        raise RecipeError(f"{where} ({kind}): {str(error).removeprefix(f'{kind}.')}") from None
    except TypeError as error:  # a setting that has no default is missing
        raise RecipeError(f"{where} ({kind}): {error}") from None


def readable(error: msgspec.ValidationError) -> str:
    """Return the message of a validation error with the setting's name in place of a JSON path.

    >>> readable(msgspec.ValidationError("Expected `float` <= 1.0 - at `$.threshold`"))
    'threshold: Expected `float` <= 1.0'
    """
    text, at, path = str(error).partition(" - at `$.")
    return f"{path.rstrip('`')}: {text}" if at else text
