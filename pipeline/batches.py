"""Which inputs are new: batches of files in the order in which they came.

A file is known by its path or, where the whole input was moved, by its name. Naming depends on the inputs that are given
together, so the path comes first: `run a out` and then `run a b out` must not read the files of a twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from corpusmill.discover import Discovery
from corpusmill.journal import Journal
from corpusmill.recipe import recipe_table
from corpusmill.schemas import OutputMismatchError
from corpusmill.schemas.inputs import InputFile
from corpusmill.schemas.manifest import InputsMoved, RunStarted
from corpusmill.schemas.recipe import Recipe

__all__ = ["check_present", "now", "start_batch", "with_paths"]


def start_batch(
    journal: Journal, recipe: Recipe, identity: str, found: Discovery, versions: Mapping[str, str]
) -> dict[str, str]:
    """Record the files that are new as a batch of their own; return the present path of each known file by its name.

    Raises:
        OutputMismatchError: a file changed after it was read, or another file of the same name was read before.

    """
    starts = [event for event in journal.events if isinstance(event, RunStarted)]
    paths = {
        name: path for event in journal.events if isinstance(event, InputsMoved) for name, path in event.paths.items()
    }
    known = [file for start in starts for file in with_paths(start.files, paths)]
    new, moved = _compare(known, found.files)
    if moved:
        journal.append(InputsMoved(paths=moved))
        paths |= moved
    if new:
        journal.append(
            RunStarted(
                files=tuple(new),
                skipped=tuple(found.skipped),
                fingerprint=identity,
                recipe=recipe_table(recipe),
                versions=dict(versions),
                started=now(),
            )
        )
    return paths


def with_paths(files: Iterable[InputFile], moved: Mapping[str, str]) -> tuple[InputFile, ...]:
    """Return *files* at the paths where they lie now."""
    return tuple(msgspec.structs.replace(file, path=moved[file.name]) if file.name in moved else file for file in files)


def check_present(needed: Iterable[InputFile]) -> None:
    """Refuse to go on without the inputs of a run that was interrupted: they would count as unreadable for good.

    Raises:
        OutputMismatchError: files that are still *needed* are gone.

    """
    gone = [file.path for file in needed if not Path(file.path).exists()]
    if gone:
        raise OutputMismatchError(
            f"{len(gone)} inputs of the interrupted run are gone: {_few(gone)}; put them back, name the place to which they "
            "were moved as an input, or --restart"
        )


def now() -> str:
    """Return the time as ISO 8601, in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _compare(known: Iterable[InputFile], found: Iterable[InputFile]) -> tuple[list[InputFile], dict[str, str]]:
    """Return the files that are new, and where known files lie that were moved."""
    by_path = {file.path: file for file in known}
    by_name = {file.name: file for file in known}
    new: list[InputFile] = []
    moved: dict[str, str] = {}
    changed: list[str] = []
    clashes: list[str] = []
    for file in found:
        old = by_path.get(file.path) or by_name.get(file.name)
        if old is None:
            new.append(file)
        elif old.path != file.path and Path(old.path).exists():
            clashes.append(f"{file.name} ({file.path} and {old.path})")
        elif (old.size, old.mtime_ns) != (file.size, file.mtime_ns):
            changed.append(file.name)
        elif old.path != file.path:
            moved[old.name] = file.path
    if changed:
        raise OutputMismatchError(
            f"{len(changed)} inputs changed after they were read: {_few(changed)}; "
            "give changed documents a new name, use another output directory, or --restart"
        )
    if clashes:
        raise OutputMismatchError(
            f"{len(clashes)} inputs have the name of another one that was read before, so their documents could not be told "
            f"apart: {_few(clashes)}; rename one of them, or use another output directory"
        )
    return new, moved


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
