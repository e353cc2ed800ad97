"""The command line. Heavy modules are imported by the command that needs them, so `--help` answers at once."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from corpusmill import __version__
from corpusmill.cli_export import export
from corpusmill.cli_options import recipe_option, set_option
from corpusmill.cli_tokenizer import tokenizer
from corpusmill.log import Log

if TYPE_CHECKING:
    from corpusmill.progress import Progress

__all__ = ["cli", "main"]

_INTERRUPTED = 130


def _set_format(context: click.Context, parameter: click.Parameter, value: str) -> str:  # noqa: ARG001  click's signature
    context.ensure_object(Log).json = value == "json"
    return value


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="corpusmill")
def cli() -> None:
    """Raw crawl in, deduplicated and tokenized Parquet shards out.

    \b
      corpusmill run crawl/ out/                 the default recipe over a directory
      corpusmill check crawl/ --recipe fineweb   what would be read, and every setting
      corpusmill audit out/                      is every document accounted for?
    """  # noqa: D301  click keeps the lines after a backspace as they are


@cli.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.argument("output", type=click.Path(path_type=Path))
@recipe_option
@set_option
@click.option("--tokenizer", metavar="FILE|bytes|train", help="Short for --set tokenize.tokenizer=…")
@click.option(
    "--against",
    multiple=True,
    metavar="OUTPUT",
    help="Also drop what this output of another run holds; may be given again. Short for --set deduplicate.against=…",
)
@click.option(
    "--workers",
    "-w",
    type=click.IntRange(1),
    help="Processes; the output does not depend on it.  [default: one per processor]",
)
@click.option(
    "--executor", metavar="NAME", help="processes, or inline for debugging in one process.  [default: processes]"
)
@click.option("--restart", is_flag=True, help="Remove what earlier runs left in OUTPUT and begin again.")
@click.option(
    "--accept-new-versions",
    is_flag=True,
    help="Go on although stages, settings or inputs changed: inputs are read again, finished shards stay.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be read and how every stage is set, and stop.")
@click.option(
    "--max-quarantined",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="Exit with 1 if a larger share of documents is quarantined.",
)
@click.option(
    "--log-format",
    type=click.Choice(["plain", "json"]),
    default="plain",
    show_default=True,
    is_eager=True,  # so that what is wrong with other options is said in this format
    callback=_set_format,
    help="What goes to stderr: text, or one JSON object a line.",
)
@click.option(
    "--metrics",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep this file up to date with figures for Prometheus (the textfile collector reads *.prom).",
)
@click.option("--quiet", "-q", is_flag=True, help="No progress and no summary.")
@click.pass_obj
def run(
    log: Log,
    inputs: tuple[str, ...],
    output: Path,
    recipe: str,
    changes: tuple[str, ...],
    tokenizer: str | None,
    against: tuple[str, ...],
    workers: int | None,
    executor: str | None,
    restart: bool,
    accept_new_versions: bool,
    dry_run: bool,
    max_quarantined: float,
    log_format: str,  # noqa: ARG001  set as soon as it is parsed
    metrics: Path | None,
    quiet: bool,
) -> None:
    """Turn INPUT (directories, globs, files) into shards in OUTPUT.

    The same command goes on where it stopped, and takes in what is new.
    """
    from corpusmill.display import open_progress
    from corpusmill.journal import Journal
    from corpusmill.progress import Several
    from corpusmill.recipe import load_recipe
    from corpusmill.run import run as run_recipe
    from corpusmill.summary import summary, unusable

    changes += (f"tokenize.tokenizer={tokenizer}",) if tokenizer else ()
    changes += (f"deduplicate.against={json.dumps(against)}",) if against else ()
    if dry_run:
        _check(inputs, recipe, changes, output=output)
        return
    for name in (signal.SIGTERM, signal.SIGHUP):  # what schedulers and closing terminals send; it ends like Ctrl-C
        if signal.getsignal(name) is not signal.SIG_IGN:  # nohup
            signal.signal(name, signal.default_int_handler)
    with _metrics(metrics, output, log) as measured:
        settings = load_recipe(recipe, changes)
        before = Journal(output / "state" / "journal.jsonl").finished_runs if not restart else 0
        progress = Several(open_progress(log, quiet=quiet), measured)
        try:
            manifest = run_recipe(
                settings,
                inputs,
                output,
                workers=workers,
                executor=executor,
                restart=restart,
                accept_new_versions=accept_new_versions,
                progress=progress,
            )
        except KeyboardInterrupt:
            if log.json:
                raise click.Abort from None  # click answers a KeyboardInterrupt with an empty line, which is no JSON
            raise
        finally:
            progress.close()
        if not quiet:
            click.echo(summary(output, manifest))
        for line in unusable(manifest):
            log.say(line, "warning")
        worked = [batch["documents"] for batch in manifest.runs[before:]]
        read, bad = sum(batch["in"] for batch in worked), sum(batch["quarantined"] for batch in worked)
        if bad > max_quarantined * read:
            log.say(
                f"{bad:,} of {read:,} documents were quarantined, more than --max-quarantined {max_quarantined:g} allows; "
                f"see {output / 'quarantine'}",
                "error",
            )
            sys.exit(1)


@contextmanager
def _metrics(path: Path | None, output: Path, log: Log) -> Iterator[Progress]:
    """Yield what keeps the metrics file of a run; it is written once more however the block ends."""
    from corpusmill.progress import NoProgress

    if path is None:
        yield NoProgress()
        return
    from corpusmill.metrics import MetricsFile

    file = MetricsFile(path, output, log.say)
    ended: BaseException | None = None
    try:
        yield file
    except BaseException as error:
        ended = error
        raise
    finally:
        file.finish(ended, _exit_code(ended))


@cli.command()
@click.argument("inputs", nargs=-1, metavar="[INPUT...]")
@recipe_option
@set_option
@click.option(
    "--documents", "-n", type=click.IntRange(0), default=0, help="Also take this many documents through the stages."
)
@click.option(
    "--expect",
    type=click.IntRange(1),
    metavar="DOCUMENTS",
    help="What to plan the index of duplicates for.  [default: estimated from INPUT]",
)
def check(inputs: tuple[str, ...], recipe: str, changes: tuple[str, ...], documents: int, expect: int | None) -> None:
    """Check a recipe and inputs: what would be read, what every stage is set to, and what the index will need."""
    _check(inputs, recipe, changes, documents, expect=expect)


def _check(
    inputs: Sequence[str],
    recipe: str,
    changes: tuple[str, ...],
    documents: int = 0,
    *,
    expect: int | None = None,
    output: Path | None = None,
) -> None:
    from corpusmill.capacity import TYPICAL_BYTES, Volume, estimated_volume, free_disk, index_needs, pairs_found
    from corpusmill.chain import cut
    from corpusmill.discover import discover
    from corpusmill.explain import explain_document, sample_documents
    from corpusmill.planning import estimated_splits
    from corpusmill.recipe import describe, fingerprint, load_recipe
    from corpusmill.run import check_chain, check_indexes, check_mixture
    from corpusmill.schemas.sizes import parse_size
    from corpusmill.stages import Deduplicate
    from corpusmill.stages.host_lines import HostLines
    from corpusmill.summary import skipped_lines
    from corpusmill.worker import open_stages

    settings = load_recipe(recipe, changes)
    chain = cut(settings.stages)
    check_chain(chain, settings.output)
    open_stages("check", chain.stages)
    check_indexes(chain)
    check_mixture(settings, chain, None)
    click.echo(describe(settings))
    click.echo(f"fingerprint {fingerprint(settings)}")
    near = [named for named in chain.stages if isinstance(named.stage, Deduplicate)]
    for named in near:
        if named.stage.near:
            click.echo(f"{named.name}: {pairs_found(named.stage)}")
    for named in chain.stages:
        if isinstance(named.stage.ordered, HostLines):
            click.echo(f"{named.name}: {named.stage.ordered.capacity()}")
    if not inputs:
        for named in near if expect else ():
            for line in index_needs(named.stage, Volume(expect or 0, (expect or 0) * TYPICAL_BYTES)):
                click.echo(f"{named.name}: {line}")
        return
    found = discover(inputs, settings.input)
    check_mixture(settings, chain, found)
    splits = estimated_splits(found.files, parse_size(settings.input.split_size))
    for message in (*found.messages, *chain.warnings()):
        click.echo(message)
    size = sum(file.size for file in found.files)
    click.echo(
        f"\n{len(found.files):,} files, {size:,} bytes, about {splits:,} splits; {len(found.skipped):,} files skipped"
    )
    for format_ in sorted({file.format for file in found.files}):
        click.echo(f"  {format_:<10}{sum(file.format == format_ for file in found.files):>10,}")
    for line in skipped_lines(found.skipped):
        click.echo(f"  skipped {line}")
    volume = estimated_volume(found.files, settings.input) if near else Volume(0, 0)
    if expect:
        volume = Volume(expect, round(volume.bytes * expect / max(volume.documents, 1)))
    for named in near:
        for line in index_needs(named.stage, volume, None if output is None else free_disk(output)):
            click.echo(f"{named.name}: {line}")
    left = documents
    for path in inputs:
        for document in sample_documents(path, settings, limit=left) if left else ():
            click.echo("")
            for line in explain_document(document, settings):
                click.echo(line)
            left -= 1


@cli.command()
@click.argument("target", type=click.Path(exists=True, path_type=Path))
@click.argument("document_id", required=False)
@recipe_option
@set_option
def explain(target: Path, document_id: str | None, recipe: str, changes: tuple[str, ...]) -> None:
    """Say why: TARGET is an input (its first document, or DOCUMENT_ID, goes through all stages) or the output of a run."""
    from corpusmill.explain import explain_document, find_document, sample_documents
    from corpusmill.recipe import load_recipe

    if (target / "manifest.json").exists():
        if document_id is None:
            raise click.UsageError("TARGET is the output of a run: name the DOCUMENT_ID to look up")
        lines = find_document(target, document_id)
    else:
        settings = load_recipe(recipe, changes)
        (document,) = sample_documents(str(target), settings, document_id)
        lines = explain_document(document, settings)
    for line in lines:
        click.echo(line)


@cli.command()
@click.argument("output", type=click.Path(exists=True, file_okay=False, path_type=Path))
def report(output: Path) -> None:
    """Print the summary of a run and write its report.html again."""
    from corpusmill.manifest import read_manifest
    from corpusmill.report import write_report
    from corpusmill.summary import summary

    manifest = read_manifest(output)
    write_report(output, manifest)
    click.echo(summary(output, manifest))


@cli.command()
@click.argument("output", type=click.Path(exists=True, file_okay=False, path_type=Path))
def audit(output: Path) -> None:
    """Count the documents in the files again, verify checksums, and compare with the manifest."""
    from corpusmill.audit import audit as audit_output

    result = audit_output(output)
    for problem in result.problems:
        click.echo(problem)
    if not result.ok:
        click.echo(f"error: {output} is not what its manifest says", err=True)
        sys.exit(4)
    counted = result.counted
    click.echo(
        f"{result.files:,} files verified: {counted.documents_in:,} documents in = {counted.kept:,} kept "
        f"+ {counted.dropped:,} dropped + {counted.quarantined:,} quarantined"
    )


@cli.command()
@recipe_option
@set_option
def warmup(recipe: str, changes: tuple[str, ...]) -> None:
    """Compile the kernels of a recipe's stages and keep them on disk, as the first run on a machine does: for images."""
    from corpusmill.chain import cut
    from corpusmill.recipe import load_recipe
    from corpusmill.schemas import RecipeError
    from corpusmill.stages.compile_ahead import compile_ahead, kept_in

    names = cut(load_recipe(recipe, changes).stages).kernels
    compile_ahead(*names)
    folders = {kept_in(name) for name in names}
    if None in folders:
        raise RecipeError(
            "compiled code can be kept nowhere; set NUMBA_CACHE_DIR to a directory that can be written to"
        )
    click.echo("\n".join(sorted(f"compiled code is in {folder}" for folder in folders) or ["nothing to compile"]))


@cli.command()
@click.argument("kind", required=False)
def stages(kind: str | None) -> None:
    """List the stages, or the settings, reasons and signals of one KIND."""
    from corpusmill.describe import describe_stage
    from corpusmill.schemas import RecipeError, did_you_mean
    from corpusmill.stages import known_stages

    known = known_stages()
    if kind is None:
        for name, cls in known.items():
            click.echo(f"{name:<24}{describe_stage(cls).doc.splitlines()[0]}")
        return
    if kind not in known:
        raise RecipeError(f"there is no stage {kind!r}{did_you_mean(kind, known)}")
    stage = describe_stage(known[kind])
    click.echo(f"{stage.kind}: {stage.doc}\n\nsettings")
    for setting in stage.settings:
        click.echo(f"  {setting.name} = {setting.default}    {setting.type}")
        click.echo(click.wrap_text(setting.doc, 100, "      ", "      ", preserve_paragraphs=True))
    click.echo(f"\nreasons: {', '.join(stage.reasons) or 'none, it drops nothing'}")
    click.echo(f"signals: {', '.join(f'{name} ({type_})' for name, type_ in stage.signals) or 'none'}")


@cli.command()
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """List the built-in recipes, or print the TOML of one NAME to start your own from."""
    from corpusmill.recipe import built_in_recipes, load_recipe
    from corpusmill.schemas import RecipeError, did_you_mean

    built_in = built_in_recipes()
    if name is None:
        for known in built_in:
            click.echo(f"{known:<12}{load_recipe(known).description}")
    elif name in built_in:
        click.echo(built_in[name].rstrip())
    else:
        raise RecipeError(f"there is no recipe {name!r}{did_you_mean(name, built_in)}")


@cli.command()
@click.argument("shard", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rows", "-n", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--tokenizer",
    "tokenizer_path",
    type=click.Path(exists=True, path_type=Path),
    help="[default: tokenizer.json of the same output]",
)
@click.option("--full", is_flag=True, help="Show long texts whole, not their first 1,000 characters.")
def inspect(shard: Path, rows: int, tokenizer_path: Path | None, full: bool) -> None:
    """Show the first rows of a SHARD, decoded back to text."""
    from corpusmill.inspect_shard import inspect_shard

    for line in inspect_shard(shard, rows, tokenizer_path, full=full):
        click.echo(line)


cli.add_command(export)
cli.add_command(tokenizer)


def main() -> None:
    """Run the command line; our own errors end with their message and exit code, not with a traceback."""
    log = Log()
    try:
        cli.main(standalone_mode=False, obj=log)
    except click.ClickException as error:
        if log.json:
            log.say(error.format_message(), "error")
        else:
            error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        log.say("interrupted; the same command goes on from here", "warning")
        sys.exit(_exit_code(error))
    except Exception as error:
        from corpusmill.schemas import CorpusmillError  # imports Arrow, which a plain --help must not

        if isinstance(error, OSError) and error.errno is not None:
            place = f"{error.filename}: " if error.filename else ""
            log.say(f"{place}{error.strerror}; when that is repaired, the same command goes on from here", "error")
        elif isinstance(error, CorpusmillError):
            log.say(str(error), "error")
        elif log.json:
            log.say(f"{type(error).__name__}: {error}", "error", traceback=traceback.format_exc())
        else:
            raise
        sys.exit(_exit_code(error))


def _exit_code(error: BaseException | None) -> int:
    """Return the code with which the command ends because of *error*."""
    if error is None:
        return 0
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return _INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return int(getattr(error, "exit_code", 1))  # of our own errors and of click's
