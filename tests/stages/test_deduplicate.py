"""Exact and near duplicates: what is removed, what it names, and what is left alone."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import RecipeError
from corpusmill.stages import Deduplicate
from corpusmill.stages.banding import bands_for, detection_probability, s_curve
from corpusmill.stages.kernels.jaccard import jaccard
from corpusmill.stages.near_index import NearIndex
from corpusmill.stages.signature import words
from corpusmill.stages.verification import Verifier

WORDS = [f"word{number}" for number in range(4000)]


def prose(seed: int, length: int = 300) -> list[str]:
    return random.Random(seed).choices(WORDS, k=length)


def verdicts_of(texts: list[str], **settings_: Any) -> list[Any]:
    batch = pa.record_batch({"id": [f"d{n}" for n in range(len(texts))], "text": pa.array(texts, pa.large_string())})
    verdicts: list[Any] = Deduplicate(**settings_).judge(batch)[1].to_pylist()
    return verdicts


def true_jaccard(left: str, right: str, size: int = 5) -> float:
    def grams(text: str) -> set[tuple[str, ...]]:
        found = words(text)
        size_ = min(size, len(found))
        return {tuple(found[at : at + size_]) for at in range(len(found) - size_ + 1)}

    a, b = grams(left), grams(right)
    return len(a & b) / len(a | b)


def edited(base: list[str], edits: int, seed: int) -> str:
    copy = list(base)
    for at in random.Random(seed).sample(range(len(copy)), edits):
        copy[at] = f"edit{seed}x{at}"
    return " ".join(copy)


def test_exact_duplicates_ignore_case_and_white_space_and_name_the_first() -> None:
    assert verdicts_of(["The old mill.", "the  OLD\nmill.", "The old mill?"]) == [
        None,
        {"reason": "exact_duplicate", "value": 1.0, "limit": None, "ref": "d0"},
        {"reason": "near_duplicate", "value": 1.0, "limit": 0.8, "ref": "d0"},
    ]


def test_only_exact_duplicates_go_when_near_is_off() -> None:
    assert [v is not None for v in verdicts_of(["a b c d e f", "A b c d e f", "a b c d e f!"], near=False)] == [
        False,
        True,
        False,
    ]


def test_every_removed_document_has_a_kept_one_at_the_threshold_and_nothing_similar_is_left() -> None:
    texts = []
    for seed in range(60):
        base = prose(seed)
        texts += [" ".join(base), *(edited(base, edits, seed) for edits in (2, 5, 8, 15, 40))]
    verdicts = verdicts_of(texts)
    kept = [number for number, verdict in enumerate(verdicts) if verdict is None]
    for number, verdict in enumerate(verdicts):
        if verdict is not None:
            ref = int(str(verdict["ref"])[1:])
            assert ref in kept
            assert ref < number
            assert verdict["value"] == pytest.approx(true_jaccard(texts[number], texts[ref]))
            assert verdict["value"] >= 0.8
    expected: list[int] = []
    for number, text in enumerate(texts):
        family = [other for other in expected if other // 6 == number // 6]
        if not any(true_jaccard(text, texts[other]) >= 0.8 for other in family):
            expected.append(number)
    assert kept == expected


def test_verdicts_name_kept_documents_only_in_a_chain() -> None:
    base = prose(1)
    chain = [" ".join(base), edited(base, 4, 2), edited(edited(base, 4, 2).split(), 4, 3)]
    verdicts = verdicts_of(chain)
    assert verdicts[1] is not None
    assert verdicts[1]["ref"] == "d0"
    if verdicts[2] is not None:
        assert verdicts[2]["ref"] == "d0"


def test_scripts_without_spaces_have_shingles() -> None:
    text = "川のそばの水車小屋は、古い橋の時代から村のために粉をひいてきた。今日もそうである。その音は谷に響く。" * 3
    other = text.replace("古い橋", "昔の橋")
    assert len(words(text)) > 30
    assert verdicts_of([text, other + "終", "全く別の文章がここにある。" * 8], threshold=0.6)[1] is not None


def test_texts_without_words_are_no_near_duplicates() -> None:
    assert verdicts_of(["...", "!!!", "", "—", "..."]) == [
        None,
        None,
        None,
        None,
        {"reason": "exact_duplicate", "value": 1.0, "limit": None, "ref": "d0"},
    ]


def test_an_index_fed_split_by_split_gives_what_one_batch_gives() -> None:
    texts = [edited(prose(seed % 7), seed // 7, seed) for seed in range(40)]
    stage = Deduplicate()
    batch = pa.record_batch({"id": [f"d{n}" for n in range(40)], "text": pa.array(texts)})
    sketch, index = stage.sketch(), stage.open_index()
    streamed = []
    for split, at in enumerate(range(0, 40, 9)):
        ((number, verdicts),) = index.add(split, pa.Table.from_batches([sketch(batch.slice(at, 9))]))
        assert number == split
        streamed += verdicts.to_pylist()
    assert streamed == stage.judge(batch)[1].to_pylist()


@pytest.mark.parametrize("verify", ["estimate", "none"])
def test_the_other_verifications_find_clear_duplicates_too(verify: str) -> None:
    base = prose(5)
    verdicts = verdicts_of([" ".join(base), edited(base, 1, 1), " ".join(prose(6))], verify=verify)
    assert [v is not None for v in verdicts] == [False, True, False]


@pytest.mark.parametrize(("threshold", "expected"), [(0.8, (20, 6)), (0.9, (16, 8)), (0.5, (93, 1)), (1.0, (2, 64))])
def test_the_derived_banding_misses_at_most_one_in_four_hundred(threshold: float, expected: tuple[int, int]) -> None:
    bands, rows = bands_for(threshold, 128)
    assert bands * rows <= 128
    assert (1 - threshold**rows) ** bands <= 0.0025
    if threshold in {0.8, 1.0}:
        assert (bands, rows) == expected


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(RecipeError, match="both bands and rows"):
        Deduplicate(bands=14)
    with pytest.raises(RecipeError, match="need more than 64 permutations"):
        Deduplicate(bands=14, rows=8, permutations=64)
    with pytest.raises(RecipeError, match="no banding of 16 permutations"):
        Deduplicate(threshold=0.05, permutations=16)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 50)), st.lists(st.integers(0, 50)))
def test_jaccard_is_that_of_the_sets(left: list[int], right: list[int]) -> None:
    a, b = (np.array(sorted(values), np.uint64) for values in (left, right))
    union = set(left) | set(right)
    assert jaccard(a, b) == (len(set(left) & set(right)) / len(union) if union else 0.0)


def test_the_curve_rises_from_nothing_to_certainty() -> None:
    curve = [found for _, found in s_curve(20, 6)]
    assert curve[0] == 0
    assert curve[-1] == 1
    assert curve == sorted(curve)
    assert detection_probability(0.8, 14, 8) == pytest.approx(0.9235, abs=1e-4)
    assert detection_probability(0.75, 20, 6) == pytest.approx(0.980, abs=1e-3)


def test_presets_set_bands_and_verification() -> None:
    fineweb, strict = Deduplicate(preset="fineweb"), Deduplicate(preset="strict")
    assert (fineweb.banding, fineweb.verification) == ((14, 8), "none")
    assert (strict.banding, strict.verification) == ((32, 4), "exact")
    with pytest.raises(RecipeError, match="the preset fineweb sets bands and rows"):
        Deduplicate(preset="fineweb", bands=10, rows=5)
    with pytest.raises(RecipeError, match="the preset fineweb is unverified"):
        Deduplicate(preset="fineweb", verify="estimate")


def family(seeds: range) -> list[str]:
    return [
        text for seed in seeds for text in (" ".join(prose(seed)), edited(prose(seed), 2, 1), edited(prose(seed), 9, 2))
    ]


@pytest.mark.parametrize(
    "changes", [{}, {"verify": "estimate"}, {"near": False}, {"preset": "fineweb"}, {"bucket_size": 1}]
)
@pytest.mark.parametrize("size", [1, 4, 17])
def test_verdicts_do_not_depend_on_how_documents_come(size: int, changes: dict[str, Any]) -> None:
    texts = [*family(range(12)), *family(range(8)), "", "a", "", "b c"]
    stage = Deduplicate(**changes)
    batch = pa.record_batch({"id": [f"d{n}" for n in range(len(texts))], "text": pa.array(texts, pa.large_string())})
    sketch, index = stage.sketch(), stage.open_index()
    parts = [sketch(batch.slice(at, size)) for at in range(0, batch.num_rows, size)]
    one_by_one = [
        v
        for at, part in enumerate(parts)
        for _, some in index.add(at, pa.Table.from_batches([part]))
        for v in some.to_pylist()
    ]
    together = stage.open_index()
    ((_, verdicts),) = together.add(0, pa.Table.from_batches(parts))
    assert one_by_one == verdicts.to_pylist() == stage.judge(batch)[1].to_pylist()
    here, there = index.facts(), together.facts()
    assert {**here, "index_bytes": 0} == {**there, "index_bytes": 0}


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_edge_cases(kind: pa.DataType) -> None:
    long = " ".join(prose(1, 200_000))
    chinese = "水车磨坊建于十九世纪至今仍在河边转动" * 20
    texts = [
        None,
        "",
        "\n ",
        "one",
        "One",
        "one two",
        "two one",
        "İstanbul",
        "istanbul",
        chinese,
        chinese + "了",
        long,
        long + " x",
        None,
    ]
    batch = pa.record_batch({"id": [f"d{n}" for n in range(len(texts))], "text": pa.array(texts, kind)})
    verdicts = Deduplicate().judge(batch)[1].to_pylist()
    found = {row: (v["reason"], v["ref"]) for row, v in enumerate(verdicts) if v}
    assert found == {
        1: ("exact_duplicate", "d0"),
        2: ("exact_duplicate", "d0"),
        4: ("exact_duplicate", "d3"),
        8: ("exact_duplicate", "d7"),
        10: ("near_duplicate", "d9"),
        12: ("near_duplicate", "d11"),
        13: ("exact_duplicate", "d0"),
    }
    padded = pa.concat_arrays([pa.array(["before"], kind), batch.column("text")]).slice(1)
    again = batch.set_column(1, "text", padded)
    assert Deduplicate().judge(again)[1].to_pylist() == verdicts


def test_words_of_python_see_a_chinese_clause_as_one() -> None:
    text = "，".join(f"磨坊在河边第{n}天转动不停" for n in "一二三四五六七八九十百千") + "。"
    other = text.replace("第五天", "第五日")
    assert verdicts_of([text, other], threshold=0.7)[1] is not None
    assert verdicts_of([text, other], threshold=0.7, words="python")[1] is None


def test_a_document_is_compared_by_signature_where_no_shingles_are_stored(tmp_path: Path) -> None:
    """As with the index of a corpus that was made with verify = "estimate"."""
    base = prose(3)
    known = Deduplicate(verify="estimate")
    index = known.open_index()
    sketches = {0: pa.Table.from_batches([known.sketch()(pa.record_batch({"id": ["k"], "text": [" ".join(base)]}))])}
    index.add(0, sketches[0])
    folder = tmp_path / "known" / "state" / "index" / "deduplicate-000000"
    folder.mkdir(parents=True)
    index.save(folder, "../../sketches/split-{split:06d}-0.arrow")
    path = tmp_path / "known" / "state" / "sketches" / "split-000000-0.arrow"
    path.parent.mkdir()
    with pa.ipc.new_stream(str(path), sketches[0].schema) as stream:
        stream.write_table(sketches[0])
    stage = Deduplicate(against=(str(tmp_path / "known"),))
    batch = pa.record_batch({"id": ["a", "b"], "text": [edited(base, 1, 1), " ".join(prose(4))]})
    found = stage.open_index()
    ((_, verdicts),) = found.add(0, pa.Table.from_batches([stage.sketch()(batch)]))
    first, second = verdicts.to_pylist()
    assert (first["reason"], first["ref"]) == ("near_duplicate_against", "k")
    assert second is None
    assert found.facts()["compared_by_signature"] == 1
    assert found.facts()["compared_exactly"] == 0


def test_pairs_whose_signatures_lie_far_apart_are_not_compared_by_shingles() -> None:
    template = prose(5, 200)
    texts = [" ".join(template + prose(seed, 200)) for seed in range(6, 40)]
    index = Deduplicate(bands=64, rows=2).open_index()
    assert isinstance(index, NearIndex)
    sketch = Deduplicate(bands=64, rows=2).sketch()
    index.add(0, pa.Table.from_batches([sketch(pa.record_batch({"text": texts}))]))
    facts = index.facts()
    assert facts["left_out_by_signature"] > 400
    assert facts["compared_exactly"] == 0
    assert facts["kept"] == len(texts)


def test_of_equally_similar_candidates_the_earliest_is_named() -> None:
    base = prose(7)
    first, second = edited(base, 4, 1), edited(base, 4, 2)
    verdicts = verdicts_of([first, second, " ".join(base)], threshold=0.85)
    similar = [true_jaccard(" ".join(base), other) for other in (first, second)]
    assert verdicts[1] is None
    assert verdicts[2]["ref"] == f"d{similar.index(max(similar))}"


def test_the_verifier_lets_no_pair_at_the_threshold_go_for_its_signature() -> None:
    """Six standard deviations below the threshold is far: none of many pairs right at it comes near that."""
    base = prose(8, 400)
    pairs = [(" ".join(base), edited(base, 9, seed)) for seed in range(60)]
    stage = Deduplicate()
    floor = Verifier(True, 0.8, 128, "exact")._floor
    assert floor == pytest.approx(0.588, abs=1e-3)
    for left, right in pairs:
        sketches = stage.sketch()(pa.record_batch({"text": [left, right]}))
        here, there = (np.array(value.as_py()) for value in sketches.column("signature"))
        assert true_jaccard(left, right) > 0.75
        assert (here == there).mean() > floor


@pytest.mark.parametrize("size", [1, 7, 400])
def test_filters_stand_in_where_the_memory_is_capped(size: int) -> None:
    """From the 100th kept document on (21 tables of 11 bytes a document), and whatever the batches."""
    texts = [" ".join(prose(seed, 60)) for seed in range(250)]
    texts += [f"{text} more" for text in texts[:200:20]] + texts[100:130]
    stage = Deduplicate(max_index_memory=str(231 * 100))
    batch = pa.record_batch({"id": [f"d{n}" for n in range(len(texts))], "text": texts})
    sketch, index = stage.sketch(), stage.open_index()
    verdicts = []
    for at in range(0, len(texts), size):
        ((_, some),) = index.add(at, pa.Table.from_batches([sketch(batch.slice(at, size))]))
        verdicts += some.to_pylist()
    assert verdicts[:250] == [None] * 250
    for number, verdict in enumerate(verdicts[250:260]):
        # The originals that came before the change are known by name no more either: their tables are filters now.
        assert verdict == {"reason": "near_duplicate", "value": None, "limit": 0.8, "ref": None}, number
    assert verdicts[260] == {"reason": "exact_duplicate", "value": 1.0, "limit": None, "ref": "d100"}
    facts = index.facts()
    assert facts["dropped_by_filter"] == 10
    assert "10 documents were removed by a filter, unverified" in facts["alarms"][-1]["alarm"]


def test_what_filters_cannot_hold_ends_the_run_with_the_way_out() -> None:
    stage = Deduplicate(max_index_memory=str(231 * 10))
    texts = [" ".join(prose(seed, 60)) for seed in range(400)]
    with pytest.raises(RecipeError, match="raise max_index_memory"):
        stage.judge(pa.record_batch({"text": texts}))


def test_contents_that_share_a_key_are_told_apart_where_the_other_corpus_has_no_signatures(tmp_path: Path) -> None:
    """Keys are 47 bits of the content hash: among 10^7 and 10^8 documents seven pairs share one by chance."""
    known = Deduplicate(near=False)
    old = known.sketch()(pa.record_batch({"id": ["k"], "text": [" ".join(prose(1))]}))
    content = bytearray(old.column("content")[0].as_py())
    content[-1] ^= 1  # behind the key
    twin = old.set_column(1, "content", pa.array([bytes(content)], pa.binary(16)))
    index = known.open_index()
    index.add(0, pa.Table.from_batches([twin]))
    folder = tmp_path / "known" / "state" / "index" / "deduplicate-000000"
    folder.mkdir(parents=True)
    index.save(folder, "../../sketches/split-{split:06d}-0.arrow")
    path = tmp_path / "known" / "state" / "sketches" / "split-000000-0.arrow"
    path.parent.mkdir()
    with pa.ipc.new_stream(str(path), twin.schema) as stream:
        stream.write_batch(twin)
    stage = Deduplicate(against=(str(tmp_path / "known"),))
    assert stage.judge(pa.record_batch({"text": [" ".join(prose(1))]}))[1].null_count == 1


@pytest.mark.parametrize("threshold", [0.8, 0.9, 0.99, 0.999])
def test_near_one_the_signature_is_trusted_less(threshold: float) -> None:
    """At 0.999, 12 of 128 values may differ, where six standard deviations are two and a half."""
    for permutations in (16, 128):
        floor = Verifier(True, threshold, permutations, "exact")._floor
        assert floor <= threshold - 12 / permutations + 1e-9
