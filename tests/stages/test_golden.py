"""The golden cases of every stage: tests/cases/<stage>/{wild,synthetic,negative,known_failures}.json.

What a stage does with a document that it compares with others is seen where a case has the documents `before` it.

Known failures must fail: a change that repairs one breaks the build until the case is promoted to another file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpusmill.schemas import DOCUMENTS, signal_column
from corpusmill.stages import known_stages, stage_from

CASES = Path(__file__).parent.parent / "cases"
FILES = sorted(CASES.glob("*/*.json"))


def _parameters() -> list[Any]:
    found = []
    for path in FILES:
        for case in json.loads(path.read_text("utf-8")):
            known_failure = path.stem == "known_failures"
            marks = [pytest.mark.xfail(strict=True, reason=case.get("comment", ""))] if known_failure else []
            found.append(
                pytest.param(path.parent.name, case, id=f"{path.parent.name}/{path.stem}/{case['label']}", marks=marks)
            )
    return found


def _document(given: dict[str, Any]) -> dict[str, Any]:
    document = {"id": "case", "url": None, "source": "case", "html": None, "text": None, "metadata": None, **given}
    if isinstance(document["html"], str):
        document["html"] = document["html"].encode()
    if isinstance(document["metadata"], dict):
        document["metadata"] = json.dumps(document["metadata"])
    return document


@pytest.mark.parametrize(("kind", "case"), _parameters())
def test_case(kind: str, case: dict[str, Any]) -> None:
    beside = json.loads(json.dumps(case.get("settings", {})).replace("$CASES", CASES.as_posix()))
    stage = stage_from({"kind": kind, **beside}, case["label"])
    documents = [_document(given) for given in [*case.get("before", []), case["input"]]]
    out, verdicts = stage.judge(pa.RecordBatch.from_pylist(documents, DOCUMENTS))
    verdict = verdicts[-1].as_py()
    if "drop" in case:
        assert (verdict["reason"] if verdict else None) == case["drop"]
    if "text" in case:
        assert out.column("text")[-1].as_py() == case["text"]
    for name, expected in case.get("signals", {}).items():
        measured = out.column(signal_column(name))[-1].as_py()
        assert measured == (pytest.approx(expected, rel=1e-3, abs=1e-3) if isinstance(expected, float) else expected), (
            name
        )


def test_every_folder_belongs_to_a_stage_and_labels_are_unique() -> None:
    assert {path.parent.name for path in FILES} <= set(known_stages())
    for path in FILES:
        labels = [case["label"] for case in json.loads(path.read_text("utf-8"))]
        assert len(labels) == len(set(labels)), path


@pytest.mark.parametrize(
    "kind", [k for k in known_stages() if k not in {"deduplicate", "tokenize", "pack", "function"}]
)
def test_every_text_stage_has_at_least_a_dozen_cases(kind: str) -> None:
    assert sum(len(json.loads(path.read_text("utf-8"))) for path in FILES if path.parent.name == kind) >= 12
