"""Near-duplicate removal, ours and the peers', side by side on the same text.

    python benchmarks/dedup.py environments DIRECTORY              one virtual environment for each peer (PyPI)
    python benchmarks/dedup.py texts OUT.parquet SOURCE…           a file of texts out of pages and documentation
    python benchmarks/dedup.py speed DIRECTORY TEXTS               raw text to signatures of 128 permutations
    python benchmarks/dedup.py whole DIRECTORY TEXTS               raw text to the documents that are kept
    python benchmarks/dedup.py quality DIRECTORY DATA              precision and recall against all pairs

Every run is a process of its own on one core, one at a time, in turns. What is timed is the CPU time of the work after imports
and a warm-up; the time of the whole process, from its start to its end, stands beside it. Nothing is downloaded but by the
first verb. Each peer does what its own documentation or pipeline does; the modules `dedup_*.py` say what that is.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import dedup_quality as quality
import pyarrow as pa
import pyarrow.parquet as pq
from dedup_processes import FailedError, System, describe, heading, in_turns, machine, one_run, say, table
from dedup_texts import write_texts

from corpusmill.stages.signature import words

_ROOT = Path(__file__).resolve().parent.parent
_BEFORE = "32f17a7"  # the last revision whose signatures and index were datasketch's
_ENVIRONMENTS = {
    "datasketch": ["datasketch==2.0.0", "xxhash", "pyarrow"],
    "rensa": ["rensa==0.5.0", "pyarrow"],
    "text-dedup": ["text-dedup==0.4.0"],
    "datatrove": ["datatrove[io,processing]==0.10.1", "spacy>=3.8"],
    "before": [f"git+file://{_ROOT}@{_BEFORE}"],
}


def _systems(kind: str, *rows: tuple[str, str, str]) -> list[System]:
    """Return systems from (environment, variant, label)."""
    modules = {"": "corpusmill", "before": "corpusmill", "text-dedup": "text_dedup"}
    return [System(label, where, f"dedup_{modules.get(where, where)}", variant, kind) for where, variant, label in rows]


_SPEED = _systems(
    "sketch",
    ("", "signatures", "**corpusmill: signatures**"),
    ("", "signatures and shingles", "corpusmill: signatures and the shingles that are stored for verification"),
    ("", "stage, exact", "corpusmill: `Deduplicate().sketch()`"),
    ("", "stage, estimate", 'corpusmill: `Deduplicate(verify="estimate").sketch()`'),
    ("", "datasketch", "corpusmill: the same signatures as datasketch"),
    ("before", "stage, exact", "corpusmill before: `Deduplicate().sketch()` through datasketch"),
    ("datasketch", "bulk", "datasketch: `MinHash.bulk`"),
    ("datasketch", "xxhash", "datasketch: `MinHash.bulk`, xxh64 in place of SHA-1"),
    ("datasketch", "update", "datasketch: `update` shingle by shingle"),
    ("rensa", "r", "rensa: R-MinHash, digest matrix"),
    ("rensa", "c", "rensa: C-MinHash"),
    ("text-dedup", "sha1", "text-dedup: `embed_func`"),
    ("text-dedup", "xxh3", "text-dedup: `embed_func`, xxh3 and 32 bits"),
    ("datatrove", "16 x 8", "datatrove: `get_shingles` and `get_signature`"),
    ("rensa", "r words", "(other work: bare words, no shingles) rensa: R-MinHash over `text.split()`"),
    ("rensa", "rho words", "(other work: a sample of bare words) rensa: rho over `text.split()`"),
)
_WHOLE = _systems(
    "mask",
    ("", "exact", "**corpusmill: `Deduplicate()`**, verified exactly"),
    ("", "estimate", 'corpusmill: `verify="estimate"`'),
    ("", "fineweb", "corpusmill: 14 × 8, unverified"),
    ("", "files", "corpusmill: a run of this one stage, file to shards"),
    ("before", "exact", "corpusmill before: datasketch's signatures and index, verified exactly"),
    ("datasketch", "0.8", "datasketch: `MinHashLSH`, query and insert"),
    ("datasketch", "0.8 xxhash", "datasketch: the same, xxh64 in place of SHA-1"),
    ("rensa", "r 0.8", "rensa: `RMinHashDeduplicator`"),
    ("rensa", "c 0.8", "rensa: `CMinHashDeduplicator`"),
    ("text-dedup", "0.8", "text-dedup: the script `text_dedup.minhash`, file to file"),
    ("text-dedup", "0.8 xxh3", "text-dedup: the same, xxh3 and 32 bits"),
    ("datatrove", "14 x 8", "datatrove: four steps, file to file"),
    ("rensa", "r words", "(other work: bare words) rensa: `RMinHashDeduplicator` over `text.split()`"),
    ("rensa", "rho words", "(other work: a sample of bare words) rensa: rho flags"),
)
_OURS = _systems(
    "mask",
    ("", "exact", "corpusmill, exact"),
    ("", "estimate", "corpusmill, estimate"),
    ("", "fineweb", "corpusmill, 14 × 8 unverified"),
    ("", "strict", "corpusmill, 32 × 4 exact"),
    ("", "exact 0.7", "corpusmill, exact, threshold 0.7"),
)
_PEERS = _systems(
    "mask",
    ("before", "exact", "corpusmill before, exact"),
    ("datasketch", "0.8", "datasketch LSH 0.8"),
    ("datasketch", "0.8 estimate", "datasketch LSH 0.8, candidates checked by estimate"),
    ("datasketch", "0.7", "datasketch LSH 0.7"),
    ("rensa", "r 0.8", "rensa R 0.8"),
    ("rensa", "r 0.7", "rensa R 0.7"),
    ("rensa", "c 0.8", "rensa C 0.8"),
    ("rensa", "r words", "rensa R 0.8 over `text.split()`, as in its guide"),
    ("rensa", "rho words", "rensa rho flags over `text.split()`, as in its benchmark"),
    ("text-dedup", "0.8", "text-dedup 0.8, 128 permutations"),
    ("text-dedup", "default", "text-dedup, default (0.7, 250 permutations)"),
    ("datatrove", "14 x 8", "datatrove, default (14 × 8, clusters)"),
)


def make_environments(folder: Path, only: str) -> None:
    """Make the environments that do not exist; exit 1 if one cannot be made."""
    failed = []
    for name, packages in _ENVIRONMENTS.items():
        python = folder / name / "bin" / "python"
        if not re.search(only, name):
            continue
        commands = [
            [sys.executable, "-m", "venv", str(folder / name)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
        ]
        say(f"{name}: {' '.join(packages)}")
        if any(subprocess.run(command).returncode for command in commands):
            failed.append(name)
    if failed:
        sys.exit(f"could not be made: {', '.join(failed)}")


def measure(options: argparse.Namespace, systems: list[System]) -> None:
    """Time *systems* and print the table."""
    chosen = [system for system in systems if re.search(options.only, f"{system.environment} {system.label}")]
    line, documents, megabytes = describe(options.texts)
    results = in_turns(chosen, options.directory, options.texts.resolve(), options.rounds, options.core)
    print(heading(sys.argv[1:], results))
    print(f"\n{line}; {options.rounds} rounds. × is how many times as long as the first row.\n")
    print(table(results, documents, megabytes))


def judge_quality(options: argparse.Namespace) -> None:
    """Run everything that removes duplicates over the evaluation data and print the scores."""
    texts = [record["text"] for record in quality.read_lines(options.data / "docs.jsonl.gz")]
    given = quality.Truth.read(len(texts), options.data / "pairs.jsonl.gz")
    say("comparing all pairs by the words of this project")
    own = quality.Truth.compute(texts, words)
    rows: list[tuple[str, quality.Truth, list[bool] | str]] = [
        ("perfect, first wins, 0.8 (what the scoring gives)", given, quality.first_wins(given, 0.8))
    ]
    with tempfile.TemporaryDirectory(prefix="dedup-") as folder:
        parquet = Path(folder, "texts.parquet")
        ids = [str(number) for number in range(len(texts))]
        pq.write_table(pa.table({"id": ids, "text": pa.array(texts, pa.large_string())}), parquet)

        def mask(system: System) -> list[bool] | str:
            say(system.label)
            path = Path(folder, "mask.json")
            try:
                one_run(system, options.directory, parquet, parquet, None, path)
            except FailedError as error:
                return str(error)
            keep: list[bool] = json.loads(path.read_text())
            return keep

        for system in _OURS:
            if not re.search(options.only, system.label):
                continue
            keep = mask(system)
            python = System(system.label, "", system.module, f"{system.variant}, words of Python", "mask")
            rows += [
                (f"{system.label}: words of the given truth", given, mask(python)),
                (f"{system.label}: default words, given truth", given, keep),
                (f"{system.label}: default words, truth by them", own, keep),
            ]
        rows += [(system.label, given, mask(system)) for system in _PEERS if re.search(options.only, system.label)]
    print(f"`{' '.join(['python', 'benchmarks/dedup.py', *sys.argv[1:]])}`\n\n{machine()}\n")
    print(f"{len(texts):,} documents, {sum(map(len, given.neighbours)) // 2:,} pairs of at least {quality.LEAST}.\n")
    print(_scores(rows))
    print(f"\n{_curves(rows)}")


def _scores(rows: list[tuple[str, quality.Truth, list[bool] | str]]) -> str:
    thresholds = " | ".join(f"P, R, F1 at {threshold:g}" for threshold in quality.THRESHOLDS)
    lines = [
        f"| | removed | of these unlike (< 0.5) | {thresholds} |",
        "|---|---:|---:|" + "---:|" * len(quality.THRESHOLDS),
    ]
    for label, truth, keep in rows:
        if isinstance(keep, str):
            lines.append(f"| {label} | not measured: {keep.replace('|', '/')} | | | | |")
            continue
        cells = []
        for threshold in quality.THRESHOLDS:
            found = quality.score(truth, keep, threshold)
            cells.append(f"{found.precision:.4f} {found.recall:.4f} **{found.f1:.4f}**")
        lines.append(f"| {label} | {len(keep) - sum(keep):,} | {quality.unlike(truth, keep)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _curves(rows: list[tuple[str, quality.Truth, list[bool] | str]]) -> str:
    lines = [
        f"| found, % | {' | '.join(f'{step:g}' for step in quality.STEPS)} |",
        "|---|" + "---:|" * len(quality.STEPS),
    ]
    counts: list[str] = []
    for label, truth, keep in rows:
        if isinstance(keep, list):
            found = quality.curve(truth, keep)
            counts = counts or [str(there) for _, there in found.values()]
            cells = [f"{100 * hits / there:.0f}" if there else "" for hits, there in found.values()]
            lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join([*lines[:2], f"| isolated pairs in the given truth | {' | '.join(counts)} |", *lines[2:]])


def main() -> None:
    """Do what the verb says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("environments", "speed", "whole", "quality"):
        command = verbs.add_parser(verb)
        command.add_argument("directory", type=Path, help="where the environments of the peers are")
        command.add_argument("--only", default="", help="a regular expression that the names of what is run must match")
        if verb in ("speed", "whole"):
            command.add_argument("texts", type=Path, help="Parquet with the columns id and text")
            command.add_argument("--rounds", type=int, default=5)
            command.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
        elif verb == "quality":
            command.add_argument("data", type=Path, help="a folder with docs.jsonl.gz and pairs.jsonl.gz")
    command = verbs.add_parser("texts")
    command.add_argument("out", type=Path)
    command.add_argument("sources", type=Path, nargs="+", help="files and folders: .html, .txt, .md, .rst, .jsonl(.gz)")
    command.add_argument("--megabytes", type=float, default=60)
    options = parser.parse_args()
    if options.verb == "environments":
        make_environments(options.directory, options.only)
    elif options.verb == "texts":
        print(f"{write_texts(options.sources, options.out, options.megabytes):,} texts: {describe(options.out)[0]}")
    elif options.verb == "quality":
        judge_quality(options)
    else:
        measure(options, _SPEED if options.verb == "speed" else _WHOLE)


if __name__ == "__main__":
    main()
