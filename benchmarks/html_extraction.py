"""HTML extraction, ours and the peers', side by side on the same pages.

    python benchmarks/html_extraction.py environments DIRECTORY            one virtual environment for each peer (PyPI)
    python benchmarks/html_extraction.py quality DIRECTORY DATA…           precision, recall, F1 against marked content
    python benchmarks/html_extraction.py speed DIRECTORY DATA…             CPU time of one process on one core
    python benchmarks/html_extraction.py pages_of_concern DIRECTORY DATA…  the pages on which a system is worst, by name

DATA are files of pages with their content (`html_pages.py` says what is in them); they are no part of this project. The second
and third print Markdown, and write it to a file with --output. `html_systems.py` says what is compared, `html_peers.py` how
each peer is called. What peers give is kept in DIRECTORY/outputs, so that only the first time is slow; our engines always run.
Nothing is downloaded but by the first verb.

The script is not called html.py: Python would take it for its own module `html`, which most of the peers import.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from pathlib import Path

from html_quality import concerns
from html_speed import speed
from html_systems import ENVIRONMENTS, PEERS, System, ours
from html_tables import quality
from processes import machine, make_environments

_USUAL = {"only": "", "against": "^(trafilatura|resiliparse)$", "pages": 150, "rounds": 3}


def chosen(options: argparse.Namespace) -> list[System]:
    """Return the systems whose labels match --only; exit 2 if there are none."""
    systems = [*ours(getattr(options, "fold_models", None)), *PEERS]
    found = [system for system in systems if re.search(options.only, system.label)]
    if not found:
        print(
            f"--only {options.only!r} matches none of: {'; '.join(system.label for system in systems)}", file=sys.stderr
        )
        sys.exit(2)
    return found


def section(options: argparse.Namespace) -> str:
    """Do what the verb says and return it as Markdown, with the command that makes it."""
    folder, systems = options.directory, chosen(options)
    names = " ".join(path.name for path in options.data)
    command = f"python benchmarks/html_extraction.py {options.verb} {folder.name} {names}"
    for name, usual in _USUAL.items():
        value = getattr(options, name, usual)
        command += f" --{name} {shlex.quote(str(value))}" if value != usual else ""
    command += " --fold-models DIRECTORY" if getattr(options, "fold_models", None) else ""
    if options.verb == "quality":
        title, body = "Quality", quality(systems, folder, options.data, options.against)
    else:
        title = "Speed"
        body = speed(systems, folder, options.data, options.pages, options.rounds, options.core)
    return f"## {title}\n\n`{command}`\n\n{machine()}.\n\n{body}\n"


def existing(name: str) -> Path:
    """Return the path of a file; what is no file is an error of usage."""
    path = Path(name)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"no file {name}")
    return path


def main() -> None:
    """Do what the verb says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("environments", "quality", "speed", "pages_of_concern"):
        command = verbs.add_parser(verb)
        command.add_argument("directory", type=Path, help="where the environments of the peers are, and what they gave")
        command.add_argument("--only", default=_USUAL["only"], help="a regular expression for the names of what is run")
        if verb == "environments":
            command.add_argument("--python", default=sys.executable, help="another interpreter: magic-html needs 3.12")
            continue
        command.add_argument("data", type=existing, nargs="+", help="*.jsonl.gz")
        if verb == "quality":
            command.add_argument("--against", default=_USUAL["against"], help="whom others are compared with")
        if verb != "speed":
            command.add_argument(
                "--fold-models", type=Path, help="a folder with model_0.npz …: number K never saw fold K"
            )
        else:
            command.add_argument("--pages", type=int, default=_USUAL["pages"])
            command.add_argument("--rounds", type=int, default=_USUAL["rounds"])
            command.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
        if verb == "pages_of_concern":
            command.add_argument("--count", type=int, default=20)
            command.add_argument("--write", type=Path, help="a folder for the pages, their content and what was given")
        else:
            command.add_argument("--output", type=Path, help="also write the Markdown here")
    options = parser.parse_args()
    if options.verb == "environments":
        make_environments(options.directory, ENVIRONMENTS, options.only, options.python)
    elif options.verb == "pages_of_concern":
        print(concerns(chosen(options), options.directory, options.data, options.count, options.write))
    else:
        shown = f"# HTML extraction\n\n{section(options)}"
        print(shown)
        if options.output is not None:
            options.output.write_text(shown)


if __name__ == "__main__":
    main()
