"""A run from the first look at the inputs to the manifest: plan, check that the output is ours, work, and account.

Running again over the same output goes on where the last run stopped. Inputs that are new since then form new splits after
the old ones; an input that changed under a finished split, or another recipe, is refused with the difference shown.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from corpusmill import __version__
from corpusmill.chain import Chain, cut
from corpusmill.discover import Discovery, discover, plan_splits
from corpusmill.engine import Engine
from corpusmill.executors import default_workers, open_executor
from corpusmill.journal import Journal, OutputLock, remove_temporary, write_atomically
from corpusmill.manifest import compile_manifest, write_manifest
from corpusmill.progress import NoProgress, Progress
from corpusmill.recipe import fingerprint, recipe_table
from corpusmill.report import write_report
from corpusmill.schemas import OutputMismatchError, RecipeError
from corpusmill.schemas.inputs import InputFile
from corpusmill.schemas.manifest import Manifest, RunFinished, RunStarted, SegmentRecord, ShardRecord
from corpusmill.schemas.recipe import Recipe
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages.tokenize import tokenizer_hash

__all__ = ["library_versions", "run"]

_OURS = ("shards", "rejects", "signals", "quarantine", "state", "manifest.json", "report.html", "tokenizer.json")
_LIBRARIES = (
    "pyarrow",
    "resiliparse",
    "fastwarc",
    "ftfy",
    "beautifulsoup4",
    "emoji",
    "py3langid",
    "langdetect",
    "datasketch",
    "tokenizers",
    "ahocorasick-rs",
    "xxhash",
)


def run(
    recipe: Recipe,
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    workers: int | None = 1,
    executor: str | None = None,
    restart: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Run *recipe* over *inputs* into the directory *output* and return the manifest.

    Args:
        recipe: the resolved recipe.
        inputs: directories (read recursively), globs and files.
        output: a directory; it is made if it does not exist.
        workers: processes; None takes one per processor. The output does not depend on it.
        executor: `inline` or `processes`; None chooses by the number of workers.
        restart: remove what earlier runs left in *output* and begin again.
        progress: told of messages and finished work.

    Raises:
        RecipeError: the recipe or an input path is wrong.
        LockedError: another run writes to *output*.
        OutputMismatchError: *output* belongs to another recipe, or an input changed under finished work.

    """
    progress = progress or NoProgress()
    workers = default_workers() if workers is None else workers
    if workers < 1:
        raise RecipeError(f"workers must be at least 1, not {workers}")
    chain = cut(recipe.stages)
    chain.signal_fields()
    identity = fingerprint(recipe)
    if chain.tokenize is not None and chain.tokenize.tokenizer != "train":
        chain.tokenize.end_id()  # a tokenizer that does not fit is found here, not an hour later
    for named in chain.stages:
        _check_opens(named.stage)
    root = Path(output).resolve()
    found = discover([os.fspath(i) for i in inputs], recipe.input)
    for message in found.messages:
        progress.message(message)
    _check_ours(root)
    with OutputLock(root / "state" / "lock"):
        if restart:
            _remove_ours(root)
        remove_temporary(root)
        journal = Journal(root / "state" / "journal.jsonl")
        _check_same(journal, identity, recipe)
        started = _start(journal, recipe, identity, found, progress)
        if not started:
            raise RecipeError(
                f"there is nothing to read in {', '.join(map(str, inputs))}: {len(found.skipped)} files were skipped"
                + "".join(f"\n  {file.name}: {file.why}" for file in found.skipped[:5])
            )
        _put_tokenizer(root, chain)
        with open_executor(executor, workers) as pool:
            engine = Engine(
                root, recipe, chain, journal, pool, workers, lambda: _shard_metadata(root, identity), progress
            )
            try:
                _work(engine, journal, workers)
            except BaseException:
                pool.shutdown(cancel_futures=True)  # what is running ends in order, what is waiting is not begun
                raise
        shutil.rmtree(root / "state" / "spill", ignore_errors=True)  # a run that was killed may have left some there
        manifest = compile_manifest(root, journal.events)
        write_manifest(root, manifest)
        write_report(root, manifest)
    return manifest


def library_versions() -> dict[str, str]:
    """Return the versions that, with the recipe and the inputs, decide the output."""
    return {
        "corpusmill": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }


def _check_opens(stage: Any) -> None:
    """Open a stage once before anything is read, so that a missing package or file ends the run before it began."""
    from corpusmill.stages import CorpusStage, Pack, Tokenize

    if isinstance(stage, CorpusStage):
        stage.sketch()
    elif not isinstance(stage, Pack | Tokenize):
        stage.open()


def _check_ours(root: Path) -> None:
    """Refuse an output directory that holds other people's files."""
    if root.exists() and not root.is_dir():
        raise RecipeError(f"the output {root} is a file; give a directory")
    if root.exists() and not (root / "state").is_dir() and any(root.iterdir()):
        raise RecipeError(f"the output {root} is not empty and was not written by corpusmill; give a new directory")


def _remove_ours(root: Path) -> None:
    """Remove what runs write, and nothing else; the lock that is held stays."""
    for name in _OURS:
        path = root / name
        if name == "state":
            for item in path.iterdir():
                if item.name != "lock":
                    shutil.rmtree(item) if item.is_dir() else item.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _check_same(journal: Journal, identity: str, recipe: Recipe) -> None:
    """Refuse to go on with another recipe than the one that wrote what is there."""
    starts = [event for event in journal.events if isinstance(event, RunStarted)]
    if not starts or starts[-1].fingerprint == identity:
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
        return [
            line
            for at, pair in enumerate(zip(old, new, strict=True))
            for line in _differences(*pair, f"{place}[{at + 1}]")
        ]
    return [] if old == new else [f"{place}: {_short(old)} -> {_short(new)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _start(journal: Journal, recipe: Recipe, identity: str, found: Discovery, progress: Progress) -> list[RunStarted]:
    """Record the inputs that are new as a batch of their own; return all batches."""
    starts = [event for event in journal.events if isinstance(event, RunStarted)]
    known = {file.name: file for start in starts for file in start.files}
    changed = [file.name for file in found.files if file.name in known and not _same_file(known[file.name], file)]
    if changed:
        raise OutputMismatchError(
            f"{len(changed)} inputs changed after they were read: {', '.join(changed[:5])}{' …' if len(changed) > 5 else ''}; "
            "give changed documents a new name, use another output directory, or --restart"
        )
    new = tuple(file for file in found.files if file.name not in known)
    if new:
        first = sum(len(start.splits) for start in starts)
        started = RunStarted(
            splits=plan_splits(new, parse_size(recipe.input.split_size), first),
            files=new,
            skipped=tuple(found.skipped),
            fingerprint=identity,
            recipe=recipe_table(recipe),
            versions=library_versions(),
            started=_now(),
        )
        journal.append(started)
        starts.append(started)
    elif starts and sum(isinstance(event, RunFinished) for event in journal.events) == len(starts):
        progress.message("nothing is new since the last run")
    return starts


def _same_file(old: InputFile, new: InputFile) -> bool:
    return (old.size, old.mtime_ns) == (new.size, new.mtime_ns)


def _put_tokenizer(root: Path, chain: Chain) -> None:
    """Put the very tokenizer that is used beside the shards; one that is to be trained comes later."""
    if chain.tokenize is None or chain.tokenize.tokenizer == "train":
        return
    with write_atomically(root / "tokenizer.json") as temporary:
        chain.tokenize.load().save(str(temporary))


def _work(engine: Engine, journal: Journal, workers: int) -> None:
    """Finish every batch that is not finished, in order."""
    events = list(journal.events)
    starts = [at for at, event in enumerate(events) if isinstance(event, RunStarted)]
    shards = [event for event in events if isinstance(event, ShardRecord)]
    records = [event for event in events if isinstance(event, SegmentRecord)]
    finished = sum(isinstance(event, RunFinished) for event in events)
    for number, at in enumerate(starts):
        start = events[at]
        assert isinstance(start, RunStarted)
        mine = {split.index for split in start.splits}
        done = [record for record in records if record.split in mine]
        if number < finished:
            if finished < len(starts):
                engine.replay(done)
            continue
        began = time.monotonic()
        engine.run(
            start.splits, done, [*shards, *(e for e in journal.events[len(events) :] if isinstance(e, ShardRecord))]
        )
        journal.append(RunFinished(finished=_now(), seconds=round(time.monotonic() - began, 3), workers=workers))


def _shard_metadata(root: Path, identity: str) -> dict[str, str]:
    """Return the footer of a shard: where it comes from, without a clock."""
    metadata = {"corpusmill.version": __version__, "corpusmill.fingerprint": identity}
    path = root / "tokenizer.json"
    if path.exists():
        metadata |= {
            "corpusmill.tokenizer_sha256": tokenizer_hash(path),
            "corpusmill.tokenizer_engine": f"tokenizers {version('tokenizers')}",
        }
    return metadata


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
