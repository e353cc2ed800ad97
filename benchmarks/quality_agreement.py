"""Whether the presets of `filter_quality` decide as datatrove's filters do, and why not where they do not.

    python benchmarks/quality_agreement.py texts pages.parquet PAGES.jsonl.gz…     # marked text and all visible text of pages
    python benchmarks/stages.py make environments/ --only quality                  # datatrove, in an environment of its own
    python benchmarks/quality_agreement.py compare environments/ pages.parquet     # tables, as Markdown

Decisions are compared twice: with datatrove's own words (spaCy's, which count punctuation marks), and with words at white space
in both, so that what is left is not a matter of words. Differences are counted by the two reasons; an empty one keeps the text.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from processes import interpreter, run_child
from stages_quality import ENVIRONMENT_OF

from corpusmill.stages import FilterQuality, StripHtml
from corpusmill.stages.text_units import EDGES

_HERE = Path(__file__).parent
_BATCH = 64  # pages
_SHOWN = 8
_EXPLAINED = {
    (
        "gopher_below_alpha_threshold",
        "",
    ): "its words: spaCy's, among which punctuation marks are words without a letter",
    ("gopher_enough_stop_words", ""): "pages in other languages have function words of theirs",
    ("char_dup_ratio", ""): "0.01 of characters in repeated lines is the code's limit, 0.1 the paper's",
    ("line_punct_ratio", ""): "lines that end with a quotation mark end with punctuation",
}
"""What docs/quality_rules.md gives a reason for, by datatrove's reason and ours."""
_OURS: dict[str, dict[str, Any]] = {
    "gopher_quality": {"presets": ("gopher_quality",)},
    "gopher_repetition": {"presets": ("gopher_repetition",)},
    "c4": {"presets": ("c4",)},
    "fineweb": {"presets": ("fineweb",)},
    # Its released code, which the paper gainsays: see docs/quality_rules.md.
    "fineweb, repeated lines 0.01": {"presets": ("fineweb",), "maximum_duplicate_line_characters": 0.01},
}


def write_texts(out: Path, files: list[Path], every: int) -> None:
    """Write the marked text and all visible text of every page, blank ones left out, and of these every so-manieth."""
    marked: list[str] = []
    pages: list[bytes] = []
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                row = json.loads(line)
                marked.append(row.get("gold") or "")
                pages.append(row["html"].encode("utf-8", "replace"))
    strip = StripHtml(engine="text").open()
    visible: list[str] = []
    for at in range(0, len(pages), _BATCH):
        batch, _ = strip(pa.record_batch({"html": pa.array(pages[at : at + _BATCH], pa.large_binary())}))
        visible += [text or "" for text in batch.column("text").to_pylist()]
    rows = [
        (kind, text) for kind, texts in (("marked", marked), ("visible", visible)) for text in texts if text.strip()
    ]
    rows = rows[::every]
    pq.write_table(pa.table({"kind": [kind for kind, _ in rows], "text": [text for _, text in rows]}), out)


def ours(texts: pa.Array, settings: dict[str, Any]) -> list[str]:
    """Return our reason for each text, empty where it is kept."""
    _, verdicts = FilterQuality(**settings).judge(pa.record_batch({"text": texts}))
    return [verdict["reason"] if verdict else "" for verdict in verdicts.to_pylist()]


def theirs(environments: Path, path: Path, words: str) -> dict[str, list[str]]:
    """Return datatrove's reasons by filter."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "decisions.json")
        python = str(interpreter(environments, ENVIRONMENT_OF["datatrove, four filters"]))
        command = [
            python,
            str(_HERE / "quality_datatrove.py"),
            str(path.absolute()),
            str(out),
            words,
            json.dumps(EDGES),
        ]
        run_child(command, None)
        decisions: dict[str, list[str]] = json.loads(out.read_text("utf-8"))
    return decisions


def tables(path: Path, decisions: dict[str, dict[str, list[str]]]) -> Iterator[str]:
    """Yield the tables: agreement of each filter on each kind of text, then the classes of differences."""
    table = pq.read_table(path)
    kinds = table.column("kind").to_pylist()
    texts = table.column("text").cast(pa.large_string()).combine_chunks()
    counts = Counter(kinds)
    heads = " | ".join(f"{kind} text ({count:,})" for kind, count in counts.items())
    yield f"| filter | words | {heads} | all, what is explained aside | dropped by datatrove | by corpusmill |"
    yield f"|---|---|{'---:|' * len(counts)}---:|---:|---:|"
    classes: list[str] = []
    for name, settings in _OURS.items():
        mine = ours(texts, settings)
        for words, found in decisions.items():
            other = found.get(name.partition(",")[0])
            if other is None:
                continue
            same = [bool(a) == bool(b) for a, b in zip(mine, other, strict=True)]
            shares = []
            for kind in counts:
                agreed = [s for s, k in zip(same, kinds, strict=True) if k == kind]
                shares.append(f"{sum(agreed) / len(agreed):.2%}")
            explained = [pair in _EXPLAINED for pair in zip(other, mine, strict=True)]
            rest = [s for s, e in zip(same, explained, strict=True) if not e]
            shares.append(f"{sum(rest) / len(rest):.2%}")
            dropped = f"{sum(map(bool, other)):,} | {sum(map(bool, mine)):,}"
            yield f"| {name} | {words} | {' | '.join(shares)} | {dropped} |"
            pairs = zip(mine, other, strict=True)
            differences = Counter((b, a) for a, b in pairs if bool(a) != bool(b)).most_common(_SHOWN)
            told = "; ".join(
                f"{b or 'kept'} → {a or 'kept'}: {count}" + (f" ({_EXPLAINED[b, a]})" if (b, a) in _EXPLAINED else "")
                for (b, a), count in differences
            )
            classes.append(f"- {name}, {words}: {told or 'none'}")
    yield "\nDifferences, datatrove → corpusmill:\n"
    yield from classes


def main() -> None:
    """Write texts, or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    verbs = parser.add_subparsers(dest="verb", required=True)
    writing = verbs.add_parser("texts")
    writing.add_argument("out", type=Path)
    writing.add_argument("files", type=Path, nargs="+")
    writing.add_argument("--every", type=int, default=1)
    comparing = verbs.add_parser("compare")
    comparing.add_argument("environments", type=Path)
    comparing.add_argument("texts", type=Path)
    given = parser.parse_args()
    if given.verb == "texts":
        write_texts(given.out, given.files, given.every)
        return
    decisions = {words: theirs(given.environments, given.texts, words) for words in ("spacy", "spaces")}
    for line in tables(given.texts, decisions):
        print(line, flush=True)


if __name__ == "__main__":
    main()
