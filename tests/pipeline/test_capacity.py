"""What a run will need: how many documents there are, and whether their index fits."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from corpusmill import capacity
from corpusmill.capacity import Volume, estimated_volume, free_disk, index_needs, pairs_found
from corpusmill.cli import cli
from corpusmill.discover import discover
from corpusmill.schemas import RecipeError
from corpusmill.schemas.inputs import InputSettings
from corpusmill.stages import Deduplicate
from support import prose


def lines(count: int) -> bytes:
    return "".join(json.dumps({"id": str(n), "text": prose(n)}) + "\n" for n in range(count)).encode()


def volume_of(root: Path) -> Volume:
    return estimated_volume(discover([str(root)], InputSettings()).files, InputSettings())


def test_documents_are_estimated_from_the_beginning_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(9000))  # 7 MB, of which the first 4 are looked at
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines(9000)))
    found = volume_of(tmp_path)
    assert found.documents == pytest.approx(18_000, rel=0.05)
    assert found.bytes == pytest.approx(sum(len(prose(n)) for n in range(9000)) * 2, rel=0.1)


def test_files_that_are_a_document_and_parquet_are_counted(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"page{number}.html").write_text(f"<html><body><p>{prose(number)}</p></body></html>")
    pq.write_table(pa.table({"text": [prose(n) for n in range(321)]}), tmp_path / "rows.parquet")
    assert volume_of(tmp_path).documents == 7 + 321


def test_an_empty_input_has_no_documents(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    assert volume_of(tmp_path) == Volume(0, 0)


def test_the_needs_grow_with_the_documents() -> None:
    small, large = (index_needs(Deduplicate(), Volume(n, n * 3000))[0] for n in (10**6, 10**7))
    assert small.startswith("index of at most 1,000,000 documents: ")
    assert "4.36 GB of disk" in small
    assert "43.6 GB of disk" in large
    assert "(11 bytes a document)" in index_needs(Deduplicate(near=False), Volume(10**6, 10**9))[0]


def test_a_run_that_cannot_fit_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"of memory and this machine has .*: set max_index_memory"):
        index_needs(Deduplicate(), Volume(10**9, 10**12))
    with pytest.raises(RecipeError, match=r"do not fit into max_index_memory 1GB: give it"):
        index_needs(Deduplicate(max_index_memory="1GB"), Volume(10**9, 10**12))
    with pytest.raises(RecipeError, match="numbers 4,294,967,296 documents"):
        index_needs(Deduplicate(near=False), Volume(5 * 10**9, 10**12))
    monkeypatch.setattr(capacity, "usable_memory", lambda: 10**9)
    with pytest.raises(RecipeError, match="use a machine with more"):
        index_needs(Deduplicate(near=False), Volume(10**9, 10**12))
    with pytest.raises(RecipeError, match='set verify = "estimate"'):
        index_needs(Deduplicate(), Volume(10**6, 10**10), room=10**9)


def test_it_is_said_from_where_on_documents_are_not_verified() -> None:
    needs = index_needs(Deduplicate(max_index_memory="1GB"), Volume(10**7, 10**10))
    assert "unverified" in needs[1]
    assert "max_index_memory 1GB is reached after 4," in needs[1]


def test_free_disk_is_that_of_the_place_where_the_output_will_be(tmp_path: Path) -> None:
    assert free_disk(tmp_path / "not" / "yet") == pytest.approx(free_disk(tmp_path), rel=0.2)


def test_the_curve_is_said_in_words() -> None:
    assert pairs_found(Deduplicate(preset="fineweb")).startswith(
        "14 bands of 8 rows find of the pairs of similarity 0.5 5.3%, 0.6 21.1%, 0.7 56.5%"
    )
    assert pairs_found(Deduplicate()).endswith("candidates are compared by their shingles")


def checked(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check", *arguments])


def test_check_prints_the_curve_and_the_needs(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(20))
    result = checked(str(tmp_path))
    assert "deduplicate: 20 bands of 6 rows find" in result.output
    assert "deduplicate: index of at most 20 documents" in result.output
    assert "index of at most 5,000,000 documents: 1.16 GB of memory (231 bytes a document), 21.8 GB of disk" in (
        checked("--expect", "5000000").output
    )


def test_check_and_dry_run_refuse_what_cannot_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(20))
    assert isinstance(checked(str(tmp_path), "--expect", "2000000000").exception, RecipeError)
    monkeypatch.setattr(capacity, "free_disk", lambda _: 1000)
    refused = CliRunner().invoke(cli, ["run", str(tmp_path), str(tmp_path / "out"), "--dry-run"])
    assert "1,000 B are free" in str(refused.exception) or "1 kB are free" in str(refused.exception)
