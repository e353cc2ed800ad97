"""What an output directory is to a run: ours or not, of the same recipe or not, and whole or not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corpusmill.journal import Journal, remove_temporary
from corpusmill.recipe import recipe_table
from corpusmill.schemas import OutputMismatchError, RecipeError
from corpusmill.schemas.manifest import RunStarted, SegmentRecord, ShardRecord
from corpusmill.schemas.recipe import Recipe
from corpusmill.stages.tokenize import tokenizer_hash

__all__ = ["LOCK", "check_ours", "check_recorded", "check_same_recipe", "remove_ours", "sweep"]

_FOLDERS = ("shards", "rejects", "signals", "quarantine")
_FILES = ("manifest.json", "report.html", "tokenizer.json")
_STATE = ("spill", "sketches")
LOCK = "lock"


def check_ours(root: Path) -> None:
    """Refuse an output directory that holds other people's files.

    Ours is what has a journal, or nothing but a `state/` with a lock: a run that stopped before it began.
    """
    if root.exists() and not root.is_dir():
        raise RecipeError(f"the output {root} is a file; give a directory")
    if not root.exists() or (root / "state" / "journal.jsonl").is_file():
        return
    state = root / "state"
    names = {path.name for path in root.iterdir()}
    ours = names <= {"state", *_FOLDERS, *_FILES} and {path.name for path in state.glob("*")} <= {LOCK, *_STATE}
    if names and not (state.is_dir() and ours and (state / LOCK).exists()):
        raise RecipeError(f"the output {root} is not empty and was not written by corpusmill; give a new directory")


def remove_ours(root: Path, journal: Journal) -> None:
    """Remove what runs write, and nothing else; the journal goes first, so that a stop on the way leaves no lie."""
    journal.forget()
    for name in _FILES:
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
    differences = "\n".join(f"  {line}" for line in _differences(starts[-1].recipe, recipe_table(recipe)))
    raise OutputMismatchError(
        "the output was written with another recipe, so its shards would not fit together:\n"
        f"{differences or '  the version of a stage or the contents of a file that a stage names'}\n"
        "use another output directory, or --restart to remove what is there and begin again"
    )


def _differences(old: Any, new: Any, place: str = "") -> list[str]:
    """Return one line per setting that differs between two recipe tables."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = sorted({*old, *new} - {"name", "description", "source"})
        return [line for key in keys for line in _differences(old.get(key), new.get(key), f"{place}.{key}".lstrip("."))]
    if isinstance(old, Sequence) and isinstance(new, Sequence) and not isinstance(old, str) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True), 1)
        return [line for at, pair in pairs for line in _differences(*pair, f"{place}[{at}]")]
    return [] if old == new else [f"{place}: {_short(old)} -> {_short(new)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
