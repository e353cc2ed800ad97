"""The command `export`, apart from the others only because one file for all commands became too long."""

from __future__ import annotations

from pathlib import Path

import click

from corpusmill.log import Log

__all__ = ["export"]


@click.command()
@click.argument("output", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("destination", type=click.Path(path_type=Path))
@click.option(
    "--format", "-f", "format_", required=True, metavar="NAME", help="megatron, datatrove, numpy, mds or jsonl."
)
@click.option("--subset", default="train", show_default=True, help="train, validation or test.")
@click.option("--quiet", "-q", is_flag=True, help="No line a shard.")
@click.pass_obj
def export(log: Log, output: Path, destination: Path, format_: str, subset: str, quiet: bool) -> None:
    """Write the shards of OUTPUT to the folder DESTINATION in another trainer's format."""
    from corpusmill.export import export as export_shards

    done = export_shards(output, destination, format_, subset, (lambda _: None) if quiet else log.say)
    click.echo(f"{done.rows:,} rows, {done.tokens:,} tokens, {done.files:,} files in {destination}")
