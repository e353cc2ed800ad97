"""What datatrove's filters decide about texts: the child process of `quality_agreement.py`, in an environment of its own.

    PYTHON benchmarks/quality_datatrove.py TEXTS OUT WORDS EDGES

Reads the column `text` of a Parquet file and writes, for each filter, the reason for which it drops each text or "". WORDS is
`spacy` (its own words) or `spaces`: runs of non-white space without the EDGES (a JSON string) around them, as ours are;
C4's filter asks spaCy for sentences, so it has its own alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    fineweb_quality_filter,
    gopher_quality_filter,
    gopher_repetition_filter,
)


def words_at_spaces(edges: str, *, symbols: bool) -> Any:
    """Return a stand-in for `split_into_words`; *symbols* says whether runs without a letter or digit count."""

    def split(text: str, language: str) -> list[str]:  # noqa: ARG001  the signature is theirs
        words = [run.strip(edges) or run for run in text.split()]
        return words if symbols else [word for word in words if any(map(str.isalnum, word))]

    return split


def main() -> None:
    """Write the decisions."""
    texts, out, words, edges = sys.argv[1:]
    filters = {"gopher_quality": GopherQualityFilter(), "gopher_repetition": GopherRepetitionFilter()}
    filters |= {"fineweb": FineWebQualityFilter()}
    if words == "spaces":
        marks = json.loads(edges)
        gopher_quality_filter.split_into_words = words_at_spaces(marks, symbols=True)
        gopher_repetition_filter.split_into_words = words_at_spaces(marks, symbols=False)
        fineweb_quality_filter.split_into_words = words_at_spaces(marks, symbols=False)
    else:
        filters["c4"] = C4QualityFilter()
    decisions: dict[str, list[str]] = {name: [] for name in filters}
    for text in pq.read_table(texts, columns=["text"]).column("text").to_pylist():
        for name, one in filters.items():
            result = one.filter(Document(text=text, id=""))
            decisions[name].append(str(result[1]) if isinstance(result, tuple) else "" if result else "dropped")
    Path(out).write_text(json.dumps(decisions), "utf-8")
    print(f"\n{json.dumps({'texts': len(decisions['fineweb'])})}")


if __name__ == "__main__":
    main()
