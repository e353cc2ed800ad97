"""What a run says of the engine that makes its ids, and what it does when that one is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from corpusmill.audit import audit
from corpusmill.journal import Journal
from corpusmill.manifest import read_manifest
from corpusmill.progress import NoProgress
from corpusmill.recipe import fingerprint, load_recipe
from corpusmill.run import run
from corpusmill.schemas import EngineMismatchError
from corpusmill.schemas.manifest import EngineDistrusted, Manifest, SegmentRecord
from corpusmill.stages import Tokenize, tokenizer_engines
from corpusmill.stages.pre_tokenizers import PRE_TOKENIZERS
from corpusmill.stages.tokenize import train_tokenizer
from corpusmill.summary import ids_by, summary
from support import SMALL_STEPS, prose, stop_after

QUIRK = "xyzzy"


class Listening(NoProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str, level: str = "info") -> None:
        self.said.append(f"{level}: {text}")


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    folder = tmp_path / "crawl"
    folder.mkdir()
    texts = [prose(number) + (f" {QUIRK}" if number == 33 else "") for number in range(40)]
    lines = [json.dumps({"id": f"d{number}", "text": text}) for number, text in enumerate(texts)]
    (folder / "a.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.json"
    train_tokenizer([prose(number) for number in range(9)], Tokenize(vocabulary_size=400)).save(str(path))
    return path


def ran(crawl: Path, output: Path, *changes: str, progress: NoProgress | None = None, **options: Any) -> Manifest:
    steps = [step for step in SMALL_STEPS if not step.startswith("tokenize")]
    return run(load_recipe("minimal", [*steps, *changes]), [crawl], output, progress=progress, **options)


def rows(output: Path) -> list[dict[str, Any]]:
    return [row for path in sorted((output / "shards").glob("*")) for row in pq.read_table(path).to_pylist()]


def lie(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: Callable[[str], Any] = tokenizer_engines._loaded

    def lying(text: str) -> Any:
        encode = loaded(text)

        def encoded(data: bytes) -> Any:
            ids = encode(data).copy()
            ids[0] += QUIRK.encode() in data
            return ids

        return encoded

    monkeypatch.setattr(tokenizer_engines, "_loaded", lying)


def test_a_run_trains_with_the_pre_tokenizer_that_is_set(crawl: Path, tmp_path: Path) -> None:
    changes = ("tokenize.vocabulary_size=400", "tokenize.pre_tokenizer=llama3")
    manifest = ran(crawl, tmp_path / "out", *changes, workers=1)
    config = json.loads((tmp_path / "out" / "tokenizer.json").read_text())
    assert config["model"]["ignore_merges"]
    assert config["pre_tokenizer"]["pretokenizers"][0]["pattern"] == {"Regex": PRE_TOKENIZERS["llama3"].pattern}
    assert manifest.tokenizer is not None
    assert manifest.tokenizer["engine"] == "gigatoken"
    texts = {row["id"]: row["input_ids"] for row in rows(tmp_path / "out")}
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert tokenizer.decode(texts["d7"]) == prose(7)


@pytest.mark.parametrize("trained", [False, True])
def test_the_engine_is_said_recorded_and_counted(trained: bool, crawl: Path, tokenizer: Path, tmp_path: Path) -> None:
    progress = Listening()
    settings = ["tokenize.vocabulary_size=400"] if trained else [f"tokenize.tokenizer={tokenizer}"]
    manifest = ran(crawl, tmp_path / "out", *settings, "tokenize.compared_share=1", progress=progress)
    assert manifest.tokenizer is not None
    assert manifest.tokenizer["engine"] == "gigatoken"
    assert manifest.tokenizer["engine_version"] == manifest.versions["gigatoken"]
    assert manifest.tokenizer["documents"]["gigatoken"] == manifest.tokenizer["compared"] == 40
    assert manifest.tokenizer["mismatches"] == 0
    training = "info: training a tokenizer of 400 entries on 38.9 kB of text"
    assert (training in progress.said) == trained
    assert any(text.startswith("info: tokenize: ids by gigatoken") for text in progress.said)
    said = "ids by gigatoken {} (texts with any of".format(manifest.versions["gigatoken"])
    assert said in summary(tmp_path / "out", manifest)
    assert said in (tmp_path / "out" / "report.html").read_text()
    assert "documents: gigatoken 40; 40 compared with tokenizers" in ids_by(manifest)
    footer = pq.read_schema(next((tmp_path / "out" / "shards").glob("*"))).metadata
    assert footer[b"corpusmill.tokenizer_engine"].startswith(b"gigatoken ")
    assert footer[b"corpusmill.tokenizer_reference"].startswith(b"tokenizers ")


def test_the_engine_changes_neither_fingerprint_nor_ids(crawl: Path, tokenizer: Path, tmp_path: Path) -> None:
    made = {}
    for engine in ("auto", "tokenizers"):
        changes = (f"tokenize.tokenizer={tokenizer}", f"tokenize.engine={engine}")
        manifest = ran(crawl, tmp_path / engine, *changes)
        made[engine] = manifest.fingerprint, rows(tmp_path / engine), manifest.recipe["stage"][-1]["engine"]
    assert made["auto"][:2] == made["tokenizers"][:2]
    assert [engine for *_, engine in made.values()] == ["auto", "tokenizers"]
    several = [f"tokenize.engine={name}" for name in ("auto", "tokenizers")] + ["tokenize.cache_memory=1GB"]
    assert len({fingerprint(load_recipe("minimal", [change])) for change in several}) == 1
    assert fingerprint(load_recipe("minimal", ["tokenize.append_end=false"])) != made["auto"][0]


def test_another_engine_may_go_on_where_one_stopped(crawl: Path, tokenizer: Path, tmp_path: Path) -> None:
    ran(crawl, tmp_path / "out", f"tokenize.tokenizer={tokenizer}")
    (crawl / "b.jsonl").write_text(json.dumps({"id": "new", "text": prose(99)}))
    manifest = ran(crawl, tmp_path / "out", f"tokenize.tokenizer={tokenizer}", "tokenize.engine=tokenizers")
    assert manifest.tokenizer is not None
    assert manifest.tokenizer["engine"] == "tokenizers"
    assert manifest.tokenizer["documents"] == {"gigatoken": 40, "tokenizers": 1}
    assert audit(tmp_path / "out").ok


@pytest.mark.parametrize("stop", [None, 20, 30])
def test_after_a_mismatch_all_ids_are_those_of_the_reference(
    stop: int | None, crawl: Path, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (f"tokenize.tokenizer={tokenizer}", "tokenize.compared_share=1")
    ran(crawl, tmp_path / "exact", *settings, "tokenize.engine=tokenizers")
    lie(monkeypatch)
    progress = Listening()
    out = tmp_path / "out"
    if stop is not None:  # in the middle, before the mismatch or after it: planning goes on at its own pace
        with monkeypatch.context() as patch:
            stop_after(patch, stop)
            with pytest.raises(KeyboardInterrupt):
                ran(crawl, out, *settings, progress=progress)
    manifest = ran(crawl, out, *settings, progress=progress)
    assert any(text.startswith("warning: tokenize: gigatoken gave other ids") for text in progress.said)
    assert manifest.tokenizer is not None
    assert (manifest.tokenizer["mismatches"], manifest.tokenizer["engine"]) == (1, "tokenizers")
    assert manifest.tokenizer["documents"] == {"tokenizers": 40}
    assert "MISMATCHES 1, after which all was made again by tokenizers" in ids_by(manifest)
    assert rows(out) == rows(tmp_path / "exact")
    assert {p.name for p in (out / "shards").iterdir()} == {p.name for p in (tmp_path / "exact" / "shards").iterdir()}
    assert manifest == read_manifest(out)
    assert audit(out).ok
    # What comes later is the reference's from the start.
    (crawl / "b.jsonl").write_text(json.dumps({"id": "new", "text": prose(99)}))
    again = ran(crawl, out, *settings)
    assert again.tokenizer is not None
    assert again.tokenizer["documents"] == {"tokenizers": 41}


def test_shards_of_finished_runs_stay_when_a_later_one_begins_again(
    crawl: Path, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (f"tokenize.tokenizer={tokenizer}", "tokenize.compared_share=1")
    first = tmp_path / "first"
    first.mkdir()
    (first / "z.jsonl").write_text(json.dumps({"id": "old", "text": prose(98)}))
    out = tmp_path / "out"
    steps = [step for step in SMALL_STEPS if not step.startswith("tokenize")]
    recipe = load_recipe("minimal", [*steps, *settings])
    run(recipe, [first], out)
    before = {path.name: path.read_bytes() for path in (out / "shards").iterdir()}
    lie(monkeypatch)
    manifest = run(recipe, [first, crawl], out)
    assert manifest.tokenizer is not None
    assert manifest.tokenizer["documents"] == {"tokenizers": 40, "gigatoken": 1}
    assert {name: (out / "shards" / name).read_bytes() for name in before} == before
    events = Journal(out / "state" / "journal.jsonl").events
    assert sum(isinstance(event, EngineDistrusted) for event in events) == 1
    assert {event.split for event in events if isinstance(event, SegmentRecord)} >= {0, 1}


def test_a_library_stage_raises_it(crawl: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa

    lie(monkeypatch)
    stage = Tokenize(tokenizer=str(tokenizer), compared_share=1.0)
    with pytest.raises(EngineMismatchError):
        stage(pa.table({"text": [QUIRK]}))
