"""The command line: what each verb prints, and with which code it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from corpusmill.cli import cli
from corpusmill.schemas import RecipeError
from corpusmill.stages import compile_ahead
from support import SMALL_STEPS, prose

SETTINGS = [part for change in SMALL_STEPS for part in ("--set", change)]


def corpusmill(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "corpusmill", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, and its input beside it."""
    root = tmp_path_factory.mktemp("cli")
    (root / "crawl").mkdir()
    lines = [json.dumps({"id": f"r{n}", "url": f"https://example.org/{n}", "text": prose(n % 9)}) for n in range(12)]
    (root / "crawl" / "part.jsonl").write_text("\n".join(lines) + "\n{broken\n")
    (root / "crawl" / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    done = corpusmill("run", root / "crawl", root / "out", "--recipe", "minimal", "--workers", 1, *SETTINGS)
    assert done.returncode == 0, done.stderr
    (root / "printed.txt").write_text(done.stdout)
    (root / "said.txt").write_text(done.stderr)
    return root / "out"


def test_run_prints_the_account_and_says_which_fields_it_took(output: Path) -> None:
    printed = (output.parent / "printed.txt").read_text()
    for line in (
        "documents in",
        "kept",
        "deduplicate/exact_duplicate",
        "quarantined",
        "files skipped",
        "tokens",
        "20 tokens per parameter",
    ):
        assert line in printed
    assert "text from 'text'" in (output.parent / "said.txt").read_text()


def test_audit_report_and_inspect(output: Path) -> None:
    assert corpusmill("audit", output).stdout.endswith("13 documents in = 9 kept + 3 dropped + 1 quarantined\n")
    assert "documents in" in corpusmill("report", output).stdout
    page = (output / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "exact_duplicate" in page
    shown = corpusmill("inspect", output / "shards" / "train-00000.parquet", "-n", 1).stdout
    assert "input_ids: list" in shown
    assert prose(0)[:40] in shown or prose(1)[:40] in shown


def test_inspect_cuts_long_texts_and_lists(tmp_path: Path) -> None:
    text = "".join(chr(0x4E00 + n) for n in range(1500))
    rows = {"id": ["a", "b"], "pieces": [list(range(200)), [1]], "text": [text, "short"]}
    pq.write_table(pa.table(rows), tmp_path / "shard.parquet")
    shown = corpusmill("inspect", tmp_path / "shard.parquet").stdout
    assert f"{text[:1000]} … 500 more characters (--full shows them)\n" in shown
    assert "id = a, pieces = [0, 1, 2," in shown
    assert "190, 191" not in shown
    assert "id = b, pieces = [1]\nshort\n" in shown
    whole = corpusmill("inspect", tmp_path / "shard.parquet", "--full").stdout
    assert f"{text}\n" in whole
    assert "190, 191" in whole


def test_explain_says_where_a_document_went(output: Path) -> None:
    dropped = corpusmill("explain", output, "r9").stdout
    assert dropped.startswith("document r9: DROPPED by deduplicate: exact_duplicate (value 1, ref r0)\n")
    assert "reason = exact_duplicate" in dropped
    assert "ref = r0" in dropped
    kept = corpusmill("explain", output, "r1").stdout
    assert kept.startswith("document r1: kept in shards/")
    assert corpusmill("explain", output, "nobody").returncode == 2


def test_explain_takes_a_document_through_the_stages(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<article><p>The mill\u00a0 is cafÃ© and bread.</p></article>")
    shown = corpusmill("explain", page, "--recipe", "minimal").stdout
    assert shown.startswith("document page.html: kept, unless deduplicate drops it\n")
    assert "[strip_html]" in shown
    assert "+The mill is café and bread." in shown
    assert "[deduplicate] needs the whole corpus" in shown
    page.write_text("<article><p>Short.</p></article>")
    lines = corpusmill("explain", page, "--recipe", "gopher").stdout.splitlines()
    assert lines[0].startswith("document page.html: DROPPED by filter_")
    assert lines[-1].strip() == lines[0].removeprefix("document page.html: ")  # said again where it happened


def test_check_says_what_would_be_read_and_how_stages_are_set(output: Path) -> None:
    shown = corpusmill("check", output.parent / "crawl", "--recipe", "minimal", "-n", 1).stdout
    assert "[deduplicate]\n  near = false" in shown
    assert "1 files, " in shown
    assert "skipped 1 × a PNG image (picture.png)" in shown
    assert "document r0" in shown
    dry = corpusmill("run", output.parent / "crawl", output.parent / "never", "--dry-run")
    assert dry.returncode == 0
    assert not (output.parent / "never").exists()


def test_stages_and_recipes_are_listed() -> None:
    assert "deduplicate" in corpusmill("stages").stdout
    one = corpusmill("stages", "deduplicate").stdout
    assert "threshold = 0.8" in one
    assert "near_duplicate" in one
    assert "web" in corpusmill("recipes").stdout
    assert 'kind = "strip_html"' in corpusmill("recipes", "minimal").stdout


def test_a_tokenizer_is_trained_by_itself(output: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    done = corpusmill("tokenizer", "train", output.parent / "crawl", "-o", path, "--vocabulary-size", 300)
    assert done.returncode == 0, done.stderr
    assert "300 tokens" in done.stdout
    used = corpusmill("run", output.parent / "crawl", tmp_path / "out", "-r", "minimal", "-w", 1, "--tokenizer", path)
    assert used.returncode == 0, used.stderr
    assert (tmp_path / "out" / "tokenizer.json").exists()


def test_errors_are_one_message_and_a_code(output: Path, tmp_path: Path) -> None:
    crawl = output.parent / "crawl"
    for arguments, code, message in [
        (("run", crawl, tmp_path / "a", "--recipe", "webb"), 2, "did you mean 'web'?"),
        (("run", tmp_path / "nowhere", tmp_path / "a"), 2, "nowhere"),
        (("run", crawl, tmp_path / "a", "--executor", "threads"), 2, "unknown executor 'threads'"),
        (("run", crawl, output, "--recipe", "web"), 4, "--restart"),
        (("audit", crawl), 4, "there is no"),
        (("stages", "tokenise"), 2, "did you mean 'tokenize'?"),
        (("run", crawl), 2, "Usage"),
    ]:
        done = corpusmill(*arguments)
        assert (done.returncode, message in done.stderr) == (code, True), (arguments, done.stderr)
        assert "Traceback" not in done.stderr


def test_with_a_json_log_every_line_on_stderr_is_an_object(output: Path, tmp_path: Path) -> None:
    crawl = output.parent / "crawl"
    for arguments, code, level, message in [
        ((crawl, tmp_path / "a", "-r", "minimal", "-w", 1, "--tokenizer", "bytes"), 0, "info", "1/1 splits"),
        ((crawl, tmp_path / "a", "-r", "gopher"), 4, "error", "--restart"),
        ((crawl, tmp_path / "b", "--workers", "none"), 2, "error", "--workers"),
        ((tmp_path / "nowhere", tmp_path / "b", "-q"), 2, "error", "nowhere"),
        ((crawl, tmp_path / "c", "-r", "minimal", "-w", 1, "--max-quarantined", 0), 1, "error", "quarantined"),
    ]:
        done = corpusmill("run", *arguments, "--log-format", "json")
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert done.returncode == code, done.stderr
        assert lines[-1]["level"] == level
        assert message in lines[-1]["message"]
        assert ("documents in" in done.stdout) == (code < 2)
        assert all(line["level"] == "info" for line in lines[:-1])


def test_changed_inputs_are_read_again_where_that_is_accepted(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    arguments = ("run", note, tmp_path / "out", "-r", "minimal", "-w", 1, "--tokenizer", "bytes")
    note.write_text(prose(1))
    assert corpusmill(*arguments).returncode == 0
    note.write_text(prose(2))
    refused = corpusmill(*arguments)
    assert (refused.returncode, "--accept-new-versions" in refused.stderr) == (4, True)
    done = corpusmill(*arguments, "--accept-new-versions")
    assert done.returncode == 0, done.stderr
    assert "kept                    2" in done.stdout


def test_too_much_quarantine_ends_with_one(output: Path, tmp_path: Path) -> None:
    arguments = ("-r", "minimal", "-w", 1, "--quiet", "--max-quarantined")
    assert corpusmill("run", output.parent / "crawl", tmp_path / "some", *arguments, 0.5).returncode == 0
    done = corpusmill("run", output.parent / "crawl", tmp_path / "none", *arguments, 0.01)
    assert done.returncode == 1
    assert "1 of 13 documents were quarantined" in done.stderr
    assert done.stdout == ""


def test_an_audit_of_a_changed_output_ends_with_four(output: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(output, copy)
    next((copy / "rejects").glob("*")).unlink()
    done = corpusmill("audit", copy)
    assert done.returncode == 4
    assert "is missing" in done.stdout


def test_values_from_documents_are_escaped_in_the_report(tmp_path: Path) -> None:
    text = "<script>alert(1)</script> & more words"
    records = [json.dumps({"id": f'<img src="{n}">', "text": text}) for n in range(2)]
    (tmp_path / "in.jsonl").write_text("\n".join(records))
    done = corpusmill("run", tmp_path / "in.jsonl", tmp_path / "out", "-r", "minimal", "-w", 1, "--tokenizer", "bytes")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_shards_open_in_the_libraries_that_people_use(output: Path) -> None:
    import duckdb
    import polars as pl
    import pyarrow.compute as pc
    from datasets import load_dataset

    paths = sorted((output / "shards").glob("*.parquet"))
    rows = sum(pq.read_metadata(path).num_rows for path in paths)
    loaded = load_dataset("parquet", data_dir=str(output / "shards"), cache_dir=str(output.parent / "cache"))
    assert sum(split.num_rows for split in loaded.values()) == rows == 9
    tokens = sum(pc.sum(pq.read_table(path)["n_tokens"]).as_py() for path in paths)
    database = duckdb.connect()
    query = f"select count(*), sum(n_tokens) from '{output}/shards/*.parquet'"
    assert database.execute(query).fetchall() == [(9, tokens)]
    plain = output.parent / "plain"
    crawl = output.parent / "crawl"
    done = corpusmill("run", crawl, plain, "-r", "minimal", "-w", 1, *SETTINGS, "--set", "output.token_encoding=plain")
    assert done.returncode == 0, done.stderr
    query = f"select count(*), sum(len(input_ids)) from '{plain}/shards/*.parquet'"  # DuckDB 1 reads plain tokens only
    assert database.execute(query).fetchall() == [(9, tokens)]
    frame = pl.read_parquet(f"{output}/shards/*.parquet")
    assert frame["input_ids"].list.len().to_list() == frame["n_tokens"].to_list()


def test_warmup_says_where_compiled_code_is_kept() -> None:
    done = corpusmill("warmup", "--recipe", "minimal")
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip().removeprefix("compiled code is in "))
    assert any(folder.glob("html_tokens.tokenize*"))


def test_warmup_fails_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_ahead, "compile_ahead", lambda *_: None)
    monkeypatch.setattr(compile_ahead, "kept_in", lambda _: None)
    done = CliRunner().invoke(cli, ["warmup", "--recipe", "minimal"])
    assert isinstance(done.exception, RecipeError)
    assert "NUMBA_CACHE_DIR" in str(done.exception)
