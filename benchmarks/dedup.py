"""Near-duplicate removal, ours and the peers', side by side on the same text.

    python benchmarks/dedup.py environments DIRECTORY              one virtual environment for each peer (PyPI)
    python benchmarks/dedup.py texts OUT.parquet SOURCE…           a file of texts out of pages and documentation
    python benchmarks/dedup.py speed DIRECTORY TEXTS               raw text to signatures of 128 permutations
    python benchmarks/dedup.py whole DIRECTORY TEXTS               raw text to the documents that are kept
    python benchmarks/dedup.py quality DIRECTORY DATA              precision and recall against all pairs
    python benchmarks/dedup.py all DIRECTORY TEXTS DATA            the last three, an hour for 40 MB of text

The last four print Markdown, and write it to a file with --output. Every run is a process of its own on one core, one at a time,
in turns. What is timed is the CPU time of the work after imports and a warm-up; the time of the whole process, from its start to
its end, stands beside it. Nothing is downloaded but by the first verb. Each peer does what its own documentation or pipeline
does; the modules `dedup_*.py` say what that is.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from dedup_processes import System, describe, environments_of, in_turns, table
from dedup_scores import score_all
from dedup_systems import SPEED, WHOLE
from dedup_texts import write_texts
from processes import machine, make_environments

_ROOT = Path(__file__).resolve().parent.parent
_BEFORE = "32f17a7"  # the last revision whose signatures and index were datasketch's
_ENVIRONMENTS = {
    "datasketch": ["datasketch==2.0.0", "xxhash", "pyarrow"],
    "rensa": ["rensa==0.5.0", "pyarrow"],
    "text-dedup": ["text-dedup==0.4.0"],
    "datatrove": ["datatrove[io,processing]==0.10.1", "spacy>=3.8"],
    "before": [f"git+file://{_ROOT}@{_BEFORE}"],
}
_TITLES = {
    "speed": "Raw text to signatures of 128 permutations",
    "whole": "Raw text to the documents that are kept",
    "quality": "Precision and recall",
}


def measure(options: argparse.Namespace, systems: list[System]) -> str:
    """Time *systems* and return the table."""
    chosen = [system for system in systems if re.search(options.only, f"{system.environment} {system.label}")]
    line, documents, megabytes = describe(options.texts)
    results = in_turns(chosen, options.directory, options.texts.resolve(), options.rounds, options.core)
    about = f"{line}; rounds: {options.rounds}; {machine()}. × is how many times as long as the first row."
    return f"{about}\n\n{table(results, documents, megabytes)}\n\n{environments_of(results)}"


def section(verb: str, options: argparse.Namespace) -> str:
    """Do one of the parts and return it as Markdown, with the command that makes it."""
    files = options.data if verb == "quality" else options.texts
    command = f"python benchmarks/dedup.py {verb} {options.directory.name} {files.name}"
    if verb == "quality":
        body = score_all(options.directory, options.data, options.only)
    else:
        body = measure(options, SPEED if verb == "speed" else WHOLE)
    return f"## {_TITLES[verb]}\n\n`{command}`\n\n{body}\n"


def main() -> None:
    """Do what the verb says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("environments", "speed", "whole", "quality", "all"):
        command = verbs.add_parser(verb)
        command.add_argument("directory", type=Path, help="where the environments of the peers are")
        command.add_argument("--only", default="", help="a regular expression that the names of what is run must match")
        if verb in ("speed", "whole", "all"):
            command.add_argument("texts", type=Path, help="Parquet with the columns id and text")
            command.add_argument("--rounds", type=int, default=5)
            command.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
        if verb in ("quality", "all"):
            command.add_argument("data", type=Path, help="a folder with docs.jsonl.gz and pairs.jsonl.gz")
        if verb != "environments":
            command.add_argument("--output", type=Path, help="also write the Markdown here")
    command = verbs.add_parser("texts")
    command.add_argument("out", type=Path)
    command.add_argument("sources", type=Path, nargs="+", help="files and folders: .html, .txt, .md, .rst, .jsonl(.gz)")
    command.add_argument("--megabytes", type=float, default=60)
    options = parser.parse_args()
    if options.verb == "environments":
        make_environments(options.directory, _ENVIRONMENTS, options.only)
    elif options.verb == "texts":
        write_texts(options.sources, options.out, options.megabytes)
        print(describe(options.out)[0])
    else:
        wanted = list(_TITLES) if options.verb == "all" else [options.verb]
        shown = "\n".join(["# Near-duplicate removal\n", *(section(verb, options) for verb in wanted)])
        print(shown)
        if options.output is not None:
            options.output.write_text(shown)


if __name__ == "__main__":
    main()
