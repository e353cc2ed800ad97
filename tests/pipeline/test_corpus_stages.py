"""The contract of corpus stages: resolved in order by one owner, settled in workers, and what they tell of the corpus."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpusmill import Pipeline
from corpusmill.audit import audit
from corpusmill.chain import cut
from corpusmill.journal import Journal
from corpusmill.manifest import read_manifest
from corpusmill.run import run
from corpusmill.schemas import Drop, RecipeError, StageError, verdict_array
from corpusmill.schemas.inputs import InputSettings
from corpusmill.schemas.manifest import CorpusFacts
from corpusmill.schemas.recipe import LimitSettings, OutputSettings, Recipe
from corpusmill.stages import CorpusStage, Deduplicate, NormalizeText, Tokenize
from corpusmill.stages.base import Settle, SketchReader, with_columns
from support import stop_after


class Numbered(CorpusStage, frozen=True, kw_only=True):
    """Writes before each text how many documents before it began with the same word; drops the tenth and later ones.

    What the second word of a text says is done when it is settled.
    """

    rewrites = ("text",)
    keeps_one = False
    reasons = frozenset({"too_many"})
    signals: ClassVar[dict[str, pa.DataType]] = {"number": pa.int64()}

    short: bool = False
    """Whether the index forgets a row."""

    def sketch(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        def run(batch: pa.RecordBatch) -> pa.RecordBatch:
            return pa.record_batch({"word": [text.partition(" ")[0] for text in batch.column("text").to_pylist()]})

        return run

    def open_index(self, reader: SketchReader | None = None) -> Numbers:
        return Numbers(self.short)

    def settle(self) -> Settle:
        def run(batch: pa.RecordBatch, resolved: pa.Array) -> tuple[pa.RecordBatch, pa.StructArray]:
            for text in batch.column("text").to_pylist():
                do(text.split(" ")[1])
            numbers, texts = resolved.to_pylist(), batch.column("text").to_pylist()
            text = [f"{number}: {text}" for number, text in zip(numbers, texts, strict=True)]
            out = with_columns(batch, {"text": pa.array(text, batch.schema.field("text").type)})
            drops = [Drop("too_many", n, 9) if n > 9 else None for n in numbers]
            return out.append_column("signals.number", resolved), verdict_array(drops)

        return run


class Numbers:
    expected: ClassVar[list[tuple[int, int]]] = []
    """What every index in this process was told: the documents it had seen, and how many there would be."""

    def __init__(self, short: bool) -> None:
        self._short = short
        self._seen: Counter[str] = Counter()

    @property
    def documents(self) -> int:
        return self._seen.total()

    def expect(self, documents: int) -> None:
        self.expected.append((self.documents, documents))

    def add(self, split: int, sketches: pa.Table) -> list[tuple[int, pa.Array]]:
        numbers = []
        for word in sketches.column("word").to_pylist():
            numbers.append(self._seen[word])
            self._seen[word] += 1
        return [(split, pa.array(numbers[self._short :], pa.int64()))]

    def finish(self) -> list[tuple[int, pa.Array]]:
        return []

    def facts(self) -> dict[str, Any]:
        words = [{"word": word, "documents": n} for word, n in sorted(self._seen.items())]
        return {"documents_seen": self._seen.total(), "words": words}


def do(deed: str) -> None:
    if deed == "raise":
        raise ValueError("not this one")
    if deed == "exit":
        os._exit(7)
    if deed == "spin":
        while True:
            pass


def recipe(*stages: Any) -> Recipe:
    return Recipe(
        stages=stages or (NormalizeText(), Numbered(), NormalizeText()),
        input=InputSettings(split_size="3kB"),
        output=OutputSettings(validation_share=0, shard_tokens=2000),
        limits=LimitSettings(document_seconds=1),
    )


def write(path: Path, ids: range, deeds: dict[int, str] | None = None) -> Path:
    path.parent.mkdir(exist_ok=True)
    rows = [{"id": f"d{n}", "text": f"w{n % 7} {(deeds or {}).get(n, 'plain')} {'text ' * 20}{n}"} for n in ids]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.parent


def rows(output: Path, folder: str = "shards") -> list[dict[str, Any]]:
    return [row for path in sorted((output / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def products(output: Path) -> dict[str, bytes]:
    paths = [path for folder in ("shards", "rejects", "signals") for path in (output / folder).glob("*")]
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in paths}


def expected(ids: range, without: tuple[int, ...] = ()) -> dict[str, str]:
    numbers, texts = Counter[int](), {}
    for n in ids:
        if numbers[n % 7] <= 9 and n not in without:
            texts[f"d{n}"] = f"{numbers[n % 7]}: w{n % 7} plain {'text ' * 20}{n}"
        numbers[n % 7] += 1
    return texts


def test_what_is_resolved_in_order_is_settled_row_by_row(tmp_path: Path) -> None:
    source = write(tmp_path / "in" / "a.jsonl", range(90))
    manifest = run(recipe(), [source], tmp_path / "one")
    assert {row["id"]: row["text"] for row in rows(tmp_path / "one")} == expected(range(90))
    run(recipe(), [source], tmp_path / "three", workers=3)
    assert products(tmp_path / "three") == products(tmp_path / "one")
    assert [(s.kind, s.documents_in, s.kept, s.dropped) for s in manifest.stages] == [
        ("normalize_text", 90, 90, {}),
        ("numbered", 90, 70, {"too_many": 20}),
        ("normalize_text#2", 70, 70, {}),
    ]
    rejects = rows(tmp_path / "one", "rejects")
    assert {row["excerpt"][:3] for row in rejects} <= {f"w{n} " for n in range(7)}  # the text as the stage saw it
    signals = {row["id"]: row["signals.number"] for row in rows(tmp_path / "one", "signals")}
    assert signals == {f"d{n}": n // 7 for n in range(90)}
    assert audit(tmp_path / "one").ok


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_documents_that_cannot_be_sketched_or_settled_are_left_out_where_somebody_is_told(batch_size: int) -> None:
    given = [{"id": str(n), "text": f"w{n % 7} {'raise' if n in {3, 9} else 'plain'} {n}"} for n in range(30)]
    given.insert(5, {"id": "no text", "html": "<p>w0 plain"})
    pipeline = Pipeline([Numbered(), NormalizeText()])
    failed: list[tuple[str, str, str]] = []
    kept = pipeline.documents(
        given, batch_size=batch_size, on_error=lambda id_, stage, error: failed.append((id_, stage, repr(error)))
    )
    expected = {str(n): f"{n // 7}: w{n % 7} plain {n}" for n in range(30) if n not in {3, 9}}
    assert {document["id"]: document["text"] for document in kept} == expected
    assert sorted(failed) == [
        ("3", "numbered", "ValueError('not this one')"),
        ("9", "numbered", "ValueError('not this one')"),
        ("no text", "numbered", "AttributeError(\"'NoneType' object has no attribute 'partition'\")"),
    ]
    with pytest.raises((AttributeError, ValueError)):
        list(pipeline.documents(given, batch_size=batch_size))


class Checked(Numbered, frozen=True, kw_only=True):
    """Notes which process looks for its index, and finds what the file says."""

    note: str

    def check(self) -> None:
        with Path(self.note).open("a") as file:
            print(os.getpid(), file=file)
        if Path(self.note).with_name("gone").exists():
            raise RecipeError("checked.note: there is no index")


def test_an_index_is_looked_for_by_the_owner_and_only_if_something_is_new(tmp_path: Path) -> None:
    """It may be larger than what a worker may take."""
    source, note = write(tmp_path / "in" / "a.jsonl", range(90)), tmp_path / "note"
    job = recipe(Checked(note=str(note)))
    (tmp_path / "gone").touch()
    with pytest.raises(RecipeError, match="there is no index"):
        run(job, [source], tmp_path / "out", workers=2)
    assert not (tmp_path / "out").exists()
    (tmp_path / "gone").unlink()
    for _ in range(2):
        run(job, [source], tmp_path / "out", workers=2)
    assert note.read_text().split() == [str(os.getpid())] * 2


def test_an_index_is_told_how_many_documents_will_come(tmp_path: Path) -> None:
    """By the splits before in their order, so that workers and an earlier batch do not matter."""
    source = write(tmp_path / "in" / "a.jsonl", range(200))
    told = []
    for workers in (1, 3):
        Numbers.expected.clear()
        run(recipe(), [source], tmp_path / str(workers), workers=workers)
        told.append(Numbers.expected.copy())
    assert told[0] == told[1]
    assert len(told[0]) >= 7
    assert all(seen > 0 and 180 <= documents <= 220 for seen, documents in told[0])
    Numbers.expected.clear()
    write(tmp_path / "in" / "b.jsonl", range(200, 400))
    run(recipe(), [source], tmp_path / "1")
    assert all(380 <= documents <= 420 for seen, documents in Numbers.expected if seen > 200)


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_document_that_cannot_be_settled_costs_itself(tmp_path: Path, executor: str) -> None:
    deeds = {3: "raise", 40: "spin"} | ({61: "exit"} if executor == "processes" else {})
    source = write(tmp_path / "in" / "a.jsonl", range(63), deeds)
    manifest = run(recipe(), [source], tmp_path / "out", executor=executor)
    assert {row["id"]: row["text"] for row in rows(tmp_path / "out")} == expected(range(63), tuple(deeds))
    put_away = {row["id"]: (row["stage"], row["error"]) for row in rows(tmp_path / "out", "quarantine")}
    assert set(put_away) == {f"d{n}" for n in deeds}
    assert put_away["d3"] == ("numbered", "ValueError: not this one")
    counts = manifest.stages[1]
    assert (counts.documents_in, counts.kept, counts.quarantined) == (63, 63 - len(deeds), len(deeds))
    assert audit(tmp_path / "out").ok


def test_a_stage_that_settles_nothing_ends_the_run(tmp_path: Path) -> None:
    source = write(tmp_path / "in" / "a.jsonl", range(60), dict.fromkeys(range(60), "raise"))
    with pytest.raises(StageError, match=r"numbered failed on every one of \d+ documents.*ValueError: not this one"):
        run(recipe(), [source], tmp_path / "out")


def test_an_index_that_loses_a_row_ends_the_run(tmp_path: Path) -> None:
    source = write(tmp_path / "in" / "a.jsonl", range(5))
    with pytest.raises(StageError, match="the index of numbered resolved other rows than it was given"):
        run(recipe(Numbered(short=True)), [source], tmp_path / "out")


def test_facts_are_of_all_batches_and_the_same_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "in" / "a.jsonl", range(40))
    run(recipe(), [source], tmp_path / "whole")
    journal = Journal(tmp_path / "whole" / "state" / "journal.jsonl")
    assert isinstance(journal.events[-2], CorpusFacts)
    for stop in (len(journal.events) - 2, len(journal.events) - 1):
        output = tmp_path / f"stopped{stop}"
        with monkeypatch.context() as patch:
            stop_after(patch, stop)
            with pytest.raises(KeyboardInterrupt):
                run(recipe(), [source], output)
        run(recipe(), [source], output)
        assert read_manifest(output).corpus_stages == {"numbered": journal.events[-2].facts}
    write(source / "b.jsonl", range(40, 60))
    manifest = run(recipe(), [source], tmp_path / "whole")
    assert manifest.corpus_stages["numbered"]["documents_seen"] == 60
    assert sum(row["documents"] for row in manifest.corpus_stages["numbered"]["words"]) == 60
    assert {row["id"]: row["text"] for row in rows(tmp_path / "whole")} == expected(range(60))
    assert audit(tmp_path / "whole").ok


def test_a_stream_is_settled_too() -> None:
    documents = [{"id": f"d{n}", "text": f"w{n % 7} plain {'text ' * 20}{n}"} for n in range(90)]
    for size in (1, 8):
        found = Pipeline([Numbered()]).documents(documents, batch_size=size)
        assert {document["id"]: document["text"] for document in found} == expected(range(90))


def test_the_order_of_stages_is_checked() -> None:
    with pytest.raises(RecipeError, match="numbered changes text, so it must come before tokenize"):
        cut([Tokenize(tokenizer="bytes"), Numbered()])
    assert cut([Numbered(), Deduplicate()]).warnings() == []
    (warning,) = cut([Deduplicate(), Numbered()]).warnings()
    assert "numbered comes after deduplicate" in warning
