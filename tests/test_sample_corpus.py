"""What must happen to each document of sample_corpus/, as its README says, under the default recipe."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpusmill.audit import audit
from corpusmill.recipe import load_recipe
from corpusmill.run import run

CORPUS = Path(__file__).parent.parent / "sample_corpus"
EXPECTATIONS: list[dict[str, Any]] = json.loads((CORPUS / "expectations.json").read_text("utf-8"))


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "out"
    run(load_recipe("web", ["output.text=true", "tokenize.vocabulary_size=2000"]), [CORPUS], path)
    return path


@cache
def _rows(output: Path, folder: str) -> list[dict[str, Any]]:
    return [row for path in sorted((output / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("expected", EXPECTATIONS, ids=lambda expected: expected["id"])
def test_document(output: Path, expected: dict[str, Any]) -> None:
    kept = {row["id"]: row for row in _rows(output, "shards")}
    rejects = {row["id"]: row for row in _rows(output, "rejects")}
    quarantined = [
        row for row in _rows(output, "quarantine") if row["id"] == expected["id"] or _same_place(row, expected)
    ]
    id_ = expected["id"]
    found = {"kept": id_ in kept, "dropped": id_ in rejects, "quarantined": bool(quarantined)}
    assert found == {name: name == expected["expect"] for name in found}
    if expected["expect"] == "kept":
        text = kept[id_]["text"]
        assert [part for part in expected.get("contains", []) if part not in text] == []
        assert [part for part in expected.get("lacks", []) if part in text] == []
        if "language" in expected:
            assert kept[id_]["language"] == expected["language"]
    if expected["expect"] == "dropped":
        reject = rejects[id_]
        reasons = expected.get("reason", [])
        assert reject["stage"] == expected["stage"]
        assert reject["reason"] in (reasons if isinstance(reasons, list) else [reasons]) or not reasons
        assert expected.get("ref") in {None, reject["ref"]}


def _same_place(row: dict[str, Any], expected: dict[str, Any]) -> bool:
    return "offset" in expected and (row["source"], row["offset"]) == (expected.get("source"), expected["offset"])


def test_every_file_and_every_document_is_expected(output: Path) -> None:
    expected = {entry["id"] for entry in EXPECTATIONS}
    assert len(expected) == len(EXPECTATIONS) >= 60
    assert {row["id"] for folder in ("shards", "rejects") for row in _rows(output, folder)} <= expected
    manifest = json.loads((output / "manifest.json").read_text())
    assert {file["name"] for file in manifest["inputs"]["skipped"]} <= expected
    formats = manifest["inputs"]["formats"]
    assert set(formats) == {"html", "text", "jsonl", "parquet", "warc"}


def test_the_corpus_is_in_many_languages_and_small(output: Path) -> None:
    assert len({row["language"] for row in _rows(output, "shards")}) >= 8
    assert (
        sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        < 600_000
    )


def test_the_account_is_complete(output: Path) -> None:
    result = audit(output)
    assert result.ok, result.problems
    kept = sum(entry["expect"] == "kept" for entry in EXPECTATIONS)
    assert result.counted.kept == kept
