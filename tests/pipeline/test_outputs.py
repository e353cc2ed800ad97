"""What a run does with an output that is moved, damaged, someone else's, reused or unfinished, and with odd inputs."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from corpusmill import Drop, Pipeline
from corpusmill.audit import audit
from corpusmill.journal import Journal
from corpusmill.manifest import read_manifest
from corpusmill.recipe import load_recipe
from corpusmill.run import _EXTRAS, _LIBRARIES, library_versions, run
from corpusmill.schemas import OutputMismatchError, RecipeError, StageError
from corpusmill.schemas.manifest import SegmentRecord
from corpusmill.stages import Deduplicate, FilterUrl, NormalizeText, Tokenize
from corpusmill.stages.tokenize import END_OF_TEXT, load_tokenizer
from support import SMALL_STEPS, prose, stop_after


def ran(inputs: list[Path], output: Path, *changes: str, **options: Any) -> Any:
    return run(load_recipe("minimal", [*SMALL_STEPS, *changes]), inputs, output, **options)


def write(folder: Path, name: str, seeds: range, length: int = 80) -> Path:
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"id": f"{name}{seed}", "text": prose(seed, length)}) for seed in seeds]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_an_output_path_that_is_used_again_uses_its_own_tokenizer(tmp_path: Path) -> None:
    ran([write(tmp_path / "one", "a", range(10))], tmp_path / "out", "output.text=true")
    (tmp_path / "two").mkdir()
    for number in range(10):
        (tmp_path / "two" / f"{number}.txt").write_text(f"ganz andere Wörter {number} über Mühlen und Bäche " * 9)
    ran([tmp_path / "two"], tmp_path / "out", "output.text=true", restart=True)
    tokenizer = load_tokenizer(str(tmp_path / "out" / "tokenizer.json"))
    rows = [row for path in (tmp_path / "out" / "shards").glob("*") for row in pq.read_table(path).to_pylist()]
    assert {
        tokenizer.decode(row["input_ids"], skip_special_tokens=False) == row["text"] + END_OF_TEXT for row in rows
    } == {True}


def test_restart_removes_nothing_but_what_runs_write(tmp_path: Path) -> None:
    (tmp_path / "project" / "state").mkdir(parents=True)
    (tmp_path / "project" / "state" / "thesis.txt").write_text("x")
    crawl = write(tmp_path / "crawl", "a", range(5))
    with pytest.raises(RecipeError, match="was not written by corpusmill"):
        ran([crawl], tmp_path / "project", restart=True)
    ran([crawl], tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    ran([crawl], tmp_path / "out", restart=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def stopped_after(count: int, monkeypatch: pytest.MonkeyPatch, inputs: list[Path], output: Path) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, count)
        with pytest.raises(KeyboardInterrupt):
            ran(inputs, output)


def test_an_input_that_was_moved_as_a_whole_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        write(tmp_path / "crawl", name, range(20))
    stopped_after(2, monkeypatch, [tmp_path / "crawl"], tmp_path / "out")
    shutil.move(tmp_path / "crawl", tmp_path / "moved")
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "new.txt").write_text(prose(99))
    with pytest.raises(OutputMismatchError, match="inputs of the interrupted run are gone"):
        ran([tmp_path / "crawl"], tmp_path / "out")
    manifest = ran([tmp_path / "moved"], tmp_path / "out")
    assert (manifest.documents.documents_in, manifest.documents.quarantined) == (61, 0)
    more = write(tmp_path / "more", "d", range(3))
    assert ran([tmp_path / "moved", more], tmp_path / "out").documents.documents_in == 64
    (tmp_path / "link").symlink_to(tmp_path / "moved", target_is_directory=True)
    assert ran([tmp_path / "link"], tmp_path / "out").documents.documents_in == 64


def test_inputs_are_known_by_their_paths_whatever_else_is_given(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", "a", range(4)), write(tmp_path / "two", "b", range(10, 14))
    ran([one], tmp_path / "out")
    assert ran([one, two], tmp_path / "out").documents.documents_in == 8
    assert ran([two, one], tmp_path / "out").documents.documents_in == 8


def test_another_file_of_a_known_name_is_refused(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", "a", range(4)), write(tmp_path / "two", "a", range(4, 8))
    os.utime(two / "a.jsonl", ns=(0, (one / "a.jsonl").stat().st_mtime_ns))
    ran([one], tmp_path / "out")
    with pytest.raises(OutputMismatchError, match="have the name of another one that was read before"):
        ran([two], tmp_path / "out")


def test_a_glob_does_not_read_the_output_of_a_run(tmp_path: Path) -> None:
    crawl = write(tmp_path / "crawl", "a", range(4))
    for _ in range(2):
        manifest = ran([Path(f"{crawl}/**")], crawl / "out", "output.text=true")
        assert manifest.documents.documents_in == 4


def test_a_batch_that_keeps_nothing_leaves_the_training_to_the_next(tmp_path: Path) -> None:
    crawl = tmp_path / "crawl"
    crawl.mkdir()
    (crawl / "a.txt").write_text(" \n ")
    assert ran([crawl], tmp_path / "out").tokenizer is None
    write(crawl, "b", range(10))
    assert ran([crawl], tmp_path / "out").tokenizer["vocabulary_size"] > 300
    assert audit(tmp_path / "out").ok


def test_fields_are_found_behind_broken_lines_and_nulls(tmp_path: Path) -> None:
    good = "".join(json.dumps({"content": prose(n)}) + "\n" for n in range(5))
    (tmp_path / "broken.jsonl").write_text("{broken\n" * 30 + good)
    (tmp_path / "nulls.jsonl").write_text('{"content": null}\n' * 30 + good)
    (tmp_path / "bytes.jsonl").write_bytes(b'{"content": "a\xff b"}\n' + good.encode())
    (tmp_path / "deep.jsonl").write_text("[" * 100_000 + "\n" + good)
    manifest = ran([tmp_path], tmp_path / "out")
    assert (manifest.documents.documents_in, manifest.documents.quarantined) == (82, 62)


def test_products_of_an_attempt_that_was_not_recorded_are_removed(tmp_path: Path) -> None:
    crawl = write(tmp_path / "crawl", "a", range(4))
    ran([crawl], tmp_path / "out")
    (tmp_path / "out" / "quarantine").mkdir()
    shutil.copy(
        next((tmp_path / "out" / "signals").glob("*")), tmp_path / "out" / "quarantine" / "split-000009-0.parquet"
    )
    ran([crawl], tmp_path / "out")
    assert audit(tmp_path / "out").ok


def crashes(document: dict[str, Any]) -> dict[str, Any] | Drop:
    if document["id"].startswith("bad"):
        raise ValueError("cannot take it")
    return document


@pytest.mark.parametrize("size", ["64MB", "100B"])
def test_crashing_documents_are_put_away_however_they_are_split(tmp_path: Path, size: str) -> None:
    write(tmp_path / "crawl", "aaa", range(20))
    write(tmp_path / "crawl", "bad", range(20, 40))
    recipe = load_recipe("minimal", [*SMALL_STEPS, f"input.split_size={size}"])
    stages = [*recipe.stages[:2], crashes, *recipe.stages[2:]]
    pipeline = Pipeline(stages)
    manifest = Pipeline(stages, recipe=None).run(tmp_path / "crawl", tmp_path / "out") if size == "64MB" else None
    manifest = manifest or run(_with(recipe, pipeline), [tmp_path / "crawl"], tmp_path / "out")
    assert (manifest.documents.kept, manifest.documents.quarantined) == (20, 20)


def _with(recipe: Any, pipeline: Pipeline) -> Any:
    import msgspec

    return msgspec.structs.replace(recipe, stages=pipeline.stages)


def test_a_stage_that_fails_on_everything_leaves_no_trace_but_the_error(tmp_path: Path) -> None:
    write(tmp_path / "crawl", "bad", range(20))
    with pytest.raises(
        StageError, match=r"failed on every one of 20 documents, .* \(document 'bad0'\); repair the stage"
    ):
        Pipeline([NormalizeText(), crashes]).run(tmp_path / "crawl", tmp_path / "out")
    assert Pipeline([NormalizeText(), crashes]).recipe is not None
    events = Journal(tmp_path / "out" / "state" / "journal.jsonl").events
    assert not any(isinstance(event, SegmentRecord) for event in events)  # the same command tries again


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("tokenize.sample_size=abc", "'abc' is no size"),
        ("tokenize.end_token=nope", r"end_token: 'nope' is none of tokenize.special_tokens"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_written(
    tmp_path: Path, change: str, message: str
) -> None:
    crawl = write(tmp_path / "crawl", "a", range(4))
    with pytest.raises(RecipeError, match=message):
        ran([crawl], tmp_path / "out", change)
    assert ran([crawl], tmp_path / "out").documents.kept == 4


def test_a_padding_token_outside_the_vocabulary_is_refused(tmp_path: Path) -> None:
    from corpusmill.stages import Pack

    crawl = write(tmp_path / "crawl", "a", range(4))
    with pytest.raises(RecipeError, match=r"pack.padding_token: 70000 is no token of a vocabulary of 257"):
        Pipeline([Tokenize(tokenizer="bytes"), Pack(padding_token=70_000)]).run(crawl, tmp_path / "out")


def test_a_recipe_that_recorded_no_work_binds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crawl = write(tmp_path / "crawl", "a", range(4))
    stopped_after(1, monkeypatch, [crawl], tmp_path / "out")
    assert ran([crawl], tmp_path / "out", "deduplicate.near=true").documents.kept == 4


def tampered(root: Path, name: str, change: Any) -> list[str]:
    path = root / name
    before = path.read_bytes()
    path.write_bytes(change(before))
    problems = audit(root).problems
    path.write_bytes(before)
    assert audit(root).ok
    return problems


def test_an_audit_sees_every_file_that_matters(tmp_path: Path) -> None:
    crawl = write(tmp_path / "crawl", "a", range(30))
    (crawl / "b.jsonl").write_text((crawl / "a.jsonl").read_text() + "{broken\n")
    root = tmp_path / "out"
    ran([crawl], root)
    files = [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()]
    for name in files:
        if name.endswith((".parquet", ".arrow", "tokenizer.json")):
            assert tampered(root, name, lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]), name
    table = json.loads((root / "manifest.json").read_text())
    for key in (
        "documents",
        "tokens",
        "stages",
        "shards",
        "files",
        "languages",
        "recipe",
        "fingerprint",
        "tokenizer",
        "runs",
    ):
        changed = {**table, key: type(table[key])()}
        if key == "documents":
            changed[key] = dict.fromkeys(table[key], 0)
        if key == "tokenizer":
            changed[key] = None
        if changed != table:
            assert tampered(root, "manifest.json", lambda _, c=changed: json.dumps(c).encode()), key
    (root / "state" / "journal.jsonl").unlink()
    assert audit(root).problems == ["state/journal.jsonl is missing: later runs cannot go on from here"]


def test_documents_are_counted_by_the_reading_that_gave_their_text(tmp_path: Path) -> None:
    crawl = write(tmp_path / "crawl", "a", range(2))
    for number in range(4):  # two of them twice
        (crawl / f"{number}.html").write_text(f"<p>{prose(number // 2 + 10, 90)}</p>")
    (crawl / "frames.html").write_text(f"<frameset><noframes><p>{prose(20, 90)}</p></noframes></frameset>")
    (crawl / "none.html").write_text("<script>x</script>")
    manifest = ran([crawl], tmp_path / "out", "input.split_size=1KB")
    assert manifest.documents.dropped == 3
    assert manifest.html_engines == {"fast": 4, "salvage_fallback": 2}
    assert read_manifest(tmp_path / "out") == manifest
    assert audit(tmp_path / "out").problems == []
    assert "<td>salvage_fallback</td><td class=number>2</td>" in (tmp_path / "out" / "report.html").read_text()


SHAPE_NOTHING = {"click", "msgspec", "prometheus-client", "rich", "tomli", "zlib-ng", "zstandard", "lxml_html_clean"}
"""Dependencies that read recipes and compressed files, or talk to the user: whatever their version, the output is the same."""


def test_the_manifest_names_every_library_that_shapes_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = toml.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = [need for name in ("spelling", "trafilatura") for need in project["optional-dependencies"][name]]
    needed = {re.split(r"[<>=; ]", need)[0] for need in [*project["dependencies"], *extras]}
    assert needed - {*_LIBRARIES, *_EXTRAS} == SHAPE_NOTHING
    monkeypatch.setattr("corpusmill.run._EXTRAS", ("no-such-package", "pytest"))
    assert library_versions().keys() - {"corpusmill", "python"} == {*_LIBRARIES, "pytest"}


def test_an_output_that_lost_something_is_not_added_to(tmp_path: Path) -> None:
    crawl = write(tmp_path / "crawl", "a", range(10))
    ran([crawl], tmp_path / "out")
    tokenizer = (tmp_path / "out" / "tokenizer.json").read_bytes()
    (tmp_path / "out" / "tokenizer.json").write_bytes(tokenizer + b" ")
    with pytest.raises(OutputMismatchError, match=r"tokenizer.json is missing or was changed"):
        ran([crawl], tmp_path / "out")
    (tmp_path / "out" / "tokenizer.json").write_bytes(tokenizer)
    next((tmp_path / "out" / "shards").glob("*")).unlink()
    with pytest.raises(OutputMismatchError, match=r"1 shards that were written are missing"):
        ran([crawl], tmp_path / "out")


def test_reading_a_journal_leaves_its_torn_line_to_the_run(tmp_path: Path) -> None:
    crawl = write(tmp_path / "crawl", "a", range(4))
    ran([crawl], tmp_path / "out")
    journal = tmp_path / "out" / "state" / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"half')
    assert audit(tmp_path / "out").ok
    assert journal.read_bytes() == whole + b'{"half'
    ran([crawl], tmp_path / "out")
    assert journal.read_bytes() == whole
    journal.write_bytes(whole + b"garbage\n")
    with pytest.raises(OutputMismatchError, match="use --restart to begin again"):
        ran([crawl], tmp_path / "out")
    assert ran([crawl], tmp_path / "out", restart=True).documents.kept == 4


def test_an_unfinished_run_is_not_reported_as_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crawl = write(tmp_path / "crawl", "a", range(10))
    finished = len(Journal(tmp_path / "none").events)
    ran([crawl], tmp_path / "out")
    finished = len(Journal(tmp_path / "out" / "state" / "journal.jsonl").events)
    write(crawl, "b", range(10, 20))
    stopped_after(finished + 2, monkeypatch, [crawl], tmp_path / "out")
    with pytest.raises(OutputMismatchError, match="has not finished: run the same command again"):
        read_manifest(tmp_path / "out")


def test_a_dropper_after_deduplicate_is_warned_of() -> None:
    from corpusmill.chain import cut

    assert cut([Deduplicate(), Tokenize()]).warnings() == []
    assert cut([FilterUrl(), Deduplicate()]).warnings() == []
    (warning,) = cut([Deduplicate(), FilterUrl()]).warnings()
    assert warning.startswith(
        "filter_url comes after deduplicate and may drop a document for which its duplicates were"
    )


def test_functions_that_cannot_travel_are_refused_before_work(tmp_path: Path) -> None:
    crawl = write(tmp_path / "crawl", "a", range(4))
    with pytest.raises(RecipeError, match="define its function at the top of a module"):
        Pipeline([lambda document: document]).run(crawl, tmp_path / "out", workers=2)
    with pytest.raises(RecipeError, match=r"write NormalizeText\(\)"):
        Pipeline([NormalizeText])
    one, other = Pipeline([lambda document: document]), Pipeline([lambda document: {**document, "text": ""}])
    one.run(crawl, tmp_path / "out")
    with pytest.raises(OutputMismatchError):
        other.run(crawl, tmp_path / "out")


def test_documents_without_an_id_are_numbered_and_odd_ones_are_named() -> None:
    pipeline = Pipeline([NormalizeText()])
    given: list[dict[str, Any]] = [
        {"text": "a"},
        {"id": None, "text": "b\ud800", "metadata": {"k": 1}},
        {"id": 7, "text": "c"},
    ]
    assert [(d["id"], d["text"]) for d in pipeline.documents(given)] == [("0", "a"), ("1", "b\ufffd"), ("7", "c")]
    with pytest.raises(TypeError, match="document 0: 'text' is int, not text"):
        list(pipeline.documents([{"text": 5}]))


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_documents_on_which_a_stage_fails_are_left_out_where_somebody_is_told(batch_size: int) -> None:
    def picky(document: dict[str, Any]) -> dict[str, Any]:
        if document["id"] in bad:
            raise ValueError(f"not {document['id']}")
        return document

    bad = {"0", "8", "9", "30"}
    given = [{"text": f"text {n % 20}"} for n in range(31)]
    pipeline = Pipeline([NormalizeText(), picky, Deduplicate(near=False)])
    failed: list[tuple[str, str]] = []
    kept = pipeline.documents(
        given, batch_size=batch_size, on_error=lambda id_, *error: failed.append((id_, f"{error}"))
    )
    expected = [n for n in range(20) if str(n) not in bad] + [20, 28, 29]  # the first that are left of their texts
    assert [document["id"] for document in kept] == [str(n) for n in expected]
    assert failed == [(id_, f"('function', ValueError('not {id_}'))") for id_ in ("0", "8", "9", "30")]
    with pytest.raises(ValueError, match="not 0"):
        list(pipeline.documents(given, batch_size=batch_size))
