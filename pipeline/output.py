"""What an output directory is to a run: ours or not, of the same recipe or not, and whole or not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpusmill.chain import numbered
from corpusmill.journal import Journal, remove_temporary
from corpusmill.recipe import recipe_table
from corpusmill.schemas import OutputMismatchError, RecipeError
from corpusmill.schemas.manifest import RunStarted, SegmentRecord, ShardRecord
from corpusmill.schemas.recipe import Recipe
from corpusmill.stages.tokenize import tokenizer_hash

__all__ = ["LOCK", "check_ours", "check_recorded", "check_same_recipe", "remove_ours", "sweep"]

_FOLDERS = ("shards", "rejects", "signals", "quarantine")
_FILES = ("manifest.json", "report.html", "tokenizer.json")
_STATE = ("spill", "sketches", "trail")
LOCK = "lock"


def check_ours(root: Path) -> None:
    """Refuse an output directory that holds other people's files.

    Ours is what has a journal, or nothing but a `state/` with a lock: a run that stopped before it began.
    """
    if root.exists() and not root.is_dir():
        raise RecipeError(f"the output {root} is a file; give a directory")
    if not root.exists() or (root / "state" / "journal.jsonl").is_file():
        return
    if (root / "manifest.json").is_file():
        raise RecipeError(f"{root} is the output of a run without its state/: put it back, or give a new directory")
    state = root / "state"
    names = {path.name for path in root.iterdir()}
    ours = names <= {"state", *_FOLDERS, *_FILES} and {path.name for path in state.glob("*")} <= {LOCK, *_STATE}
    if names and not (state.is_dir() and ours and (state / LOCK).exists()):
        raise RecipeError(f"the output {root} is not empty and was not written by corpusmill; give a new directory")


def remove_ours(root: Path) -> None:
    """Remove what runs write, and nothing else; manifest and journal go first, so that a stop on the way leaves no lie."""
    for name in ("manifest.json", "state/journal.jsonl", *_FILES):
        (root / name).unlink(missing_ok=True)
    for folder in (*_FOLDERS, *(f"state/{name}" for name in _STATE)):
        shutil.rmtree(root / folder, ignore_errors=True)


def sweep(root: Path, journal: Journal) -> None:
    """Remove what no event of the journal names: unfinished files, and products of attempts that were not recorded."""
    remove_temporary(root)
    named = {event.path for event in journal.events if isinstance(event, ShardRecord)}
    named |= {file.path for event in journal.events if isinstance(event, SegmentRecord) for file in event.files}
    for folder in _FOLDERS:
        for path in (root / folder).glob("*.parquet"):
            if f"{folder}/{path.name}" not in named:
                path.unlink()
    if not journal.unfinished:
        shutil.rmtree(root / "state" / "spill", ignore_errors=True)


def check_recorded(root: Path, journal: Journal) -> None:
    """Refuse to add to an output of which something is missing.

    Raises:
        OutputMismatchError: a recorded shard, or the tokenizer that wrote them, is not there as it was.

    """
    missing = [
        event.path for event in journal.events if isinstance(event, ShardRecord) and not (root / event.path).exists()
    ]
    if missing:
        raise OutputMismatchError(
            f"{len(missing)} shards that were written are missing ({', '.join(missing[:3])}): restore them, or --restart"
        )
    made, path = journal.tokenizer_hash, root / "tokenizer.json"
    if made is not None and not (path.is_file() and tokenizer_hash(path) == made):
        raise OutputMismatchError(
            f"{path} is missing or was changed since it wrote these shards: restore it, or --restart"
        )


def check_same_recipe(journal: Journal, identity: str, recipe: Recipe) -> None:
    """Refuse to go on with another recipe than the one that wrote what is there, and show the difference.

    A journal in which no work is recorded yet binds nobody: it is begun anew.
    """
    starts = [event for event in journal.events if isinstance(event, RunStarted)]
    if not starts or starts[-1].fingerprint == identity:
        return
    if not any(isinstance(event, SegmentRecord) for event in journal.events):
        journal.forget()
        return
    old, new = (_by_stage(table) for table in (starts[-1].recipe, recipe_table(recipe)))
    differences = "\n".join(f"  {line}" for line in _differences(old, new))
    raise OutputMismatchError(
        "the output was written with another recipe, so its shards would not fit together:\n"
        f"{differences or '  the version of a stage or the contents of a file that a stage names'}\n"
        "use another output directory, or --restart to remove what is there and begin again"
    )


def _by_stage(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe table with each stage under the name by which `--set` knows it."""
    stages = table["stage"]
    rest = {key: value for key, value in table.items() if key not in {"name", "description", "source", "stage"}}
    return rest | dict(zip(numbered([stage["kind"] for stage in stages]), stages, strict=True))


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], place: str = "") -> list[str]:
    """Return one line per setting or stage that differs between two tables."""
    lines = []
    for key in sorted({*old, *new}):
        here, before, after = f"{place}{key}", old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines += _differences(before, after, f"{here}.")
        elif isinstance(before, Mapping) or isinstance(after, Mapping):
            lines.append(f"{here}: {'not in the recipe before' if before is None else 'no longer in the recipe'}")
        elif before != after:
            lines.append(f"{here}: {_short(before)} -> {_short(after)}")
    return lines


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
