"""Make things go wrong on purpose, and count what was lost.

    python benchmarks/faults.py --output-table benchmarks/results/faults.md     all of it, about half an hour
    python benchmarks/faults.py --only enospc,inputs                            parts: kills, enospc, inputs, poison

Every row is a fault: how often it was made, how often the output was in the end what it must be, and how many documents were
lost or doubled. Times and machines are not in the table, because none of it may depend on them. Exit code 0 only if every
fault that could be made was survived.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from pathlib import Path

from fault_disk import run_disk
from fault_inputs import run_inputs
from fault_kills import run_kills
from fault_poison import run_poison
from fault_support import Result, say

_PARTS = ("kills", "enospc", "inputs", "poison")


def table(results: list[Result], command: str) -> str:
    """Return the results as Markdown, with the command that made them."""
    head = "| fault | tried | survived | lost | duplicated | remark |\n|---|---:|---:|---:|---:|---|"
    return "\n".join([f"`{command}`", "", head, *(result.line() for result in results), ""])


def main() -> None:
    """Run the parts that were asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200, help="how many SIGKILLs (default 200)")
    parser.add_argument("--sizes", type=int, default=12, help="how many disks that are too small (default 12)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(_PARTS), help=f"parts, of {', '.join(_PARTS)}")
    parser.add_argument(
        "--work", type=Path, help="a directory to work in and to leave behind (default: a temporary one)"
    )
    parser.add_argument("--output-table", type=Path, help="also write the table here")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(_PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as temporary:
        for part in parts:
            work = (options.work or Path(temporary)) / part
            work.mkdir(parents=True)
            if part == "kills":
                rows = run_kills(work, options.kills, options.seed)
            elif part == "enospc":
                rows = run_disk(work, options.sizes, options.seed)
            elif part == "inputs":
                rows = run_inputs(work, options.seed)
            else:
                rows = run_poison(work)
            say("\n".join(row.line() for row in rows))
            results += rows
    shown = table(results, shlex.join(["python", *_shown(options, parts)]))
    print(shown)
    if options.output_table is not None:
        options.output_table.parent.mkdir(parents=True, exist_ok=True)
        options.output_table.write_text(shown)
    failed = [result for result in results if result.tried is not None and not result.ok]
    for result in failed:
        say(f"NOT SURVIVED: {result.line()}")
    sys.exit(1 if failed else 0)


def _shown(options: argparse.Namespace, parts: list[str]) -> list[str]:
    line = [
        "benchmarks/faults.py",
        "--kills",
        str(options.kills),
        "--sizes",
        str(options.sizes),
        "--seed",
        str(options.seed),
    ]
    return line if parts == list(_PARTS) else [*line, "--only", ",".join(parts)]


if __name__ == "__main__":
    main()
