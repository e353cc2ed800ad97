"""Lines of a host over whole runs: the same bytes however it is run, and the account in manifest and report."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from corpusmill import readers
from corpusmill.audit import audit
from corpusmill.chain import cut
from corpusmill.cli import cli
from corpusmill.explain import explain_document, sample_documents
from corpusmill.journal import Journal
from corpusmill.run import check_indexes, run
from corpusmill.schemas import OutputMismatchError, RecipeError
from corpusmill.schemas.inputs import InputSettings
from corpusmill.schemas.manifest import Manifest
from corpusmill.schemas.recipe import OutputSettings, Recipe
from corpusmill.stages import Deduplicate, NormalizeText, RemoveRepeatedLines
from corpusmill.summary import summary
from support import stop_after

SITES = ["mill.example", "bäckerei.example", "river.example"]


def recipe(**settings: Any) -> Recipe:
    settings = {"scope": "host", "maximum_documents": 3, **settings}
    return Recipe(
        stages=(NormalizeText(), RemoveRepeatedLines(**settings), Deduplicate(near=False)),
        input=InputSettings(split_size="2kB"),
        output=OutputSettings(validation_share=0.2, shard_tokens=3000),
    )


def write(folder: Path, files: range) -> Path:
    """Write files of twelve pages each; every site has a header, and every page a line of its own and one of five."""
    folder.mkdir(exist_ok=True)
    for file in files:
        chance, pages = random.Random(file), []
        for n in range(12):
            site = chance.choice(SITES)
            lines = [
                f"The header of all pages of {site}, with its links",
                f"Page {n} of file {file} has words of its own",
            ]
            lines.append(f"News of the week from {site}: item number {chance.randrange(5)}")
            pages.append({"id": f"{file}-{n}", "url": f"https://{site}/{file}/{n}", "text": "\n".join(lines)})
        (folder / f"{file}.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    return folder


def shards(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((output / "shards").glob("*"))}


def rows(output: Path, folder: str) -> list[dict[str, Any]]:
    return [row for path in sorted((output / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def expected(crawl: Path, most: int) -> dict[str, str]:
    """Return what a dictionary of counts makes of the pages."""
    seen = Counter[tuple[str, str]]()
    texts = {}
    for path in sorted(crawl.iterdir()):
        for page in map(json.loads, path.read_text().splitlines()):
            site, lines = page["url"].split("/")[2], page["text"].split("\n")
            texts[page["id"]] = "\n".join(line for line in lines if seen[site, line] < most)
            seen.update((site, line) for line in lines)
    return texts


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    return write(tmp_path / "crawl", range(4))


def test_frames_go_and_what_pages_say_themselves_stays(crawl: Path, tmp_path: Path) -> None:
    manifest = run(recipe(maximum_share=None), [crawl], tmp_path / "out")
    assert {row["id"]: row["text"] for row in rows(tmp_path / "out", "shards")} == expected(crawl, 3)
    facts = manifest.corpus_stages["remove_repeated_lines"]
    assert facts["documents"] == 48
    assert facts["lines_compared"] == 3 * 48
    assert {host["host"] for host in facts["most_boilerplate"]} == set(SITES)
    signals = rows(tmp_path / "out", "signals")
    assert facts["boilerplate_lines"] == sum(row["signals.boilerplate_lines"] for row in signals) > 48
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<td>bäckerei.example</td>" in page
    assert f"boilerplate lines {facts['boilerplate_lines']}" in summary(tmp_path / "out", manifest)


def test_what_names_no_host_is_shown_nowhere_and_left_as_it_is(tmp_path: Path) -> None:
    urls = ["https://<b>bakery<b>.example/", "<script>alert(1)</script>", "urn:isbn:", "data/"]
    pages = [
        {"id": f"{url}{n}", "url": f"{url}{n}", "text": f"What all say in one line\nPage {n}"}
        for n in range(8)
        for url in urls
    ]
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "a.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    stages = (RemoveRepeatedLines(scope="host", maximum_documents=1, minimum_characters=5), Deduplicate(near=False))
    manifest = run(Recipe(stages=stages), [tmp_path / "crawl"], tmp_path / "out")
    facts = manifest.corpus_stages["remove_repeated_lines"]
    assert (facts["documents_without_host"], facts["hosts_with_boilerplate"]) == (32, 0)
    assert not any(tag in (tmp_path / "out" / "report.html").read_text("utf-8") for tag in ("<b>bakery", "<script"))


def test_more_memory_than_there_is_is_found_before_anything_is_read() -> None:
    chain = cut((RemoveRepeatedLines(scope="host", max_index_memory="1000TB"),))
    with pytest.raises(
        RecipeError, match=r"remove_repeated_lines.max_index_memory: '1000TB' is more than the [\d,]+ MB"
    ):
        check_indexes(chain)


def test_check_says_what_the_index_holds(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(
        '[[stage]]\nkind = "remove_repeated_lines"\nscope = "host"\nmax_index_memory = "3MB"\n'
    )
    done = CliRunner().invoke(cli, ["check", "--recipe", str(tmp_path / "r.toml")])
    assert "remove_repeated_lines: holds about 200 thousand lines of hosts in 3MB of memory" in done.output
    done = CliRunner().invoke(
        cli, ["check", "--recipe", str(tmp_path / "r.toml"), "--set", "remove_repeated_lines.scope=anywhere"]
    )
    assert "holds" not in done.output
    assert done.exit_code == 0


@pytest.mark.parametrize("settings", [{}, {"max_index_memory": "1KB", "maximum_documents": 1}])
def test_workers_batches_and_stops_change_nothing(
    crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    def facts(manifest: Manifest) -> Any:
        return manifest.corpus_stages["remove_repeated_lines"]

    whole = run(recipe(**settings), [crawl], tmp_path / "whole")
    assert whole.stages[1].dropped["boilerplate"] > 5
    assert (facts(whole)["lines_forgotten"] > 0) == ("max_index_memory" in settings)
    rejects = rows(tmp_path / "whole", "rejects")
    assert facts(run(recipe(**settings), [crawl], tmp_path / "three", workers=3)) == facts(whole)
    with monkeypatch.context() as patch:
        patch.setattr(readers, "_ROWS", 2)
        assert facts(run(recipe(**settings), [crawl], tmp_path / "small")) == facts(whole)
    for stop in range(3, len(Journal(tmp_path / "whole" / "state" / "journal.jsonl").events), 7):
        with monkeypatch.context() as patch:
            stop_after(patch, stop)
            with pytest.raises(KeyboardInterrupt):
                run(recipe(**settings), [crawl], tmp_path / f"stop{stop}")
        assert facts(run(recipe(**settings), [crawl], tmp_path / f"stop{stop}")) == facts(whole)
    outputs = sorted(path for path in tmp_path.iterdir() if path.name not in {"crawl", "whole"})
    assert len(outputs) > 4
    for output in outputs:
        assert shards(output) == shards(tmp_path / "whole"), output.name
        assert rows(output, "rejects") == rejects, output.name
        assert audit(output).ok


def test_a_corpus_that_grows_counts_on(crawl: Path, tmp_path: Path) -> None:
    whole = run(recipe(), [crawl], tmp_path / "whole")
    held = [path.rename(tmp_path / path.name) for path in sorted(crawl.iterdir())[2:]]
    run(recipe(), [crawl], tmp_path / "grown")
    for path in held:
        path.rename(crawl / path.name)
        grown = run(recipe(), [crawl], tmp_path / "grown")
    texts = {row["id"]: row["text"] for row in rows(tmp_path / "whole", "shards")}
    assert {row["id"]: row["text"] for row in rows(tmp_path / "grown", "shards")} == texts
    assert grown.corpus_stages == whole.corpus_stages
    assert audit(tmp_path / "grown").ok


def test_another_scope_is_another_corpus(crawl: Path, tmp_path: Path) -> None:
    run(recipe(), [crawl], tmp_path / "host")
    with pytest.raises(
        OutputMismatchError, match=r"cannot be accepted.*\n  remove_repeated_lines.maximum_documents: 3 -> 4"
    ):
        run(recipe(maximum_documents=4), [crawl], tmp_path / "host", accept_new_versions=True)
    run(recipe(scope="anywhere"), [crawl], tmp_path / "within")
    with pytest.raises(OutputMismatchError, match=r"cannot be accepted"):
        run(recipe(), [crawl], tmp_path / "within", accept_new_versions=True)
    write(crawl, range(4, 5))
    run(recipe(scope="anywhere", minimum_characters=31), [crawl], tmp_path / "within", accept_new_versions=True)


def test_it_is_known_as_a_stage_of_the_whole_corpus(crawl: Path) -> None:
    (document,) = sample_documents(str(crawl / "0.jsonl"), recipe())
    told = explain_document(document, recipe())
    assert "\n[remove_repeated_lines] needs the whole corpus" in told
    assert told[0].endswith("kept, unless remove_repeated_lines or deduplicate drops it")
    assert [named.name for named in cut(recipe().stages).gates] == ["remove_repeated_lines", "deduplicate"]
    assert cut(recipe(scope="consecutive").stages).warnings() == []
