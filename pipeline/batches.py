"""Which inputs are new: batches of files in the order in which they came.

A file is known by its path or, where the whole input was moved, by its name. Naming depends on the inputs that are given
together, so the path comes first: `run a out` and then `run a b out` must not read the files of a twice. Size and time of
change say whether it is as it was; where only the time differs, its bytes do: a copy or a checkout touches every file, and
none of them is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from corpusmill.discover import Discovery
from corpusmill.input_state import content_hash
from corpusmill.journal import Journal
from corpusmill.planning import split_of
from corpusmill.recipe import recipe_table, stage_identities
from corpusmill.schemas import OutputMismatchError
from corpusmill.schemas.inputs import InputFile, Part
from corpusmill.schemas.manifest import InputsMoved, RunStarted, SegmentRecord, SplitPlanned
from corpusmill.schemas.recipe import Recipe

__all__ = ["check_present", "known_files", "now", "removed_files", "start_batch"]


def start_batch(
    journal: Journal,
    recipe: Recipe,
    identity: str,
    found: Discovery,
    versions: Mapping[str, str],
    *,
    accept_changed: bool = False,
) -> None:
    """Record the files that are new as a batch of their own, and where known ones lie now.

    Changed files are new ones if *accept_changed*: what was made of them before stays as it is.

    Raises:
        OutputMismatchError: a file changed after it was read, or another file of the same name was read before.

    """
    known = [file for batch in known_files(journal) for file in batch]
    new, moved, changed = _compare(known, found.files, _recorded_hashes(journal))
    if changed and not accept_changed:
        raise OutputMismatchError(
            f"{len(changed)} inputs changed after they were read: {_few([_difference(old, file) for old, file in changed])}\n"
            "what was made of them is in shards, which are never rewritten; use --accept-new-versions to read them again as new "
            "inputs (a recipe that removes duplicates keeps only what is new in them), another output directory, or --restart"
        )
    if moved.paths or moved.times:
        journal.append(moved)
    # In the order in which they were found, whether new or changed.
    taken = {file.name for file in new} | {file.name for _, file in changed}
    if taken:
        journal.append(
            RunStarted(
                files=tuple(file for file in found.files if file.name in taken),
                skipped=tuple(found.skipped),
                fingerprint=identity,
                recipe=recipe_table(recipe),
                versions=dict(versions),
                started=now(),
                stages=stage_identities(recipe),
            )
        )


def known_files(journal: Journal) -> list[tuple[InputFile, ...]]:
    """Return the files of each batch as they lie now."""
    batches: list[tuple[InputFile, ...]] = []
    for event in journal.events:
        if isinstance(event, RunStarted):
            batches.append(event.files)
        elif isinstance(event, InputsMoved):
            known = {*event.paths, *event.times}
            for at in range(len(batches) - 1, -1, -1):  # of a file that changed, the last version was meant
                if mine := known & {file.name for file in batches[at]}:
                    batches[at] = tuple(_moved(file, event) if file.name in mine else file for file in batches[at])
                    known -= mine
    return batches


def removed_files(known: Iterable[InputFile], found: Sequence[InputFile]) -> list[str]:
    """Return the names of known files that are gone; what was made of them stays in the output."""
    here = {file.path for file in found}
    return sorted({file.name for file in known if file.path not in here and not Path(file.path).exists()})


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


def _moved(file: InputFile, event: InputsMoved) -> InputFile:
    path, time = event.paths.get(file.name, file.path), event.times.get(file.name, file.mtime_ns)
    if (path, time) == (file.path, file.mtime_ns):
        return file
    return msgspec.structs.replace(file, path=path, mtime_ns=time)


def _compare(
    known: Iterable[InputFile], found: Iterable[InputFile], hashes: Mapping[str, Sequence[tuple[Part, str | None]]]
) -> tuple[list[InputFile], InputsMoved, list[tuple[InputFile, InputFile]]]:
    """Return the files that are new, the known ones that were moved or touched, and (before, now) of the changed ones.

    Of a file that changed before, the last version counts.
    """
    by_path = {file.path: file for file in known}
    by_name = {file.name: file for file in by_path.values()}
    new: list[InputFile] = []
    moved = InputsMoved()
    changed: list[tuple[InputFile, InputFile]] = []
    clashes: list[str] = []
    for file in found:
        old = by_path.get(file.path) or by_name.get(file.name)
        if old is None or _was_not_read(hashes.get(old.name, ())):
            new.append(file)
        elif old.path != file.path and Path(old.path).exists():
            clashes.append(f"{file.name} ({file.path} and {old.path})")
        elif not _is_same(old, file, hashes.get(old.name, ())):
            changed.append((old, file))
        else:
            if old.path != file.path:
                moved.paths[old.name] = file.path
            if old.mtime_ns != file.mtime_ns:
                moved.times[old.name] = file.mtime_ns
    if clashes:
        raise OutputMismatchError(
            f"{len(clashes)} inputs have the name of another one that was read before, so their documents could not be told "
            f"apart: {_few(clashes)}; rename one of them, or use another output directory"
        )
    return new, moved, changed


def _is_same(old: InputFile, file: InputFile, hashes: Sequence[tuple[Part, str | None]]) -> bool:
    """Return whether a known file holds what it held, as far as it was read."""
    if old.size != file.size or any(hash_ is None for _, hash_ in hashes):
        return False
    if old.mtime_ns == file.mtime_ns:
        return True
    return all(content_hash(msgspec.structs.replace(part, file=file)) == hash_ for part, hash_ in hashes)


def _was_not_read(hashes: Sequence[tuple[Part, str | None]]) -> bool:
    """Return whether a known file was gone, or changed, when its turn came, so that nothing of it is in the output."""
    return bool(hashes) and all(hash_ is None for _, hash_ in hashes)


def _recorded_hashes(journal: Journal) -> dict[str, list[tuple[Part, str | None]]]:
    """Return by file name what was cut or read of the last version of each file, and its hash.

    It is None for what was to be read and had changed, or was gone.
    """
    planned = [event for event in journal.events if isinstance(event, SplitPlanned)]
    read = {e.split: e.hashes for e in journal.events if isinstance(e, SegmentRecord) and e.segment == 0}
    batches = [event.files for event in journal.events if isinstance(event, RunStarted)]
    last = {file.name: number for number, files in enumerate(batches) for file in files}
    found: dict[str, list[tuple[Part, str | None]]] = {}
    for event in planned:
        parts = split_of(event, batches[event.batch]).parts
        known = read.get(event.index) or [part.hash for part in parts]
        for part, hash_ in zip(parts, known, strict=True):
            if last[part.file.name] == event.batch and (event.index in read or hash_ is not None):
                found.setdefault(part.file.name, []).append((part, hash_))
    return found


def _difference(old: InputFile, file: InputFile) -> str:
    """Return what differs between two versions of a file."""
    if old.size != file.size:
        return f"{file.name} ({old.size:,} -> {file.size:,} bytes)"
    times = (datetime.fromtimestamp(f.mtime_ns / 1e9, timezone.utc).isoformat(timespec="seconds") for f in (old, file))
    return f"{file.name} (other contents in {file.size:,} bytes; changed {' -> '.join(times)})"


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
