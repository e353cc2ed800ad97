"""How files form splits: small ones in groups, large ones in ranges, one split after the other while the run goes on.

Which splits there are depends on the files and the split size alone. Cutting a large file takes reading it, so splits are
handed out as they are found, and workers are busy from the first ones on. Every split is recorded when it is planned; a run
that goes on takes the recorded ones first and cuts on behind them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from corpusmill.cuts import cut_file
from corpusmill.input_state import CHANGED, content_hash, is_changed
from corpusmill.schemas import OutputMismatchError
from corpusmill.schemas.inputs import InputFile, InputSettings, Part, Split
from corpusmill.schemas.manifest import PlannedPart, SplitPlanned
from corpusmill.schemas.sizes import parse_size

__all__ = ["estimated_splits", "event_of", "plan_splits", "split_of", "unread_files"]


def plan_splits(
    files: Sequence[InputFile],
    settings: InputSettings,
    *,
    first_index: int = 0,
    recorded: Sequence[Split] = (),
    spool: Path | None = None,
    unread: Callable[[int], bool] = lambda index: True,  # noqa: ARG005
) -> Iterator[Split]:
    """Yield the splits of *files*, in order; those that an earlier run *recorded* come first, as they were.

    Large compressed files of JSON Lines are decoded here, because they cannot be entered in the middle: the lines of each
    split go to a file in the directory *spool*, but for recorded splits that are not *unread*. No file is spooled before
    its split is asked for.

    Raises:
        OutputMismatchError: a file is not cut where it was cut before, so it has changed.

    """
    split_size = parse_size(settings.split_size)
    index = first_index
    left = deque(recorded)
    for number, group in enumerate(_groups(files, split_size)):
        mine = []
        while left and left[0].parts[0].file.name == group[0].name:
            mine.append(left.popleft())
        if group[0].size <= split_size:
            splits = iter(mine or [Split(index=index, parts=tuple(Part(file=file) for file in group))])
        elif mine and _ends(mine[-1].parts[-1]) and not (_is_decoded(group[0]) and any(unread(s.index) for s in mine)):
            splits = iter(mine)
        elif is_changed(group[0]):
            splits = _with_rest(group[0], mine, index)
        elif _is_decoded(group[0]):
            place = partial(_spool_path, spool, number) if spool is not None else None
            splits = _decoded(group[0], settings, mine, place, unread, index)
        else:
            splits = _ranges(group[0], settings, mine, index)
        for split in splits:
            yield _with_hashes(split)
            index = split.index + 1


def _groups(files: Sequence[InputFile], split_size: int) -> Iterator[list[InputFile]]:
    """Yield consecutive files that together have up to *split_size* stored bytes; a larger one is alone."""
    group: list[InputFile] = []
    size = 0
    for file in files:
        if group and size + file.size > split_size:
            yield group
            group, size = [], 0
        group.append(file)
        size += file.size
    if group:
        yield group


def _ranges(file: InputFile, settings: InputSettings, recorded: Sequence[Split], index: int) -> Iterator[Split]:
    yield from recorded
    after = recorded[-1].parts[0] if recorded else None
    parts = cut_file(file, settings, parse_size(settings.split_size), after=after)
    for at, part in enumerate(parts, index + len(recorded)):
        yield Split(index=at, parts=(part,))


def _with_rest(file: InputFile, recorded: Sequence[Split], index: int) -> Iterator[Split]:
    """Yield the recorded splits and one for all that is behind them: nothing more can be read as it was planned."""
    yield from recorded
    offset = recorded[-1].parts[0].offset + recorded[-1].parts[0].stored if recorded else 0
    if offset < file.size:
        rest = Part(file=file, start=offset, offset=offset, size=file.size - offset, damage=CHANGED)
        yield Split(index=index + len(recorded), parts=(rest,))


def _decoded(
    file: InputFile,
    settings: InputSettings,
    recorded: Sequence[Split],
    spool: Callable[[int], Path] | None,
    unread: Callable[[int], bool],
    index: int,
) -> Iterator[Split]:
    """Yield the splits of a file that is decoded from its beginning, whatever was recorded."""

    def wanted(number: int) -> bool:
        return number >= len(recorded) or unread(recorded[number].index)

    parts = cut_file(file, settings, parse_size(settings.split_size), spool=spool, wanted=wanted)
    for number, part in enumerate(parts):
        known = recorded[number].parts[0] if number < len(recorded) else None
        if known is not None and msgspec.structs.replace(part, spool=None, hash=known.hash) != known:
            raise OutputMismatchError(
                f"{file.name} is not what it was when the interrupted run read it; put it back, or --restart"
            )
        yield Split(index=index + number, parts=(part,))


def _is_decoded(file: InputFile) -> bool:
    """Return whether a file can only be cut by decoding it from its beginning."""
    return file.format == "jsonl" and file.compression != "none"


def _with_hashes(split: Split) -> Split:
    """Return a split with the hashes of its ranges; whole files are hashed by the worker that reads them."""
    if all(part.start is None or part.hash is not None or part.damage == CHANGED for part in split.parts):
        return split
    parts = (msgspec.structs.replace(part, hash=content_hash(part)) for part in split.parts)
    return msgspec.structs.replace(split, parts=tuple(parts))


def _spool_path(folder: Path, group: int, number: int) -> Path:
    return folder / f"input-{group:06d}-{number:06d}.jsonl"


def _ends(part: Part) -> bool:
    """Return whether a part reaches the end of its file."""
    return part.offset + part.stored >= part.file.size


def estimated_splits(files: Sequence[InputFile], split_size: int) -> int:
    """Return about how many splits *files* form: large files are cut at records, which only reading them finds."""
    return sum(max(1, round(sum(file.size for file in group) / split_size)) for group in _groups(files, split_size))


def event_of(split: Split, batch: int, places: dict[str, int]) -> SplitPlanned:
    """Return how the journal records a split of a batch; *places* are the positions of the batch's files by name."""
    return SplitPlanned(
        index=split.index,
        batch=batch,
        parts=tuple(
            PlannedPart(file=places[part.file.name], **{f: getattr(part, f) for f in _RECORDED}) for part in split.parts
        ),
    )


def split_of(event: SplitPlanned, files: Sequence[InputFile]) -> Split:
    """Return the split that the journal recorded; *files* are those of its batch."""
    parts = (Part(file=files[part.file], **{f: getattr(part, f) for f in _RECORDED}) for part in event.parts)
    return Split(index=event.index, parts=tuple(parts))


_RECORDED = tuple(name for name in PlannedPart.__struct_fields__ if name != "file")


def unread_files(files: Sequence[InputFile], recorded: Sequence[Split], read: Callable[[int], bool]) -> list[InputFile]:
    """Return the files that are still needed: those of splits not *read* yet, and those not planned to their end."""
    done = set()
    for split in recorded:
        for part in split.parts:
            if _ends(part):
                done.add(part.file.name)
    needed = {part.file.name for split in recorded if not read(split.index) for part in split.parts}
    return [file for file in files if file.name in needed or file.name not in done]
