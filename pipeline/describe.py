"""What a stage is, read from its own code: the source of `corpusmill stages` and of the reference in docs/.

Settings are documented by the string literal below each field, which Python throws away; it is read from the source.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import Any

import msgspec

from corpusmill.recipe import as_toml
from corpusmill.stages import Stage

__all__ = ["Setting", "StageDescription", "describe_settings", "describe_stage", "readable_type"]


class Setting(msgspec.Struct, frozen=True):
    """One setting: its name, its type and default as Python writes them, and what it does."""

    name: str
    type: str
    default: str
    doc: str


class StageDescription(msgspec.Struct, frozen=True):
    """A stage as its users see it."""

    kind: str
    class_name: str
    doc: str
    settings: tuple[Setting, ...]
    reasons: tuple[str, ...]
    signals: tuple[tuple[str, str], ...]


def describe_stage(cls: type[Stage]) -> StageDescription:
    """Return the description of a stage class."""
    return StageDescription(
        kind=str(cls.__struct_config__.tag),
        class_name=cls.__name__,
        doc=inspect.getdoc(cls) or "",
        settings=describe_settings(cls),
        reasons=tuple(sorted(cls.reasons)),
        signals=tuple((name, str(type_)) for name, type_ in cls.signals.items()),
    )


def describe_settings(cls: type[Any]) -> tuple[Setting, ...]:
    """Return the settings of a settings class in the order in which they are declared."""
    source = _annotations(cls)
    settings = []
    for field in msgspec.structs.fields(cls):
        annotation, doc = source.get(field.name, ("", ""))
        default = (
            "(required)"
            if field.required
            else as_toml(field.default if field.default is not msgspec.NODEFAULT else field.default_factory())
        )
        settings.append(Setting(field.name, readable_type(annotation), default, doc))
    return tuple(settings)


def readable_type(annotation: str) -> str:
    """Return a type annotation as people who write recipes read it.

    >>> readable_type("Annotated[int, Meta(ge=1)] | None"), readable_type("Literal['a', 'b']"), readable_type("tuple[str, ...]")
    ('integer ≥ 1 or "off"', '"a" or "b"', 'list of string')
    """
    bounds = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}

    def bounded(match: re.Match[str]) -> str:
        limits = re.findall(r"(ge|gt|le|lt)=([\d_.]+)", match[2])
        return " ".join([match[1], *(f"{bounds[name]} {limit.replace('_', ',')}" for name, limit in limits)])

    text = re.sub(r"Annotated\[(\w+), Meta\(([^)]*)\)\]", bounded, annotation)
    text = re.sub(r"Literal\[([^\]]*)\]", lambda match: match[1].replace("'", '"').replace(", ", " or "), text)
    text = re.sub(r"tuple\[(.*), \.\.\.\]", r"list of \1", text)
    names = {
        "int": "integer",
        "float": "number",
        "str": "string",
        "bool": "true or false",
        "None": '"off"',
        "Any": "anything",
    }
    return re.sub(r"\b(int|float|str|bool|None|Any)\b", lambda match: names[match[1]], text).replace(" | ", " or ")


def _annotations(cls: type[Any]) -> dict[str, tuple[str, str]]:
    """Return (annotation, docstring) of every annotated field of a class, from its source."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node, following in zip(body.body, [*body.body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        doc = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            doc = inspect.cleandoc(str(following.value.value))
        found[node.target.id] = (ast.unparse(node.annotation), doc)
    return found
