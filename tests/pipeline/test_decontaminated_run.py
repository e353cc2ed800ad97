"""A run with a reference set: what the manifest and the rejects say of it, and the queries that the guide shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from corpusmill.manifest import read_manifest
from corpusmill.recipe import fingerprint, recipe_from
from corpusmill.run import run
from corpusmill.schemas import RecipeError
from support import prose

GUIDE = (Path(__file__).parent.parent.parent / "docs" / "decontamination.md").read_text("utf-8")


def recipe(references: Path, **settings: Any) -> Any:
    stages = [
        {"kind": "normalize_text"},
        {"kind": "decontaminate", "references": [str(references)], **settings},
        {"kind": "tokenize", "tokenizer": "bytes"},
    ]
    return recipe_from({"stage": stages, "output": {"text": True}})


@pytest.fixture
def leaky(tmp_path: Path) -> tuple[Path, Path]:
    """Twenty documents, four of them with items of an evaluation set, and the set."""
    items = [{"id": f"q{number}", "question": prose(1000 + number, 30)} for number in range(3)]
    texts = [prose(number) for number in range(20)]
    for at, item in ((2, 0), (5, 1), (11, 1), (17, 1)):
        texts[at] += f"\n\n{items[item]['question'].upper()}\n\n{prose(at + 50)}"
    (tmp_path / "crawl").mkdir()
    lines = [json.dumps({"id": f"d{number}", "text": text}) for number, text in enumerate(texts)]
    (tmp_path / "crawl" / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "set.jsonl").write_text("\n".join(map(json.dumps, items)))
    return tmp_path / "crawl", tmp_path / "evals"


def fence(language: str, at: int = 0) -> str:
    after = GUIDE.partition("## After a run")[2]
    fences: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", after, re.MULTILINE | re.DOTALL)
    return fences[at]


def test_rejects_name_the_items_and_the_queries_of_the_guide_count_them(
    leaky: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crawl, evals = leaky
    run(recipe(evals), [crawl], tmp_path / "out")
    counts = {stage.kind: stage for stage in read_manifest(tmp_path / "out").stages}["decontaminate"]
    assert (counts.documents_in, counts.dropped) == (20, {"contaminated": 4})
    rejects = pq.read_table(tmp_path / "out" / "rejects").to_pylist()
    assert sorted((row["id"], row["ref"], row["value"]) for row in rejects) == [
        ("d11", "set.jsonl#q1", 1.0),
        ("d17", "set.jsonl#q1", 1.0),
        ("d2", "set.jsonl#q0", 1.0),
        ("d5", "set.jsonl#q1", 1.0),
    ]
    monkeypatch.chdir(tmp_path)
    assert duckdb.execute(fence("sql")).fetchall() == [("set.jsonl#q1", 3), ("set.jsonl#q0", 1)]
    assert duckdb.execute(fence("sql", 1)).fetchall() == [(4, 4, 4)]
    scope: dict[str, Any] = {}
    exec(fence("python"), scope)
    assert scope["hits"].group_by("ref").len().sort("len")["len"].to_list() == [1, 3]
    assert "set.jsonl#q1" in capsys.readouterr().out


def test_trimmed_documents_are_kept_without_the_item(leaky: tuple[Path, Path], tmp_path: Path) -> None:
    crawl, evals = leaky
    run(recipe(evals, action="trim", margin=10), [crawl], tmp_path / "out")
    rows = [row for path in (tmp_path / "out" / "shards").glob("*") for row in pq.read_table(path).to_pylist()]
    (text,) = [row["text"] for row in rows if row["id"] == "d2"]
    assert prose(1000, 30).upper() not in text
    assert text.startswith(prose(2)[:200])
    assert text.endswith(prose(52)[-200:])
    signals = pl.read_parquet(tmp_path / "out" / "signals" / "*.parquet")
    assert signals.filter(pl.col("signals.leaked_item").is_not_null())["id"].sort().to_list() == [
        "d11",
        "d17",
        "d2",
        "d5",
    ]


def test_the_contents_of_the_references_are_part_of_the_fingerprint(leaky: tuple[Path, Path]) -> None:
    _, evals = leaky
    before = fingerprint(recipe(evals))
    assert fingerprint(recipe(evals)) == before
    (evals / "more.jsonl").write_text(json.dumps({"q": prose(5)}))
    assert fingerprint(recipe(evals)) != before


def test_trimming_after_tokenizing_is_refused(leaky: tuple[Path, Path], tmp_path: Path) -> None:
    crawl, evals = leaky
    stages = [
        {"kind": "tokenize", "tokenizer": "bytes"},
        {"kind": "decontaminate", "references": [str(evals)], "action": "trim"},
    ]
    with pytest.raises(RecipeError, match="decontaminate changes text, so it must come before tokenize"):
        run(recipe_from({"stage": stages}), [crawl], tmp_path / "out")
