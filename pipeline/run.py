"""A run from the first look at the inputs to the manifest: plan, check that the output is ours, work, and account.

Running again over the same output goes on where the last run stopped. Inputs that are new since then form new splits after
the old ones; an input that changed under a finished split, or another recipe, is refused with the difference shown.
"""

from __future__ import annotations

import os
import pickle
import platform
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from corpusmill import __version__, mixing
from corpusmill.batches import check_present, known_files, now, removed_files, start_batch
from corpusmill.chain import Chain, NamedStage, cut
from corpusmill.discover import Discovery, discover
from corpusmill.engine import Engine
from corpusmill.executors import InlineExecutor, open_executor
from corpusmill.journal import Journal, OutputLock, by_batch
from corpusmill.manifest import compile_manifest, write_manifest
from corpusmill.output import LOCK, check_ours, check_recorded, check_same_recipe, distrust_spills, remove_ours, sweep
from corpusmill.planning import estimated_splits, split_of, unread_files
from corpusmill.progress import NoProgress, Progress
from corpusmill.put_tokenizer import put_tokenizer, record_engine
from corpusmill.recipe import fingerprint
from corpusmill.report import write_report
from corpusmill.schemas import EngineMismatchError, RecipeError, RetryableError
from corpusmill.schemas.inputs import InputFile
from corpusmill.schemas.manifest import EngineDistrusted, Manifest, RunFinished
from corpusmill.schemas.recipe import OutputSettings, Recipe
from corpusmill.schemas.sizes import parse_size
from corpusmill.stages import FilterLanguage, StripHtml
from corpusmill.stages.compile_ahead import compile_ahead, not_compiled, processors
from corpusmill.stages.language_engines import names_of
from corpusmill.worker import open_stages
from corpusmill.worker_processes import WorkerDiedError, WorkerProcesses

__all__ = ["check_chain", "check_indexes", "check_mixture", "library_versions", "run"]

_LIBRARIES = (
    "pyarrow",
    "numpy",
    "numba",
    "resiliparse",
    "fastwarc",
    "ftfy",
    "beautifulsoup4",
    "chardetng_py",
    "faust-cchardet",
    "emoji",
    "py3langid",
    "langdetect",
    "datasketch",
    "tokenizers",
    "gigatoken",
    "ahocorasick-rs",
    "xxhash",
)
_EXTRAS = ("trafilatura", "lxml", "justext", "symspellpy", "pycld2")  # lxml and justext are what trafilatura reads with
_KILLED = 5  # workers killed one after the other while they open the stages, by others or for want of memory, that end the run


def run(
    recipe: Recipe,
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    workers: int | None = 1,
    executor: str | None = None,
    restart: bool = False,
    accept_new_versions: bool = False,
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
        accept_new_versions: go on where the recipe, a version of a stage or an input differs from what *output* was made with;
            refused where shards and duplicates would not fit together.
        progress: told of messages and finished work.

    Raises:
        RecipeError: the recipe or an input path is wrong.
        LockedError: another run writes to *output*.
        OutputMismatchError: *output* belongs to another recipe, or an input changed under finished work.

    """
    progress = progress or NoProgress()
    workers = processors() if workers is None else workers
    if workers < 1:
        raise RecipeError(f"workers must be at least 1, not {workers}")
    root = Path(output).resolve()
    arguments = (recipe, inputs, root, workers, executor, progress)
    try:
        return _run(*arguments, restart=restart, accept_new_versions=accept_new_versions)
    except EngineMismatchError as error:  # the journal knows, and has taken back what was done
        progress.message(f"{error}; beginning again, with tokenizers", "warning")
        return _run(*arguments, restart=False, accept_new_versions=accept_new_versions)


def _run(
    recipe: Recipe,
    inputs: Sequence[str | os.PathLike[str]],
    root: Path,
    workers: int,
    executor: str | None,
    progress: Progress,
    *,
    restart: bool,
    accept_new_versions: bool,
) -> Manifest:
    """Go on with the output at *root*, or begin it.

    Raises:
        EngineMismatchError: the work on this batch was taken back, because its ids cannot be trusted.

    """
    run_id = uuid.uuid4().hex
    fresh = restart or not (root / "state" / "journal.jsonl").exists()
    with open_executor(executor, workers, recipe.limits) as pool:
        if fresh:
            pool.start()  # there will be work: let a process start while everything is checked
        chain = cut(recipe.stages)
        found = discover([os.fspath(given) for given in inputs], recipe.input)
        if not_compiled(*chain.kernels):
            progress.message("compiling, once for this machine and version: up to a minute")
            compile_ahead(*chain.kernels)
        check_chain(chain, recipe.output, processes=executor == "processes" or (executor is None and workers > 1))
        check_mixture(recipe, chain, found if fresh else None)  # later, files that it names may be gone
        if fresh:  # else only if there is something new
            _open_stages(run_id, recipe, chain, found.files, pool, workers)
        identity = fingerprint(recipe)
        for message in found.messages:
            progress.message(message)
        for message in (*chain.warnings(), *_misfits(chain, recipe, found)):
            progress.message(message, "warning")
        check_ours(root)
        with OutputLock(root / "state" / LOCK):
            if restart:
                remove_ours(root)
            journal = Journal(root / "state" / "journal.jsonl", repair=True)
            versions = library_versions()
            accepted = check_same_recipe(journal, identity, recipe, versions, accept=accept_new_versions)
            check_recorded(root, journal)
            shuffled = recipe.output.shuffle == "corpus"
            distrust_spills(root, journal, lasting=len(chain.segments) - 1 if shuffled else None)
            progress.begin(journal)
            sweep(root, journal)
            start_batch(journal, recipe, identity, found, versions, accept_changed=accept_new_versions)
            if not journal.events:
                raise RecipeError(_nothing_to_read(inputs, found))
            removed = removed_files((file for batch in known_files(journal) for file in batch), found.files)
            for message in _news(accepted, removed):
                progress.message(message)
            if not journal.unfinished:
                progress.message("nothing is new since the last run")
            elif not fresh:
                _open_stages(run_id, recipe, chain, known_files(journal)[-1], pool, workers)
            _put_tokenizer(root, chain, journal, progress)
            engine = Engine(
                run_id,
                root,
                recipe,
                identity,
                chain,
                journal,
                pool,
                workers,
                lambda: _shard_metadata(journal, identity),
                progress,
            )
            try:
                _work(engine, journal, workers)
            except BaseException as error:
                pool.shutdown(cancel_futures=True)  # what workers are doing is done again by the next run
                if isinstance(error, EngineMismatchError):
                    _distrust(journal, error)
                raise
            sweep(root, journal)
            manifest = compile_manifest(journal.events, found.skipped, removed)
            write_manifest(root, manifest)
            write_report(root, manifest)
    return manifest


def library_versions() -> dict[str, str]:
    """Return the versions that, with the recipe and the inputs, decide the output; of extras, those that are installed."""
    versions = {
        "corpusmill": __version__,
        "python": platform.python_version(),
    }
    for name in (*_LIBRARIES, *_EXTRAS):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def check_chain(chain: Chain, output: OutputSettings, *, processes: bool = False) -> None:
    """Find before anything is read what would end a run after an hour: settings that clash, what no process can be sent.

    Raises:
        RecipeError: settings clash, or a stage cannot be sent to worker processes.

    """
    chain.signal_fields()
    if chain.tokenize is not None and chain.tokenize.tokenizer != "train":
        chain.tokenize.end_id()
    if chain.pack is not None and chain.tokenize is not None:
        chain.pack.check_padding(chain.tokenize)
        chain.pack.check_order(output)
    for named in chain.stages if processes else ():
        _check_pickles(named)


def check_indexes(chain: Chain) -> None:
    """Find what the indexes of corpus stages lack, in the owner, which has them: no limit of a worker's memory holds here.

    Raises:
        RecipeError: a file of an index is not there, or the memory that it may take.

    """
    for named in chain.stages:
        if named.stage.ordered is not None:
            named.stage.ordered.check()


def _open_stages(
    run_id: str,
    recipe: Recipe,
    chain: Chain,
    files: Sequence[InputFile],
    pool: InlineExecutor | WorkerProcesses,
    workers: int,
) -> None:
    """Have stages opened by as many workers as *files* have work for, and wait for the first: it finds what is missing.

    Raises:
        RecipeError: a stage cannot be opened, because a package or a file is not there, or memory.
        RetryableError: the workers that opened them were killed, one after the other.

    """
    splits = estimated_splits(files, parse_size(recipe.input.split_size))
    first, *_ = [pool.submit(open_stages, run_id, chain.stages) for _ in range(max(1, min(workers, splits)))]
    check_indexes(chain)
    killed = 0
    while True:
        try:
            first.result()
            return
        except WorkerDiedError as death:
            if not death.doubtful:
                raise RecipeError(f"the stages cannot be opened: {death}") from None
            killed += 1
            if killed == _KILLED:
                raise RetryableError(
                    f"{killed} workers were killed while they opened the stages, the last time: {death}; "
                    "give them more memory, or run the same command again with fewer --workers"
                ) from None
        first = pool.submit(open_stages, run_id, chain.stages)


def check_mixture(recipe: Recipe, chain: Chain, found: Discovery | None) -> None:
    """Refuse a mixture of what the stages do not tell apart, or what is not among the files that were *found*."""
    if not recipe.mixture:  # nor need languages be loaded
        return
    columns = {field.name for field in chain.signal_fields()}
    makers = [named.stage for named in chain.stages if "language" in named.stage.added_columns().names]
    known = all(isinstance(stage, FilterLanguage) for stage in makers)  # what stages of others give, nobody knows
    codes = {code for stage in makers if isinstance(stage, FilterLanguage) for code in names_of(stage.engine)}
    names = [file.name for file in found.files] if found else []
    mixing.check_mixture(recipe.mixture, columns, codes if known else (), names)


def _check_pickles(named: NamedStage) -> None:
    try:
        pickle.dumps(named.stage)
    except Exception as error:  # noqa: BLE001  pickling runs the code of whatever the stage holds
        raise RecipeError(
            f"{named.name} cannot be sent to worker processes ({error}); define its function at the top of a module, "
            "or run with one worker"
        ) from None


def _misfits(chain: Chain, recipe: Recipe, found: Discovery) -> list[str]:
    """Return what recipe and inputs ask of each other in vain."""
    messages = []
    pages = sum(file.format in {"html", "warc"} or file.keys.html is not None for file in found.files)
    if pages and not any(isinstance(named.stage, StripHtml) for named in chain.stages):
        messages.append(f"the recipe has no strip_html, so the pages of {pages:,} files have no text")
    if chain.pack is not None and recipe.output.text:
        messages.append("output.text has no effect: packed rows are sequences of several documents")
    return messages


def _news(accepted: str | None, removed: Sequence[str]) -> list[str]:
    """Return what a run over a known output should say first."""
    messages = [accepted] if accepted else []
    if removed:
        names = ", ".join(removed[:5]) + (" …" if len(removed) > 5 else "")
        messages.append(
            f"{len(removed):,} inputs of earlier runs are gone; their documents stay in the output: {names}"
        )
    return messages


def _nothing_to_read(inputs: Sequence[Any], found: Discovery) -> str:
    lines = [f"  {file.name}: {file.why}" for file in found.skipped[:5]]
    first = f"there is nothing to read in {', '.join(map(str, inputs))}: {len(found.skipped)} files were skipped"
    return "\n".join([first, *lines])


def _put_tokenizer(root: Path, chain: Chain, journal: Journal, progress: Progress) -> None:
    """Put the very tokenizer that is used beside the shards; one that is to be trained comes later."""
    if chain.tokenize is None or not journal.unfinished:
        return
    if journal.tokenizer_hash is None:
        if chain.tokenize.tokenizer == "train":
            return
        put_tokenizer(chain.tokenize.load(), root, journal)
    record_engine(chain.tokenize, root, journal, progress.message)


def _distrust(journal: Journal, error: EngineMismatchError) -> None:
    """Take back the batch in work: other ids of it may be wrong than those that were compared.

    Going on with the reference from here would leave shards that depend on which worker came to which document first.
    """
    chosen = journal.engine
    assert chosen is not None, "ids were made"
    journal.begin_again(EngineDistrusted(engine=chosen.engine, version=chosen.version, error=str(error)))


def _work(engine: Engine, journal: Journal, workers: int) -> None:
    """Finish every batch that is not finished, in order."""
    batches = by_batch(journal.events)
    finished = journal.finished_runs
    if finished < len(batches):
        engine.restore()
    for batch, (files, (planned, done)) in enumerate(zip(known_files(journal), batches, strict=True)):
        if batch < finished:
            if finished < len(batches):
                engine.replay(done)
            continue
        began = time.monotonic()
        recorded = [split_of(event, files) for event in planned]
        read = {record.split for record in done if record.segment == 0}
        check_present(unread_files(files, recorded, read.__contains__))
        engine.run(batch, files, recorded, done)
        seconds = round(time.monotonic() - began, 3)
        journal.append(RunFinished(finished=now(), seconds=seconds, workers=workers, resumed=bool(done)))


def _shard_metadata(journal: Journal, identity: str) -> dict[str, str]:
    """Return the footer of a shard: where it comes from, without a clock."""
    metadata = {"corpusmill.version": __version__, "corpusmill.fingerprint": identity}
    if journal.tokenizer_hash is not None:
        metadata |= {
            "corpusmill.tokenizer_sha256": journal.tokenizer_hash,
            "corpusmill.tokenizer_reference": f"tokenizers {version('tokenizers')}",
        }
    if journal.engine is not None:
        metadata["corpusmill.tokenizer_engine"] = f"{journal.engine.engine} {journal.engine.version}".strip()
    return metadata
