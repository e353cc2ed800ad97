"""Recipes: read from TOML, changed by `--set`, checked before anything is read.

Every error names the file, the stage and the setting, and suggests the nearest name: a recipe is wrong more often than the
code is, and it is wrong before a long run, which is when it is cheap.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from corpusmill.chain import name_stages, numbered
from corpusmill.schemas import RecipeError, did_you_mean
from corpusmill.schemas.inputs import InputSettings
from corpusmill.schemas.recipe import LimitSettings, MixtureSettings, OutputSettings, Recipe
from corpusmill.stages import Stage, stage_from
from corpusmill.stages.registry import readable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "as_toml",
    "built_in_recipes",
    "describe",
    "fingerprint",
    "load_recipe",
    "recipe_from",
    "recipe_table",
    "stage_identities",
]

_TABLES = ("input", "output", "limits")
_KEYS = ("name", "description", "source", "seed", *_TABLES, "mixture", "stage")


@lru_cache(maxsize=1)
def built_in_recipes() -> dict[str, str]:
    """Return the TOML text of every built-in recipe by name."""
    folder = files("corpusmill") / "recipes"
    found = {
        item.name.removesuffix(".toml"): item.read_text("utf-8")
        for item in folder.iterdir()
        if item.name.endswith(".toml")
    }
    return dict(sorted(found.items()))


def load_recipe(name_or_path: str, changes: Sequence[str] = ()) -> Recipe:
    """Return the recipe with that name or in that file, with `stage.setting=value` *changes* applied.

    Raises:
        RecipeError: there is no such recipe, or something in it is wrong.

    """
    built_in = built_in_recipes()
    if name_or_path in built_in:
        where, text = f"recipe {name_or_path}", built_in[name_or_path]
    else:
        path = Path(name_or_path)
        if not path.is_file():
            raise RecipeError(
                f"there is no recipe {name_or_path!r}{did_you_mean(name_or_path, built_in)}; a file must end in .toml and exist"
            )
        try:
            where, text = path.name, path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path} cannot be read as UTF-8 text: {error}") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{where}: not valid TOML: {error}") from None
    table.setdefault("name", Path(name_or_path).stem)
    for change in changes:
        _apply(table, change)
    return recipe_from(table, where)


def recipe_from(table: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Return the recipe that a table (as TOML gives it) describes."""
    for key in table:
        if key not in _KEYS:
            raise RecipeError(f"{where}: unknown key {key!r}{did_you_mean(key, _KEYS)}")
    stages = table.get("stage", [])
    if not isinstance(stages, list) or not stages:
        raise RecipeError(f"{where}: a recipe needs at least one [[stage]] table")
    mixture = table.get("mixture", [])
    if not isinstance(mixture, list):
        raise RecipeError(f"{where}: mixture is a list of tables, each headed [[mixture]]")
    return Recipe(
        name=_plain(table, "name", str, "custom", where),
        description=_plain(table, "description", str, "", where),
        source=_plain(table, "source", str, "", where),
        seed=_plain(table, "seed", int, 0, where),
        input=_settings(table.get("input", {}), InputSettings, f"{where}: [input]"),
        output=_settings(table.get("output", {}), OutputSettings, f"{where}: [output]"),
        limits=_settings(table.get("limits", {}), LimitSettings, f"{where}: [limits]"),
        mixture=tuple(
            _settings(source, MixtureSettings, f"{where}: [[mixture]] {number}")
            for number, source in enumerate(mixture, 1)
        ),
        stages=tuple(stage_from(stage, f"{where}: stage {number}") for number, stage in enumerate(stages, 1)),
    )


def recipe_table(recipe: Recipe) -> dict[str, Any]:
    """Return *recipe*, with every setting spelled out, as plain data for the manifest."""
    table: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(recipe, enc_hook=_function_name))
    table["stage"] = table.pop("stages")
    return table


def fingerprint(recipe: Recipe) -> str:
    """Return the hash of all that decides what a run writes, but for the inputs and the versions of libraries.

    It covers every setting from which any of it follows, the version of every stage, and the contents of the files that stages
    name.
    """
    table = recipe_table(recipe)
    table["stage"] = [
        {name: value for name, value in settings.items() if name not in stage.same_output}
        for stage, settings in zip(recipe.stages, table["stage"], strict=True)
    ]
    for text in ("name", "description", "source"):  # words about a recipe change nothing
        del table[text]
    parts = [table, list(stage_identities(recipe).items())]
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def stage_identities(recipe: Recipe) -> dict[str, list[Any]]:
    """Return for each stage, by the name that it has in reports, its version and the hashes of the files that it names."""
    return {
        named.name: [
            type(named.stage).version,
            *(hashlib.sha256(_resource(named.stage, path)).hexdigest() for path in named.stage.resources()),
        ]
        for named in name_stages(recipe.stages)
    }


def _resource(stage: Stage, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise RecipeError(f"{stage.kind}: cannot read {path}: {error.strerror}") from None


def _function_name(value: Any) -> str:
    if callable(value):
        # Two lambdas have one name; what they do is in their code.
        code = getattr(value, "__code__", None)
        digest = f"#{hashlib.sha256(code.co_code + repr(code.co_consts).encode()).hexdigest()[:12]}" if code else ""
        return f"{value.__module__}:{value.__qualname__}{digest if '<' in value.__qualname__ else ''}"
    raise NotImplementedError(f"no plain form for {type(value).__name__}")


def _plain(table: Mapping[str, Any], key: str, type_: type, default: Any, where: str) -> Any:
    value = table.get(key, default)
    if not isinstance(value, type_) or isinstance(value, bool):
        raise RecipeError(f"{where}: {key}: expected {type_.__name__}, got {type(value).__name__}")
    return value


def _settings(table: Any, type_: type[Any], where: str) -> Any:
    if not isinstance(table, dict):
        raise RecipeError(f"{where}: expected a table")
    for key in table:
        if key not in type_.__struct_fields__:
            raise RecipeError(f"{where}: unknown setting {key!r}{did_you_mean(key, type_.__struct_fields__)}")
    try:
        return msgspec.convert(table, type_)
    except msgspec.ValidationError as error:
        raise RecipeError(f"{where}: {readable(error)}") from None


def _apply(table: dict[str, Any], change: str) -> None:
    """Apply one `place.setting=value` to a recipe table, in place."""
    target, equals, raw = change.partition("=")
    place, dot, setting = target.strip().rpartition(".")
    where = f"--set {change}"
    if not equals or not setting:
        raise RecipeError(f"{where}: expected stage.setting=value, for example deduplicate.threshold=0.7")
    value = _value(raw)
    if not dot:
        if setting != "seed":
            raise RecipeError(f"{where}: expected stage.setting=value; only `seed` stands alone")
        table["seed"] = value
        return
    if place in _TABLES:
        settings = table.setdefault(place, {})
        if isinstance(settings, dict):  # what is no table is refused when the recipe is read
            settings[setting] = value
        return
    given = table.get("stage", [])
    stages = [stage for stage in given if isinstance(stage, dict)] if isinstance(given, list) else []
    kinds = [str(stage.get("kind")) for stage in stages]
    names = numbered(kinds)
    if kinds.count(place) > 1:
        several = ", ".join(f"{place}#{number + 1}" for number in range(kinds.count(place)))
        raise RecipeError(f"{where}: the recipe has several stages {place!r}; say which: {several}")
    place = place.removesuffix("#1") if place.removesuffix("#1") in names else place
    if place not in names:
        raise RecipeError(f"{where}: the recipe has no stage {place!r}{did_you_mean(place, [*names, *_TABLES])}")
    stages[names.index(place)][setting] = value


def _value(raw: str) -> Any:
    """Return a command-line value as TOML would read it; what is no TOML is a string, so quotes are optional.

    >>> _value("0.7"), _value("[1, 2]"), _value("text"), _value("true")
    (0.7, [1, 2], 'text', True)
    """
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw.strip()


def describe(recipe: Recipe) -> str:
    """Return the recipe as lines to read: every stage with every setting."""
    lines = [f"recipe {recipe.name}: {recipe.description}".rstrip(": "), f"seed = {recipe.seed}"]
    for name in _TABLES:
        lines += [f"[{name}]", *_setting_lines(getattr(recipe, name))]
    for table in recipe.mixture:
        lines += ["[[mixture]]", *_setting_lines(table)]
    for named in name_stages(recipe.stages):
        lines += [f"[{named.name}]", *_setting_lines(named.stage)]
    return "\n".join(lines)


def _setting_lines(settings: Any) -> list[str]:
    return [f"  {name} = {as_toml(getattr(settings, name))}" for name in settings.__struct_fields__]


def as_toml(value: Any) -> str:
    """Return a setting as a recipe would write it; None is `"off"`.

    >>> as_toml(None), as_toml(("en", "de")), as_toml(True), as_toml(0.5)
    ('"off"', '["en", "de"]', 'true', '0.5')
    """
    if value is None:
        return '"off"'
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_function_name), indent=0).decode()
