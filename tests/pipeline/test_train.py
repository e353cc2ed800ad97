"""A tokenizer is a function of documents, settings and seed; it is measured on what no tokenizer was trained on."""

from __future__ import annotations

import json
import random
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from tokenizers import Tokenizer

from corpusmill import train as train_module
from corpusmill.cli import cli
from corpusmill.display import open_work
from corpusmill.log import Log
from corpusmill.pipeline import Pipeline
from corpusmill.recipe import load_recipe, recipe_from
from corpusmill.schemas import RecipeError
from corpusmill.stages import NormalizeText, Tokenize
from corpusmill.stages.tokenize import train_tokenizer
from corpusmill.subsets import held_out_draws
from corpusmill.train import Sampling, Trained, train, training_settings
from support import prose

PLAIN = recipe_from({"name": "plain", "stage": [{"kind": "normalize_text"}, {"kind": "tokenize"}]})
BY_LANGUAGE = recipe_from({"stage": [{"kind": "filter_language", "minimum_score": 0.0, "drop_non_text": False}]})
RUSSIAN = (
    *("мельница", "река", "камень", "хлеб", "зерно", "колесо", "старый", "новый", "большой", "вода", "мука", "утро"),
    *("работает", "стоит", "у", "над", "деревней"),
)


def documents(count: int) -> list[dict[str, str]]:
    return [{"id": f"d{number}", "text": prose(number, 60)} for number in range(count)]


def russian(count: int) -> list[dict[str, str]]:
    return [
        {"id": f"ru{number}", "text": " ".join(random.Random(number).choices(RUSSIAN, k=60))} for number in range(count)
    ]


def write(path: Path, records: Iterable[dict[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def trained(
    crawl: Path, output: Path, recipe: Any = PLAIN, given: dict[str, Any] | None = None, **sampling: Any
) -> Trained:
    settings = training_settings(recipe, **{"vocabulary_size": 400, **(given or {})})
    return train(recipe, [str(crawl)], output, settings, Sampling(**sampling))


def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Return a list that gets the texts of each training."""
    seen: list[set[str]] = []

    def listening(texts: Iterable[str], settings: Tokenize) -> Any:
        seen.append(set(texts))
        return train_tokenizer(sorted(seen[-1]), settings)

    monkeypatch.setattr(train_module, "train_tokenizer", listening)
    return seen


def test_the_file_is_the_same_in_any_order_and_spread_over_any_number_of_files(tmp_path: Path) -> None:
    records = documents(300)
    write(tmp_path / "one" / "a.jsonl", records)
    shuffled = random.Random(3).sample(records, len(records))
    for number in range(4):
        write(tmp_path / "four" / f"{9 - number}.jsonl", shuffled[number::4])
    settings = {"sample_size": "30kB"}
    files = [tmp_path / f"{name}.json" for name in ("one", "again", "four")]
    runs = [trained(tmp_path / path.stem.replace("again", "one"), path, PLAIN, settings) for path in files]
    assert len({path.read_bytes() for path in files}) == 1
    assert runs[0].sample == runs[2].sample
    assert 30_000 <= runs[0].sample["all"][1] < 31_000 < sum(len(record["text"]) for record in records)
    assert [row.plain()["bytes"] for row in runs[0].fits] == [row.plain()["bytes"] for row in runs[2].fits]


def test_another_seed_draws_other_documents_but_holds_out_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = documents(200)
    crawl = write(tmp_path / "a.jsonl", records)
    seen = trained_on(monkeypatch)
    for seed in (0, 1, 1):
        recipe = recipe_from({"seed": seed, "stage": [{"kind": "normalize_text"}]})
        trained(crawl, tmp_path / "t.json", recipe, {"sample_size": "15kB"}, held_out_share=0.2)
    assert seen[1] == seen[2] != seen[0]
    held_out = {record["text"] for record in records if held_out_draws(record["id"])[0] < 0.2}
    assert 20 < len(held_out) < 60
    assert not held_out & (seen[0] | seen[1])


def test_held_out_text_is_measured_up_to_its_size(tmp_path: Path) -> None:
    crawl = write(tmp_path / "a.jsonl", documents(200))
    few, all_ = (
        trained(crawl, tmp_path / "t.json", held_out_share=0.3, held_out_size=size).fits[0] for size in ("5kB", "500kB")
    )
    assert 5_000 <= few.bytes < 6_000 < all_.bytes
    assert all_.documents == sum(held_out_draws(f"d{number}")[0] < 0.3 for number in range(200))
    assert all_.words == 60 * all_.documents
    assert all_.fits[str(tmp_path / "t.json")].unknown == 0


@pytest.fixture(scope="module")
def bilingual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("bilingual") / "a.jsonl", [*documents(300), *russian(30)])


def test_languages_share_the_sample_by_the_exponent(bilingual: Path, tmp_path: Path) -> None:
    shares = []
    for exponent in (1.0, 0.5, 0.0):
        run = trained(bilingual, tmp_path / "t.json", BY_LANGUAGE, {"sample_size": "20kB"}, language_exponent=exponent)
        english, foreign = run.sample["en"][1], run.sample["ru"][1]
        assert 20_000 <= english + foreign < 22_000
        shares.append(foreign / (english + foreign))
    seen = {"en": 300 * 405, "ru": 30 * 770}  # about
    assert shares[0] == pytest.approx(seen["ru"] / sum(seen.values()), abs=0.05)
    assert shares[1] == pytest.approx(1 / (1 + (seen["en"] / seen["ru"]) ** 0.5), abs=0.05)
    assert shares[2] == pytest.approx(0.5, abs=0.05)
    assert [row.language for row in run.fits] == ["en", "ru", "all"]


def test_balancing_needs_a_stage_that_knows_languages(tmp_path: Path) -> None:
    crawl = write(tmp_path / "a.jsonl", documents(9))
    with pytest.raises(RecipeError, match=r"no stage of the recipe 'plain' measures them: add .* \"filter_language\""):
        trained(crawl, tmp_path / "t.json", language_exponent=0.3)
    assert not (tmp_path / "t.json").exists()


def test_of_much_text_a_share_is_read(tmp_path: Path) -> None:
    crawl = write(tmp_path / "a.jsonl", documents(400))
    said: list[str] = []
    asked: list[int] = []

    def stage(document: dict[str, Any]) -> dict[str, Any]:
        asked.append(1)
        return document

    from corpusmill.stages import Function

    recipe = recipe_from({"stage": [{"kind": "normalize_text"}]})
    recipe = type(recipe)(stages=(Function(function=stage),))
    for sampling in (Sampling(), Sampling(read_share=1.0), Sampling(read_share=0.01)):
        asked.clear()
        settings = training_settings(recipe, vocabulary_size=300, sample_size="2kB")
        run = train(
            recipe, [str(crawl)], tmp_path / "t.json", settings, sampling, say=lambda text, _: said.append(text)
        )
        said.append(f"{len(asked)} of 400, {run.read_share:.2f}")
        assert {1.0: len(asked) == 400}.get(run.read_share, abs(len(asked) - 400 * run.read_share) < 30)
    assert any("--read-share 1 takes all" in line for line in said)
    assert any(line.startswith("400 of 400") for line in said)


@pytest.mark.parametrize("style", ["gpt2", "o200k"])
def test_settings_come_from_the_recipe_unless_given(style: str) -> None:
    recipe = load_recipe("minimal", [f"tokenize.pre_tokenizer={style}", 'tokenize.special_tokens=["<a>", "<b>"]'])
    settings = training_settings(recipe, vocabulary_size=999, sample_size=None)
    assert (settings.pre_tokenizer, settings.special_tokens) == (style, ("<a>", "<b>"))
    assert (settings.vocabulary_size, settings.sample_size) == (999, "100MB")
    assert training_settings(recipe, pre_tokenizer="qwen2").pre_tokenizer == "qwen2"
    assert training_settings(load_recipe("c4")).vocabulary_size == 32_000


def ran(*arguments: object) -> Any:
    return CliRunner().invoke(cli, ["tokenizer", "train", *map(str, arguments)], obj=Log(lambda _: None))


def test_the_command_prints_figures_and_writes_them(bilingual: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('[[stage]]\nkind = "filter_language"\nminimum_score = 0.0\n')
    output, report = tmp_path / "new.json", tmp_path / "report.json"
    options: list[object] = ["-o", output, "-r", recipe, "--vocabulary-size", 300, "--pre-tokenizer", "cl100k"]
    options += ["--special-token", "<|end|>", "--special-token", "<|pad|>", "--seed", 4, "--language-exponent", 0.3]
    options += ["--held-out-share", 0.3, "--compare", "bytes", "--report", report]
    done = ran(bilingual, *options)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[:4] == [f"{output}: 300 tokens", "", f"A  {output} (300 tokens)", "B  bytes (257 tokens)"]
    assert [line.split()[0] for line in lines[4:]] == ["language", "en", "ru", "all"]
    tokenizer = Tokenizer.from_file(str(output))
    assert [tokenizer.id_to_token(id_) for id_ in (0, 1)] == ["<|end|>", "<|pad|>"]
    assert json.loads(output.read_text())["pre_tokenizer"]["type"] == "Sequence"
    figures = json.loads(report.read_text())
    assert figures["settings"]["seed"] == 4
    assert figures["settings"]["language_exponent"] == 0.3
    assert figures["entries"] == {str(output): 300, "bytes": 257}
    assert {row["language"] for row in figures["sample"]} == {"en", "ru"}
    for row in figures["held_out"]:
        assert row["tokenizers"]["bytes"]["tokens"] == row["bytes"]
        assert row["tokenizers"][str(output)]["tokens"] < row["bytes"]
    again = ran(bilingual, *options, "--compare", output)
    assert again.exit_code == 0, again.output
    table = [line.split() for line in again.stdout.splitlines()[6:]]
    assert all(row[4] == row[6] for row in table), "it is compared with the file that it replaces"


def test_what_was_trained_is_read_by_gigatoken_and_gives_back_held_out_text(bilingual: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "t.json")
    trained(bilingual, Path(path), PLAIN, {"pre_tokenizer": "llama3"})
    run = Tokenize(tokenizer=path, engine="gigatoken", append_end=False, compared_share=1.0).open()
    texts = [record["text"] for record in (*documents(300), *russian(30)) if held_out_draws(record["id"])[0] < 0.05]
    ids = run(pa.record_batch({"text": pa.array(texts)}))[0]["input_ids"].to_pylist()
    tokenizer = Tokenizer.from_file(path)
    assert ids == [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    assert [tokenizer.decode(text) for text in ids] == texts


def test_the_commands_that_the_guide_shows_can_be_given(bilingual: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tokenizers.md").read_text("utf-8")
    command = cli.commands["tokenizer"].commands["train"]  # type: ignore[attr-defined]
    shown = [shlex.split(line)[3:] for line in page.splitlines() if line.startswith("corpusmill tokenizer train")]
    assert len(shown) == 4
    for arguments in shown:
        command.make_context("train", arguments)
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", page)) <= known


def test_errors_name_the_way_out(tmp_path: Path) -> None:
    crawl = write(tmp_path / "a.jsonl", documents(30))
    empty = write(tmp_path / "empty.jsonl", [{"id": "d", "text": ""}])
    output = tmp_path / "t.json"
    for arguments, message in [
        ((empty,), "there is no text to train on in"),
        ((crawl, "--held-out-share", 0.999999), "all of it is held out: set --held-out-share 0"),
        ((crawl, "--pre-tokenizer", "o200"), "did you mean 'o200k'?"),
        ((crawl, "--vocabulary-size", 257, "--special-token", "a>", "--special-token", "b>"), "set it to 258 at least"),
        ((crawl, "--compare", tmp_path / "none.json"), "there is no file"),
        ((crawl, "--compare", crawl), "no tokenizer.json that `tokenizers` can read"),
        ((crawl, "--held-out-size", "much"), "'much' is no size"),
        ((tmp_path / "nowhere",), "there is no input"),
        ((crawl, "--language-exponent", 0.3), '"filter_language"'),
    ]:
        done = ran(*arguments, "-o", output)
        assert isinstance(done.exception, RecipeError), (arguments, done.output)
        assert message in str(done.exception)
    assert not output.exists()


def test_files_that_cannot_be_written_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    crawl = write(tmp_path / "a.jsonl", documents(3))
    output = tmp_path / "t.json"
    said: list[str] = []
    for given, message in [
        (["-o", crawl / "t.json"], "t.json cannot be written: File exists"),
        (["-o", output, "--report", crawl / "r.json"], "r.json cannot be written: File exists"),
        (["-o", output, "--report", tmp_path / "." / "t.json"], "the report would take the place of the tokenizer"),
    ]:
        arguments = ["tokenizer", "train", *map(str, [crawl, *given])]
        done = CliRunner().invoke(cli, arguments, obj=Log(said.append))
        assert isinstance(done.exception, RecipeError), (given, done.output)
        assert message in str(done.exception)
    assert not said
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl"}


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    write(tmp_path / "crawl" / "a.jsonl", documents(30))
    with (tmp_path / "crawl" / "a.jsonl").open("a") as file:
        file.write("{broken\n")
    (tmp_path / "crawl" / "image.png").write_bytes(b"\x89PNG")
    said: list[str] = []
    settings = training_settings(PLAIN, vocabulary_size=300)
    train(PLAIN, [str(tmp_path / "crawl")], tmp_path / "t.json", settings, say=lambda text, _: said.append(text))
    assert any(line.startswith("skipped 1 × ") and "image.png" in line for line in said)
    assert any(line.startswith("1 records or files could not be read") for line in said)


class UnspeakableError(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("cannot say")


def failing_on_three(document: dict[str, Any]) -> dict[str, Any]:
    if document["id"] in {"d3", "d7", "d20"}:
        raise UnspeakableError if document["id"] == "d3" else ValueError("not this one")
    return document


def test_a_document_on_which_a_stage_fails_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = trained_on(monkeypatch)
    write(tmp_path / "a.jsonl", documents(30))
    recipe = Pipeline([NormalizeText(), failing_on_three]).recipe
    said: list[tuple[str, str]] = []
    settings = training_settings(recipe, vocabulary_size=300)
    sampling = Sampling(held_out_share=0)
    train(recipe, [str(tmp_path)], tmp_path / "t.json", settings, sampling, say=lambda *line: said.append(line))
    assert seen == [{document["text"] for document in documents(30)} - {prose(n, 60) for n in (3, 7, 20)}]
    assert (
        "3 documents were left out because a stage failed on them; function failed on document 'd3': UnspeakableError",
        "warning",
    ) in said


def test_too_little_text_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    write(tmp_path / "a.jsonl", [{"id": "d1", "text": "the mill"}])
    options = ["-o", str(tmp_path / "t.json"), "-q", "--held-out-share", "0"]
    arguments = ["tokenizer", "train", str(tmp_path / "a.jsonl"), *options]
    done = CliRunner().invoke(cli, arguments, obj=Log(said.append))
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 1
    (line,) = said
    assert line.startswith("warning: the text fills 26")
    assert "a smaller --vocabulary-size" in line
    for more in ([*arguments[:-1], "0.01"], [*arguments, "--compare", "bytes"]):
        said.clear()
        done = CliRunner().invoke(cli, more, obj=Log(said.append))
        assert said[-1].startswith("warning: no document was held out")
        assert len(done.stdout.splitlines()) == 1


def test_work_is_shown_as_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    ticks: list[Any] = []

    class Ticking:
        def __init__(self, function: Any, seconds: float) -> None:
            ticks.append(function)

        def stop(self) -> None:
            ticks.append("stopped")

    monkeypatch.setattr("corpusmill.display.Ticker", Ticking)
    with open_work(Log(said.append), "reading", 2_000_000) as done:
        done(400_000)
        done(100_000)
        ticks[0]()
    assert said[0].startswith("reading: 25% of 2 MB after ")
    assert ticks[1:] == ["stopped"]
    with open_work(Log(said.append), "reading", 10, quiet=True) as done:
        done(5)
    assert len(said) == 1


def test_work_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("corpusmill.display._on_terminal", lambda _: True)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes anything for a terminal then
    with open_work(Log(lambda _: None), "reading", 4) as done:
        done(1)
    shown = capsys.readouterr()
    assert "reading" in shown.err
    assert shown.out == ""
