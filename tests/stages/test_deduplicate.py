"""Exact and near duplicates: what is removed, what it names, and what is left alone."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import RecipeError
from corpusmill.stages import Deduplicate
from corpusmill.stages.deduplicate import bands_for, jaccard, shingle_hashes, words

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
    assert len(shingle_hashes(text, 5)) > 30
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
    a, b = (np.unique(np.array(values, np.uint64)) for values in (left, right))
    union = set(left) | set(right)
    assert jaccard(a, b) == (len(set(left) & set(right)) / len(union) if union else 0.0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(WORDS[:30]), min_size=1, max_size=60))
def test_shingle_hashes_are_as_many_as_there_are_distinct_shingles(sequence: list[str]) -> None:
    size = min(5, len(sequence))
    grams = {tuple(sequence[at : at + size]) for at in range(len(sequence) - size + 1)}
    assert len(shingle_hashes(" ".join(sequence), 5)) == len(grams)


def test_signatures_do_not_depend_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = pa.record_batch({"text": [" ".join(prose(9, 2000))]})
    whole = Deduplicate().sketch()(batch)
    monkeypatch.setattr("corpusmill.stages.deduplicate._BLOCK", 100)
    assert Deduplicate().sketch()(batch).equals(whole)
