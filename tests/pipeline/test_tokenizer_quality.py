"""Fertility, bytes per token and unknown tokens are those that one counts by hand."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from corpusmill.schemas import RecipeError
from corpusmill.stages import Tokenize
from corpusmill.stages.tokenize import byte_tokenizer, train_tokenizer
from corpusmill.tokenizer_quality import ALL, fit_table, measure_fit, unknown_id


def words_only() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "the": 1, "mill": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def test_figures_are_those_that_one_counts() -> None:
    texts = {"en": ["the mill the river", "mill"], "de": ["die Mühle"]}
    rows = measure_fit(texts, {"words": words_only(), "bytes": byte_tokenizer()})
    assert [row.language for row in rows] == ["de", "en", ALL]
    _, english, whole = (row.plain() for row in rows)
    assert english == {
        "language": "en",
        "documents": 2,
        "bytes": 22,
        "words": 5,
        "tokenizers": {
            "words": {"tokens": 5, "tokens_per_word": 1.0, "bytes_per_token": 4.4, "unknown": 1},
            "bytes": {"tokens": 22, "tokens_per_word": 4.4, "bytes_per_token": 1.0, "unknown": 0},
        },
    }
    assert (whole["documents"], whole["bytes"], whole["words"]) == (3, 32, 7)
    assert whole["tokenizers"]["words"]["unknown"] == 3
    assert whole["tokenizers"]["bytes"]["tokens_per_word"] == round(32 / 7, 4)


def test_a_word_without_spaces_is_a_number_of_characters() -> None:
    (row,) = measure_fit({ALL: ["水車小屋の粉", "โรงสีข้าวเก่า"]}, {"bytes": byte_tokenizer()})
    assert row.words == 3 + round(13 / 5)


def test_special_tokens_are_neither_added_nor_seen_in_text() -> None:
    tokenizer = train_tokenizer(["abc"], Tokenize(vocabulary_size=257))
    tokenizer.encode_special_tokens = True
    (row,) = measure_fit({ALL: ["<|endoftext|>"]}, {"t": tokenizer})
    assert row.fits["t"].tokens == 13


@pytest.mark.parametrize(
    ("model", "id_"),
    [
        (models.WordPiece({"a": 0, "[UNK]": 1}, unk_token="[UNK]"), 1),
        (models.Unigram([("a", 0.0), ("<unk>", 0.0)], unk_id=1), 1),
        (models.Unigram([("a", 0.0)]), None),
        (models.BPE({"<unk>": 0, "a": 1}, [], unk_token="<unk>"), 0),
        (models.BPE({"a": 0}, []), None),
    ],
)
def test_the_unknown_token_of_each_model_is_known(model: models.Model, id_: int | None) -> None:
    tokenizer = Tokenizer(model)
    assert unknown_id(tokenizer) == id_
    (row,) = measure_fit({ALL: ["aéa" if id_ is not None else "aa"]}, {"t": tokenizer})
    assert row.fits["t"].unknown == (0 if id_ is None else 1)


def test_a_tokenizer_that_cannot_encode_a_text_is_named() -> None:
    with pytest.raises(RecipeError, match=r"odd.json cannot encode every text: .*unk_id"):
        measure_fit({ALL: ["aéa"]}, {"odd.json": Tokenizer(models.Unigram([("a", 0.0)]))})


def test_progress_is_told_for_each_tokenizer() -> None:
    told: list[int] = []
    measure_fit({"en": ["abcd"] * 300, "de": ["ab"]}, {"a": byte_tokenizer(), "b": byte_tokenizer()}, told.append)
    assert sum(told) == 2 * 1202
    assert len(told) == 6


def test_the_table_has_each_measure_side_by_side() -> None:
    tokenizers = {"new.json": words_only(), "bytes": byte_tokenizer()}
    rows = measure_fit({"en": ["the mill the river"], "xx": [""]}, tokenizers)
    lines = fit_table(rows, {"new.json": 3, "bytes": 257})
    assert lines[:2] == ["A  new.json (3 tokens)", "B  bytes (257 tokens)"]
    assert lines[2].split("  ")[0] == "language"
    assert [" ".join(line.split()) for line in lines[2:]] == [
        "language documents bytes words tokens/word A tokens/word B bytes/token A bytes/token B unknown A unknown B",
        "en 1 18 4 1.00 4.50 4.50 1.00 1 0",
        "xx 1 0 0 0.00 0.00 0.00 0.00 0 0",
        "all 2 18 4 1.00 4.50 4.50 1.00 1 0",
    ]
    (head, *_) = fit_table(measure_fit({ALL: ["a"]}, {"t": byte_tokenizer()}), {"t": 257})
    assert " ".join(head.split()) == "language documents bytes words tokens/word bytes/token unknown"
