"""A plain function as a stage, so that one odd rule needs no class."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, ClassVar

from corpusmill.schemas import Document, Drop, RecipeError
from corpusmill.stages.base import Apply, DocumentStage

__all__ = ["Function"]


class Function(DocumentStage, frozen=True, kw_only=True):
    """Apply `function(dict) -> dict | Drop` to every document; it may change `text` and give any reason for a drop.

    The dict holds `id`, `url`, `source`, `text` and `metadata` (a JSON string). With worker processes the function must be
    importable, that is defined at the top of a module.
    """

    reads: ClassVar[tuple[str, ...]] = ("url", "source", "metadata")
    any_reason: ClassVar[bool] = True

    function: Any
    """The function itself, or its name as `package.module:name`."""

    def __post_init__(self) -> None:
        named = isinstance(self.function, str) and ":" in self.function
        if isinstance(self.function, type) or not (named or hasattr(self.function, "__qualname__")):
            raise RecipeError(
                f"function.function: expected a named function or 'package.module:name', got {self.function!r}"
            )

    def build(self) -> Apply:
        """Resolve the function and return its adapter."""
        function = _resolve(self.function) if isinstance(self.function, str) else self.function

        def apply(document: Document) -> Document | Drop:
            given = {name: getattr(document, name) for name in ("id", "url", "source", "text", "metadata")}
            result = function(given)
            if isinstance(result, Drop):
                return result
            if not isinstance(result, dict) or not isinstance(result.get("text"), str):
                raise TypeError(f"{self.name} must return a dict with a string under 'text', or a Drop")
            document.text = result["text"]
            return document

        return apply

    @property
    def name(self) -> str:
        """The name of the function as `package.module:name`."""
        return (
            self.function
            if isinstance(self.function, str)
            else f"{self.function.__module__}:{self.function.__qualname__}"
        )


def _resolve(name: str) -> Callable[[dict[str, Any]], Any]:
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # noqa: BLE001  a user's module may raise anything when it is imported
        raise RecipeError(f"function.function: cannot import {name!r}: {type(error).__name__}: {error}") from None
    if not callable(function):
        raise RecipeError(f"function.function: {name!r} is not callable")
    return function  # type: ignore[no-any-return]
