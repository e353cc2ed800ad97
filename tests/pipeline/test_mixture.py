"""Mixtures: each document as often as its source asks for, the same whatever the splits and workers, and none lost."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpusmill.audit import audit
from corpusmill.explain import find_document
from corpusmill.journal import Journal
from corpusmill.mixing import MIXTURE, Mixer, asked_tokens, times_taken
from corpusmill.recipe import load_recipe, recipe_from
from corpusmill.run import run
from corpusmill.schemas import OutputMismatchError, RecipeError
from corpusmill.schemas.recipe import MixtureSettings, Recipe
from corpusmill.shuffling import HASH
from corpusmill.stages import stage_from
from corpusmill.summary import summary
from support import prose, stop_after

FINANCE = {"name": "finance", "sources": ["finance/*"]}
SIZES = {"finance": 12, "news": 30, "web": 120}


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crawl")
    for number, (source, documents) in enumerate(SIZES.items()):
        (folder / source).mkdir()
        lines = [json.dumps({"id": f"{source}-{n}", "text": prose(number * 1000 + n, 30)}) for n in range(documents)]
        (folder / source / "a.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def mixed(*tables: dict[str, Any], packed: bool = False, changes: tuple[str, ...] = ()) -> Recipe:
    """Return the recipe `minimal`, in small steps, with a mixture."""
    small = ("input.split_size=6kB", "tokenize.tokenizer=bytes", "output.shard_tokens=6000", "output.shuffle=corpus")
    recipe = load_recipe("minimal", [*small, "output.validation_share=0", *changes])
    pack = (stage_from({"kind": "pack", "sequence_length": 64}, "test"),) if packed else ()
    mixture = msgspec.convert(list(tables), tuple[MixtureSettings, ...])
    return msgspec.structs.replace(recipe, mixture=mixture, stages=(*recipe.stages, *pack))


def shards(output: Path) -> dict[str, list[str]]:
    return {path.name: pq.read_table(path)["id"].to_pylist() for path in sorted((output / "shards").glob("*"))}


def taken(output: Path) -> Counter[str]:
    return Counter(id_ for name, ids in shards(output).items() if name.startswith("train") for id_ in ids)


def contents(output: Path) -> dict[str, bytes]:
    return {
        f"{p.parent.name}/{p.name}": p.read_bytes()
        for folder in ("shards", "rejects")
        for p in (output / folder).glob("*")
    }


def test_without_weights_each_document_is_taken_its_epochs(crawl: Path, tmp_path: Path) -> None:
    manifest = run(mixed({**FINANCE, "epochs": 3}, {"epochs": 1}), [crawl], tmp_path / "out")
    found = taken(tmp_path / "out")
    assert len(found) == sum(SIZES.values())
    assert all(times == (3 if id_.startswith("finance") else 1) for id_, times in found.items())
    assert manifest.documents.kept == sum(SIZES.values())
    assert audit(tmp_path / "out").ok


def test_fractions_of_epochs_are_drawn_by_document(crawl: Path, tmp_path: Path) -> None:
    run(mixed({**FINANCE, "epochs": 1.5}, {"epochs": 0.25}), [crawl], tmp_path / "out")
    found = taken(tmp_path / "out")
    finance = {id_: times for id_, times in found.items() if id_.startswith("finance")}
    assert len(finance) == SIZES["finance"]
    assert {*finance.values()} == {1, 2}
    rest = {id_ for id_ in found if not id_.startswith("finance")}
    assert 15 < len(rest) < 60
    run(mixed({**FINANCE, "epochs": 1.5}, {"epochs": 0.5}), [crawl], tmp_path / "more")
    assert rest < {*taken(tmp_path / "more")}  # a larger share holds what a smaller one does
    run(mixed({**FINANCE, "epochs": 1.5}, {"epochs": 0.25}, changes=("seed=1",)), [crawl], tmp_path / "other")
    assert rest != {id_ for id_ in taken(tmp_path / "other") if not id_.startswith("finance")}


def test_weights_are_met_and_what_is_left_out_is_accounted_for(crawl: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    manifest = run(mixed({**FINANCE, "weight": 1, "epochs": 2}, {"weight": 3}), [crawl], output)
    finance, rest = manifest.mixture
    assert (finance.name, rest.name) == ("finance", "rest")
    assert (finance.weight, rest.weight) == (0.25, 0.75)
    assert finance.asked_tokens == 2 * finance.available_tokens == finance.tokens
    assert rest.asked_tokens == 3 * finance.asked_tokens
    assert 0.6 < rest.tokens / rest.asked_tokens < 1.4  # 72 of 150 documents, drawn
    found = taken(output)
    assert rest.documents == sum(not id_.startswith("finance") for id_ in found)
    left = pq.read_table(output / "rejects")
    assert {*left["id"].to_pylist()} == {f"{s}-{n}" for s in ("news", "web") for n in range(SIZES[s])} - {*found}
    assert {*left["reason"].to_pylist()} == {*left["stage"].to_pylist()} == {"mixture"}
    assert all(
        value >= limit for value, limit in zip(left["value"].to_pylist(), left["limit"].to_pylist(), strict=True)
    )
    assert manifest.stages[-1].dropped == {"mixture": rest.left_out} == {"mixture": len(left)}
    assert manifest.tokens - manifest.unique_tokens == finance.repeated_tokens == finance.available_tokens
    documents = manifest.documents
    assert documents.documents_in == documents.kept + documents.dropped == sum(SIZES.values())
    assert audit(output).ok


def test_tokens_have_an_upper_bound(crawl: Path, tmp_path: Path) -> None:
    manifest = run(mixed({**FINANCE, "epochs": 4}, {"max_tokens": 9000}), [crawl], tmp_path / "out")
    rest = manifest.mixture[1]
    assert rest.asked_tokens == 9000 < rest.available_tokens
    assert 6000 < rest.tokens < 12_000


def test_the_first_table_that_names_a_document_has_it(crawl: Path, tmp_path: Path) -> None:
    tables: tuple[dict[str, Any], ...] = (
        {"sources": ["news/*"], "epochs": 0},
        {"sources": ["n*", "f*"], "epochs": 2},
        {"epochs": 0},
    )
    manifest = run(mixed(*tables), [crawl], tmp_path / "out")
    assert taken(tmp_path / "out") == {f"finance-{n}": 2 for n in range(SIZES["finance"])}
    assert [share.name for share in manifest.mixture] == ["news/*", "n*", "rest"]


def test_languages_are_mixed(tmp_path: Path) -> None:
    texts = {
        "en": "The mill by the river has ground flour for the bakers of the town since the old days of the valley.",
        "de": "Die Mühle am Fluss mahlt seit alten Zeiten das Mehl für die Bäcker der Stadt und der Dörfer im Tal.",
    }
    (tmp_path / "crawl").mkdir()
    rows = [{"id": f"{language}-{n}", "text": f"{text} {n}"} for n in range(10) for language, text in texts.items()]
    (tmp_path / "crawl" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = mixed({"languages": ["de"], "epochs": 2}, {})
    with pytest.raises(RecipeError, match="needs the stage filter_language"):
        run(recipe, [tmp_path / "crawl"], tmp_path / "out")
    stages = (stage_from({"kind": "filter_language", "keep": ["en", "de"]}, "test"), *recipe.stages)
    mistaken = msgspec.structs.replace(mixed({"languages": ["d?", "english"]}, {}), stages=stages)
    with pytest.raises(RecipeError, match="'d\\?': filter_language gives no language like 'english'"):
        run(mistaken, [tmp_path / "crawl"], tmp_path / "out")
    manifest = run(msgspec.structs.replace(recipe, stages=stages), [tmp_path / "crawl"], tmp_path / "out")
    assert taken(tmp_path / "out") == {
        f"{language}-{n}": 2 if language == "de" else 1 for language in texts for n in range(10)
    }
    german = next(group for group in manifest.groups["language"] if group.name == "de")
    assert (german.documents, german.tokens) == (10, 2 * german.unique_tokens)
    everything = manifest.groups["language"][0]
    assert (everything.documents, everything.tokens) == (20, manifest.tokens)
    assert everything.unique_tokens == manifest.unique_tokens


def test_copies_of_a_document_are_far_from_each_other(crawl: Path, tmp_path: Path) -> None:
    run(mixed({"name": "all", "sources": ["*"], "epochs": 3}, {}), [crawl], tmp_path / "out")
    order = [number for number, ids in enumerate(shards(tmp_path / "out").values()) for _ in ids]
    ids = [id_ for rows in shards(tmp_path / "out").values() for id_ in rows]
    assert max(order) >= 10
    for document in {*ids}:
        places = sorted(order[at] for at, id_ in enumerate(ids) if id_ == document)
        assert all(later - earlier >= 2 for earlier, later in pairwise(places))


@pytest.mark.parametrize("packed", [False, True])
def test_splits_workers_and_stops_have_no_part_in_it(crawl: Path, tmp_path: Path, packed: bool) -> None:
    tables: tuple[dict[str, Any], ...] = ({**FINANCE, "weight": 1, "epochs": 2.5}, {"weight": 4})
    recipe = mixed(*tables, packed=packed)
    manifest = run(recipe, [crawl], tmp_path / "whole")
    assert manifest.mixture[1].left_out > 10
    if packed:
        assert manifest.packing is not None
        assert manifest.packing["cropped"] == 0
        assert manifest.packing["rows"] * 64 - manifest.packing["padding"] == manifest.tokens
    expected = contents(tmp_path / "whole")
    if not packed:
        run(recipe, [crawl], tmp_path / "two", workers=2, executor="processes")
        assert contents(tmp_path / "two") == expected
        run(mixed(*tables, changes=("input.split_size=1MB",)), [crawl], tmp_path / "large")
        assert shards(tmp_path / "large") == shards(tmp_path / "whole")
    events = len(Journal(tmp_path / "whole" / "state" / "journal.jsonl").events)
    for stop in range(2, events, events // 3):
        output = tmp_path / f"{stop}"
        with pytest.MonkeyPatch.context() as patch:
            stop_after(patch, stop)
            with pytest.raises(KeyboardInterrupt):
                run(recipe, [crawl], output)
        run(recipe, [crawl], output)
        assert contents(output) == expected
        assert audit(output).ok


def test_what_is_held_out_is_not_mixed(crawl: Path, tmp_path: Path) -> None:
    held_out = ("output.validation_share=0.2", "output.test_share=0.1")
    run(mixed({**FINANCE, "epochs": 2}, {"epochs": 0}, changes=held_out), [crawl], tmp_path / "out")
    run(mixed({**FINANCE, "epochs": 1}, {"epochs": 1}, changes=held_out), [crawl], tmp_path / "plain")
    mixed_out, plain = shards(tmp_path / "out"), shards(tmp_path / "plain")
    for subset in ("validation", "test"):
        there = [ids for name, ids in plain.items() if name.startswith(subset)]
        assert [ids for name, ids in mixed_out.items() if name.startswith(subset)] == there
        assert any(there)
    assert audit(tmp_path / "out").ok


def test_new_files_are_mixed_among_themselves(crawl: Path, tmp_path: Path) -> None:
    inputs, output = tmp_path / "crawl", tmp_path / "out"
    recipe = mixed({**FINANCE, "weight": 1, "epochs": 2}, {"weight": 3})
    for source in ("finance", "web"):
        (inputs / source).mkdir(parents=True)
        (inputs / source / "a.jsonl").write_bytes((crawl / source / "a.jsonl").read_bytes())
    first = run(recipe, [inputs], output)
    before = contents(output)
    (inputs / "news").mkdir()
    (inputs / "news" / "a.jsonl").write_bytes((crawl / "news" / "a.jsonl").read_bytes())
    second = run(recipe, [inputs], output)  # no finance: the others are taken whole
    assert {name: contents(output)[name] for name in before} == before
    assert second.mixture[0] == first.mixture[0]
    assert second.mixture[1].documents == first.mixture[1].documents + SIZES["news"]
    assert audit(output).ok


def test_an_audit_misses_what_was_left_out(crawl: Path, tmp_path: Path) -> None:
    run(mixed({**FINANCE}, {"epochs": 0.5}), [crawl], tmp_path / "out")
    next((tmp_path / "out" / "rejects").glob("mixture-*")).unlink()
    assert any("rejects/mixture-train" in problem for problem in audit(tmp_path / "out").problems)


def test_without_a_tokenizer_characters_count(crawl: Path, tmp_path: Path) -> None:
    recipe = mixed({**FINANCE, "weight": 1}, {"weight": 2})
    recipe = msgspec.structs.replace(recipe, stages=recipe.stages[:-1])
    manifest = run(recipe, [crawl], tmp_path / "out")
    finance, rest = manifest.mixture
    characters = sum(len(text) for text in pq.read_table(tmp_path / "out" / "shards")["text"].to_pylist())
    assert finance.tokens + rest.tokens == characters
    assert finance.repeated_tokens == 0 < rest.left_out
    assert pq.read_table(tmp_path / "out" / "rejects")["excerpt"].null_count == 0
    assert audit(tmp_path / "out").ok
    assert f"mixture, in characters  {'available':>9}" in summary(tmp_path / "out", manifest)


def test_repeated_characters_are_no_tokens(crawl: Path, tmp_path: Path) -> None:
    recipe = mixed({**FINANCE, "epochs": 2}, {})
    manifest = run(msgspec.structs.replace(recipe, stages=recipe.stages[:-1]), [crawl], tmp_path / "out")
    assert manifest.mixture[0].repeated_tokens > 0
    assert (manifest.tokens, manifest.unique_tokens) == (0, 0)


def test_documents_without_tokens_are_left_out_where_nothing_is_to_be_taken(tmp_path: Path) -> None:
    no_weight, none, some = MixtureSettings(weight=0), MixtureSettings(max_tokens=0), MixtureSettings(epochs=0.5)
    assert times_taken([no_weight, MixtureSettings(weight=1)], [0, 3]) == (0, 1)
    assert times_taken([none, some, MixtureSettings(epochs=3)], [0, 0, 0]) == (0, 0.5, 1)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"id": f"d{n}", "text": ""}) + "\n" for n in range(5)))
    output = tmp_path / "out"
    tables: tuple[dict[str, Any], ...] = ({"sources": ["*"], "epochs": 0}, {})
    recipe = mixed(*tables, changes=("tokenize.append_end=false", "deduplicate.near=false"))
    recipe = msgspec.structs.replace(recipe, stages=recipe.stages[-1:])
    manifest = run(recipe, [tmp_path / "a.jsonl"], output)
    assert (manifest.documents.kept, manifest.documents.dropped) == (0, 5)
    assert manifest.mixture[0].left_out == 5
    assert audit(output).ok


@pytest.mark.parametrize("whole", [False, True])
def test_what_is_left_out_shows_its_text_as_other_rejects_do(tmp_path: Path, whole: bool) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": "d", "text": prose(0, 300)}) + "\n")
    settings = ("output.text=true", f"output.reject_text={str(whole).lower()}")
    run(mixed({"sources": ["*"], "epochs": 0}, {}, changes=settings), [tmp_path / "a.jsonl"], tmp_path / "out")
    (excerpt,) = pq.read_table(tmp_path / "out" / "rejects")["excerpt"].to_pylist()
    assert (len(excerpt) > 500) is whole
    assert whole or len(excerpt) == 500


@pytest.mark.parametrize("packed", [False, True])
def test_explain_says_how_often_a_document_is_there(tmp_path: Path, packed: bool) -> None:
    lines = [json.dumps({"id": f"d{n}", "text": prose(n, 30)}) for n in range(2)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    run(mixed({"sources": ["*"], "epochs": 3}, {}, packed=packed), [tmp_path / "a.jsonl"], tmp_path / "out")
    assert find_document(tmp_path / "out", "d1")[0] == "document d1: kept in shards/train-00000.parquet, 3 times"


def test_another_mixture_is_refused_and_shown(crawl: Path, tmp_path: Path) -> None:
    run(mixed({**FINANCE, "weight": 1}, {"weight": 3}), [crawl], tmp_path / "out")
    with pytest.raises(OutputMismatchError, match=r"\n  mixture\.table 2\.weight: 3\.0 -> 4\.0\n"):
        run(mixed({**FINANCE, "weight": 1}, {"weight": 4}), [crawl], tmp_path / "out")


def test_copies_of_which_there_are_none_cost_no_tables() -> None:
    columns = {"id": ["a", "b"], "url": [None, None], "source": ["x", "x"], "n_tokens": [3, 4]}
    columns |= {HASH: pa.array([1 << 62, 3 << 62], pa.uint64()), MIXTURE: pa.array([1, 1], pa.uint16())}
    mixer = Mixer((MixtureSettings(name="rare", epochs=500), MixtureSettings()), (500.0, 1.0), (0, 1), print)
    (table,) = mixer.take(pa.record_batch(columns))
    assert table["id"].to_pylist() == ["a", "b"]
    mixer = Mixer((MixtureSettings(name="rare", epochs=500), MixtureSettings()), (500.0, 0.0), (0, 1), lambda _: None)
    (table,) = mixer.take(pa.record_batch(columns))
    assert table.num_rows == 0  # its schema is the shard's


def test_tables_without_documents_change_no_proportions() -> None:
    finance, law, rest = (MixtureSettings(name=name, weight=weight) for name, weight in (("a", 1), ("b", 1), ("c", 2)))
    assert asked_tokens([finance, law, rest], [0, 50, 1000]) == [0, 50, 100]
    assert asked_tokens([finance, MixtureSettings(weight=0)], [0, 50]) == [0, 0]


@given(
    st.lists(st.tuples(st.integers(1, 10**12), st.floats(0.01, 100), st.floats(0.1, 5)), min_size=1, max_size=5),
    st.booleans(),
)
def test_no_source_gives_more_than_it_may(sources: list[tuple[int, float, float]], weighted: bool) -> None:
    tables = [MixtureSettings(weight=weight if weighted else None, epochs=epochs) for _, weight, epochs in sources]
    there = [tokens for tokens, *_ in sources]
    asked = asked_tokens(tables, there)
    for tokens, table, given_ in zip(there, tables, asked, strict=True):
        assert given_ <= table.epochs * tokens * (1 + 1e-12)
    if weighted:
        shares = [given_ / table.weight for given_, table in zip(asked, tables, strict=True) if table.weight]
        assert max(shares) <= min(shares) * (1 + 1e-9)
        assert any(given_ == table.epochs * tokens for tokens, table, given_ in zip(there, tables, asked, strict=True))
    assert [times * tokens for times, tokens in zip(times_taken(tables, there), there, strict=True)] == pytest.approx(
        asked
    )


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([{"sources": ["a/*"]}], "the last .* takes the documents that no other names"),
        ([{}, {"name": "b"}], "only the last"),
        ([{"sources": ["a/*"], "weight": 1}, {}], "'rest': it has no weight"),
        ([{"sources": ["a/*"], "weight": 0}, {"weight": 0}], "all weights are 0"),
        ([{"sources": ["a/*"]}, {"sources": ["a/*"]}, {}], "two tables have this name"),
        (
            [{"sources": ["a/*"], "wieght": 1}, {}],
            r"\[\[mixture\]\] 1: unknown setting 'wieght'; did you mean 'weight'",
        ),
        ([{"sources": ["a/*"], "epochs": -1}, {}], r"\[\[mixture\]\] 1"),
        ([{"sources": ["a/*"], "epochs": float("inf")}, {}], r"\[\[mixture\]\] 1: epochs: .* <= 1000"),
        ([{"sources": ["a/*"], "weight": float("inf")}, {"weight": 1}], r"\[\[mixture\]\] 1: weight"),
        ([*({"name": f"{n}", "sources": ["*"]} for n in range(1000)), {}], "1,001 tables; 1,000 are the most"),
    ],
)
def test_what_cannot_be_a_mixture_is_refused(tables: list[dict[str, Any]], message: str) -> None:
    table = {"mixture": tables, "output": {"shuffle": "corpus"}, "stage": [{"kind": "normalize_text"}]}
    with pytest.raises(RecipeError, match=message):
        recipe_from(table)


def test_a_mixture_needs_the_corpus_shuffled() -> None:
    with pytest.raises(RecipeError, match=r'needs output\.shuffle = "corpus"'):
        recipe_from({"mixture": [{}], "stage": [{"kind": "normalize_text"}]})


def test_sources_that_no_file_has_are_refused_before_anything_is_read(crawl: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"'finace/\*'.*for example 'finance/a.jsonl'"):
        run(mixed({"sources": ["finace/*"]}, {}), [crawl], tmp_path / "out")
    assert not (tmp_path / "out" / "shards").exists()
