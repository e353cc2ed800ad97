"""The commands `tokenizer …`, apart from the others only because one file for all commands became too long."""

from __future__ import annotations

from pathlib import Path

import click

from corpusmill.cli_options import set_option
from corpusmill.log import Log

__all__ = ["tokenizer"]


@click.group()
def tokenizer() -> None:
    """Work with tokenizers."""


@tokenizer.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Where to write the tokenizer.json.",
)
@click.option("--vocabulary-size", type=click.IntRange(257), help="Entries, special tokens included.  [default: 32768]")
@click.option("--sample-size", metavar="SIZE", help="How much text to train on.  [default: 100MB]")
@click.option(
    "--pre-tokenizer",
    metavar="STYLE",
    help="How text is cut into words: gpt2, cl100k (GPT-4), llama3, qwen2, o200k (GPT-4o).  [default: gpt2]",
)
@click.option(
    "--special-token",
    "special_tokens",
    multiple=True,
    metavar="TEXT",
    help="In the order of ids; may be given again.  [default: <|endoftext|>]",
)
@click.option("--seed", type=click.IntRange(0), help="Another seed draws other documents.  [default: the recipe's, 0]")
@click.option(
    "--language-exponent",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Languages share the sample in proportion to their bytes to this power: 1 as the text has it, 0 the same for each. "
    "XLM-R takes 0.3. Needs filter_language in the recipe.",
)
@click.option(
    "--held-out-share",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.05,
    show_default=True,
    help="Share of documents to measure on and never to train on, whatever the seed.",
)
@click.option(
    "--held-out-size",
    default="500kB",
    show_default=True,
    metavar="SIZE",
    help="How much held-out text of each language to measure on.",
)
@click.option(
    "--compare",
    multiple=True,
    metavar="FILE|bytes",
    help="Measure this tokenizer.json on the same text; may be given again.",
)
@click.option(
    "--read-share",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of documents to look at, by the hash of their ids.  "
    "[default: enough for 20 stored bytes to one of the sample; all where languages are balanced]",
)
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write all figures as JSON."
)
@click.option(
    "--recipe",
    "-r",
    default="minimal",
    show_default=True,
    metavar="NAME|FILE",
    help="How text is cleaned before; what its tokenize stage says of training is the default of the options above.",
)
@set_option
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_obj
def train(
    log: Log,
    inputs: tuple[str, ...],
    output: Path,
    vocabulary_size: int | None,
    sample_size: str | None,
    pre_tokenizer: str | None,
    special_tokens: tuple[str, ...],
    seed: int | None,
    language_exponent: float,
    held_out_share: float,
    held_out_size: str,
    compare: tuple[str, ...],
    read_share: float | None,
    report: Path | None,
    recipe: str,
    changes: tuple[str, ...],
    quiet: bool,
) -> None:
    """Train a byte-level BPE tokenizer on INPUT, and measure it on documents held out.

    Prints, for each language that the recipe measures, tokens to a word (fertility), bytes to a token and unknown tokens, beside
    those of the tokenizers to compare with. The same inputs and settings always give the same file.
    """
    from corpusmill.display import open_work
    from corpusmill.recipe import load_recipe
    from corpusmill.tokenizer_quality import fit_table
    from corpusmill.train import Sampling, training_settings
    from corpusmill.train import train as train_tokenizer

    chosen = load_recipe(recipe, (*changes, *([] if seed is None else [f"seed={seed}"])))
    trained = train_tokenizer(
        chosen,
        inputs,
        output,
        training_settings(
            chosen,
            vocabulary_size=vocabulary_size,
            sample_size=sample_size,
            pre_tokenizer=pre_tokenizer,
            special_tokens=special_tokens or None,
        ),
        Sampling(
            language_exponent=language_exponent,
            held_out_share=held_out_share,
            held_out_size=held_out_size,
            read_share=read_share,
        ),
        compare,
        report,
        lambda text, level: None if quiet and level == "info" else log.say(text, level),
        lambda what, total: open_work(log, what, total, quiet=quiet),
    )
    click.echo(f"{output}: {trained.entries[str(output)]:,} tokens")
    if trained.fits:
        click.echo("")
        for line in fit_table(trained.fits, trained.entries):
            click.echo(line)
