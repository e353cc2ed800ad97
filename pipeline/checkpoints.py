"""Saved indexes of corpus stages, so that the next run need not show them every split again.

An index is what adding the sketches of all splits in order makes of it, so a saved one is only a shortcut and never the
truth: it counts if the sketches that it covers are the recorded ones, to the byte, and everything that those splits still
need is at hand; else it is ignored and made again from the sketches. It is saved when a batch is finished, and on the way
whenever it has grown by half: a run that is killed then repeats a third of the adding at most, and all saving together
writes three times the last index.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa
import xxhash

from corpusmill.journal import sync
from corpusmill.schemas import OutputMismatchError
from corpusmill.schemas.manifest import SegmentRecord
from corpusmill.stages.base import CorpusStage, Index
from corpusmill.stages.sketch_store import sketch_reader

__all__ = ["Checkpoints", "Covered", "SavedIndex"]

_SKETCHES = "sketches/split-{{split:06d}}-{segment}.arrow"  # as workers name them, relative to state/
_HEADER = "checkpoint.json"
_WAITING = "waiting"
_UNFINISHED = "unfinished"
_DAMAGE = (OSError, ValueError, LookupError, TypeError, EOFError, OutputMismatchError)
"""What reading a saved index may raise where it is damaged or of another version: then it is made again."""


@runtime_checkable
class SavedIndex(Protocol):
    """An index that can be saved."""

    documents: int

    def save(self, folder: Path, sketches: str) -> None:
        """Write the index into an empty folder; *sketches* is the path of a split's sketches, relative to it."""


class Covered:
    """The hash of the sketches of all splits that were added, in order."""

    def __init__(self) -> None:
        self._hash = xxhash.xxh3_128()

    def add(self, record: SegmentRecord) -> None:
        """Take in the next split."""
        sketches = record.sketches.sha256 if record.sketches else ""
        self._hash.update(f"{record.split} {sketches}\n".encode())

    @property
    def digest(self) -> str:
        """The hash so far, in hexadecimal."""
        return self._hash.hexdigest()


class Checkpoints:
    """The saved indexes of one corpus stage: `state/index/<stage>-<last split>/`."""

    def __init__(self, root: Path, stage: str, segment: int) -> None:
        self._folder = root / "state" / "index"
        self._stage = stage
        self._sketches = _SKETCHES.format(segment=segment)
        self.read_again = sketch_reader(root / "state", self._sketches)

    def save(self, index: SavedIndex, through: int, digest: str, waiting: Mapping[int, pa.Array | None]) -> None:
        """Save *index*, which has seen all splits up to *through*; *waiting* is what was resolved and not taken up yet."""
        place = self._folder / f"{self._stage}-{through:06d}"
        temporary = self._folder / f"{_UNFINISHED}-{self._stage}-{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        index.save(temporary, f"../../{self._sketches}")
        for split, resolved in waiting.items():
            if resolved is not None:
                batch = pa.record_batch([resolved], ["resolved"])
                with pa.ipc.new_stream(str(temporary / f"{_WAITING}-{split:06d}.arrow"), batch.schema) as stream:
                    stream.write_batch(batch)
        resolved = sorted(split for split in waiting if waiting[split] is not None)
        header = {"through": through, "covered": digest, "waiting": sorted(waiting), "resolved": resolved}
        (temporary / _HEADER).write_text(json.dumps(header))
        for path in (*(path for path in temporary.rglob("*") if path.is_file()), temporary):
            sync(path)
        shutil.rmtree(place, ignore_errors=True)  # of an earlier attempt
        temporary.replace(place)
        sync(self._folder)
        for old in self._places():
            if old != place:
                shutil.rmtree(old, ignore_errors=True)

    def load(
        self, stage: CorpusStage, records: Mapping[int, SegmentRecord], taken_up: Container[int]
    ) -> tuple[Index, int, dict[int, pa.Array | None]] | None:
        """Return the saved index, the last split that it has seen, and what waits; None if there is none that still counts.

        *records* are those of the segment before the stage, *taken_up* the splits that are through the segment behind it.
        """
        for place in reversed(self._places()):
            try:
                header: dict[str, Any] = json.loads((place / _HEADER).read_text())
                through = int(header["through"])
                covered = Covered()
                for split in sorted(split for split in records if split <= through):
                    covered.add(records[split])
                needed = {split for split in records if split <= through and split not in taken_up}
                if header["covered"] != covered.digest or not needed <= {*header["waiting"]}:
                    continue
                index = stage.load_index(place)
                resolved: dict[int, pa.Array | None] = dict.fromkeys(needed)
                resolved |= {split: _resolved(place, split) for split in needed & {*header["resolved"]}}
            except _DAMAGE:
                continue
            return index, through, resolved
        return None

    def _places(self) -> list[Path]:
        """Return the folders of saved indexes, the newest last; what a killed process left unfinished is removed."""
        if not self._folder.is_dir():
            return []
        for path in self._folder.glob(f"{_UNFINISHED}-*"):
            shutil.rmtree(path, ignore_errors=True)
        places = self._folder.glob(f"{self._stage}-[0-9]*")
        return sorted(places, key=lambda place: int(place.name.rpartition("-")[2]))


def _resolved(place: Path, split: int) -> pa.Array:
    """Return what was resolved for a split and not taken up yet."""
    with pa.OSFile(str(place / f"{_WAITING}-{split:06d}.arrow")) as file, pa.ipc.open_stream(file) as stream:
        return stream.read_all().column("resolved").combine_chunks()
