"""What an output directory is to a run: ours or not, of the same recipe or not, and whole or not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpusmill.chain import numbered
from corpusmill.journal import Journal, remove_temporary, write_atomically
from corpusmill.recipe import recipe_table, stage_identities
from corpusmill.schemas import OutputMismatchError, RecipeError
from corpusmill.schemas.manifest import RecipeAccepted, SegmentRecord, ShardRecord, SplitPlanned
from corpusmill.schemas.recipe import Recipe
from corpusmill.stages import Pack, Tokenize, known_stages
from corpusmill.stages.tokenize import tokenizer_hash

__all__ = ["LOCK", "check_ours", "check_recorded", "check_same_recipe", "distrust_spills", "remove_ours", "sweep"]

_FOLDERS = ("shards", "rejects", "signals", "quarantine", "clusters")
_FILES = ("manifest.json", "report.html", "tokenizer.json")
_STATE = ("spill", "sketches", "trail", "index")
_BOUND = ("seed", "input", "output", "mixture")
LOCK = "lock"
_BOOT = "boot"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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
    inside = {path.name for path in state.glob("*") if not path.name.startswith(f"{_BOOT}.")}
    ours = names <= {"state", *_FOLDERS, *_FILES} and inside <= {LOCK, _BOOT, *_STATE}
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
    shutil.rmtree(root / "state" / "trail", ignore_errors=True)
    named = {event.path for event in journal.events if isinstance(event, ShardRecord)}
    named |= {
        file.path for event in journal.events if isinstance(event, SegmentRecord | ShardRecord) for file in event.files
    }
    for folder in _FOLDERS:
        for path in (root / folder).glob("*.parquet"):
            if f"{folder}/{path.name}" not in named:
                path.unlink()
    if not journal.unfinished:
        shutil.rmtree(root / "state" / "spill", ignore_errors=True)


def distrust_spills(root: Path, journal: Journal, lasting: int | None = None) -> None:
    """Take back the work whose products wait in `state/spill`, if the machine was started anew since they were written.

    Spilled files are not synced: they survive processes, but not the machine. So what is spilled counts only as long as the
    machine runs on, which its boot id tells; without one (not on Linux) it never counts. Only what segment *lasting* leaves is
    synced: the rows that wait for the end of a run that shuffles the corpus.
    """
    place = root / "state" / _BOOT
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    if boot and place.is_file() and place.read_text() == boot:
        return
    waiting = _not_in_shards(journal, lasting)
    if waiting:
        journal.withdraw(waiting)
    with write_atomically(place) as temporary:
        temporary.write_text(boot)


def _not_in_shards(journal: Journal, lasting: int | None) -> set[int]:
    """Return the splits of which nothing is in a shard yet, nor in rows that segment *lasting* left.

    Shards take splits in order, so these are the ones behind the last that is in any. What else waits of those before was
    synced with the shard. Rows that last count as far as they are without a gap: a split behind one that is made again goes
    through the ordered steps again, too.
    """
    last = max((event.splits[1] for event in journal.events if isinstance(event, ShardRecord)), default=-1)
    finished = journal.finished_runs
    planned = sorted(
        event.index for event in journal.events if isinstance(event, SplitPlanned) and event.batch >= finished
    )
    left = {event.split for event in journal.events if isinstance(event, SegmentRecord) and event.segment == lasting}
    for index in planned:
        if index not in left:
            break
        last = max(last, index)
    return {index for index in planned if index > last}


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


def check_same_recipe(
    journal: Journal, identity: str, recipe: Recipe, versions: Mapping[str, str], *, accept: bool = False
) -> str | None:
    """Refuse to go on with another recipe than the one that wrote what is there, and show the difference.

    With *accept* go on with it from here, unless it would change what the shards and the ordered stages hold, and return what
    was accepted. A journal in which no work is recorded yet binds nobody: it is begun anew.
    """
    before = journal.recipe_in_force
    if before is None or before.fingerprint == identity:
        return None
    if not any(isinstance(event, SegmentRecord) for event in journal.events):
        journal.forget()
        return None
    table, stages = recipe_table(recipe), stage_identities(recipe)
    old, new = _by_stage(before.recipe), _by_stage(table)
    versions_changed = _other_versions(before.stages, stages)
    shown = "\n".join(f"  {line}" for line in [*_differences(old, new), *versions_changed.values()])
    bound_before, bound = _binding(old), _binding(new)
    binding = [line for name, line in versions_changed.items() if name in {*bound_before, *bound}]
    binding = [*_differences(bound_before, bound), *binding]
    if accept and not binding:
        journal.append(RecipeAccepted(fingerprint=identity, recipe=table, versions=dict(versions), stages=stages))
        return f"accepted for what is still to be done:\n{shown}"
    if accept:
        raise OutputMismatchError(
            "these differences cannot be accepted, because shards and duplicates would not fit together:\n"
            + "\n".join(f"  {line}" for line in binding)
            + "\nuse another output directory, or --restart to remove what is there and begin again"
        )
    raise OutputMismatchError(
        f"the output was written with another recipe, so its documents would not be of one kind:\n{shown}\n"
        "use another output directory, --restart to remove what is there and begin again"
        + (", or --accept-new-versions to go on with the new recipe from here" if not binding else "")
    )


def _binding(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a recipe that must stay as it is while an output grows."""
    bound = {name: value for name, value in table.items() if name in _BOUND or (name != "limits" and _is_bound(value))}
    bound["input"] = {"split_size": table["input"]["split_size"]}
    return bound


def _is_bound(stage: Mapping[str, Any]) -> bool:
    """Return whether a stage of a recipe table shapes what documents still to come are compared with, or what shards hold.

    What is no stage any more is bound: it may have been a corpus stage.
    """
    cls = known_stages().get(stage["kind"])
    if cls is None:
        return True
    try:
        made = cls(**{name: value for name, value in stage.items() if name in cls.__struct_fields__})
    except (RecipeError, TypeError):
        return True
    return made.ordered is not None or isinstance(made, Tokenize | Pack)


def _other_versions(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Return a line for each stage that both have, in another version or with other contents of its files."""
    lines = {}
    for name in sorted({*old} & {*new}):
        if old[name] != new[name]:
            same = old[name][0] == new[name][0]
            what = "the contents of a file that it names" if same else f"version {old[name][0]} -> {new[name][0]}"
            lines[name] = f"{name}: {what}"
    return lines


def _by_stage(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe table with each stage under the name by which `--set` knows it."""
    kinds = known_stages()
    stages = [
        {
            name: value
            for name, value in stage.items()
            if stage["kind"] not in kinds or name not in kinds[stage["kind"]].same_output
        }
        for stage in table["stage"]
    ]
    rest = {key: value for key, value in table.items() if key not in {"name", "description", "source", "stage"}}
    rest["mixture"] = {f"table {number}": value for number, value in enumerate(table.get("mixture", []), 1)}
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
