"""Token ids are those of the tokenizer, whole documents, with an end that can be found."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from corpusmill.schemas import RecipeError
from corpusmill.stages import Tokenize
from corpusmill.stages.pre_tokenizers import PRE_TOKENIZERS, PreTokenizerName
from corpusmill.stages.tokenize import END_OF_TEXT, byte_tokenizer, load_tokenizer, token_type, train_tokenizer

TEXTS = [f"The mill number {n} grinds flour for the village, é and 水車 {'grind ' * (n % 5)}" for n in range(200)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_tokenizer(TEXTS, Tokenize(vocabulary_size=600)).save(str(path))
    return str(path)


def ids_of(stage: Tokenize, texts: list[str]) -> list[list[int]]:
    return stage(pa.record_batch({"text": texts})).column("input_ids").to_pylist()  # type: ignore[no-any-return]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_bytes_are_the_ids_and_256_ends_a_document(texts: list[str]) -> None:
    assert ids_of(Tokenize(tokenizer="bytes"), texts) == [[*text.encode(), 256] for text in texts]


def test_ids_are_those_of_the_library_and_decode_to_the_text(trained: str) -> None:
    tokenizer = load_tokenizer(trained)
    texts = [*TEXTS[:20], "unseen Ωμέγα text\n\twith\x00 everything 🦊"]
    for text, ids in zip(texts, ids_of(Tokenize(tokenizer=trained), texts), strict=True):
        assert ids[-1] == tokenizer.token_to_id(END_OF_TEXT)
        assert ids[:-1] == tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids[:-1]) == text


def test_special_tokens_spelled_in_a_text_are_text(trained: str) -> None:
    end = load_tokenizer(trained).token_to_id(END_OF_TEXT)
    for stage in (Tokenize(tokenizer=trained), Tokenize(tokenizer="bytes")):
        (ids,) = ids_of(stage, [f"a page about {END_OF_TEXT} tokens"])
        assert ids.count(end if stage.tokenizer == trained else 256) == 1


def test_the_end_can_be_left_out_or_chosen(trained: str) -> None:
    assert ids_of(Tokenize(tokenizer="bytes", append_end=False), ["ab"]) == [[97, 98]]
    with pytest.raises(RecipeError, match=r"has no token '</x>' to end documents with; set tokenize.end_token"):
        Tokenize(tokenizer=trained, end_token="</x>").open()


def test_the_columns_are_as_announced(trained: str) -> None:
    stage = Tokenize(tokenizer=trained)
    out = stage(pa.record_batch({"text": ["a", ""]}))
    assert [out.schema.field(f.name).type for f in stage.added_columns()] == [f.type for f in stage.added_columns()]
    assert out.column("input_ids").type.value_field.nullable is False
    assert out.column("n_tokens").to_pylist() == [len(ids) for ids in out.column("input_ids").to_pylist()]


def test_the_type_follows_the_vocabulary() -> None:
    assert (token_type(65_536), token_type(65_537)) == (pa.uint16(), pa.int32())
    assert byte_tokenizer().get_vocab_size() == 257


def test_training_is_the_same_in_every_process(tmp_path: Path) -> None:
    code = (
        "import sys; from corpusmill.stages.tokenize import *;"
        "texts = [f'grind {n} mill {n % 7} water {n % 3}' for n in range(500)];"
        "train_tokenizer(texts, Tokenize(vocabulary_size=400)).save(sys.argv[1])"
    )
    files = [tmp_path / f"{seed}.json" for seed in (0, 1, 2)]
    for seed, path in enumerate(files):
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, env={"PYTHONHASHSEED": str(seed)})
    assert len({path.read_bytes() for path in files}) == 1


@pytest.mark.parametrize(
    ("style", "number", "word"),
    [
        ("gpt2", ["12345"], ["ह", "ि", "न", "्", "द", "ी"]),
        ("cl100k", ["123", "45"], ["ह", "िन", "्द", "ी"]),
        ("llama3", ["123", "45"], ["ह", "िन", "्द", "ी"]),
        ("qwen2", ["1", "2", "3", "4", "5"], ["ह", "िन", "्द", "ी"]),
        ("o200k", ["123", "45"], ["हिन्दी"]),
    ],
)
def test_styles_cut_as_their_models_do(style: PreTokenizerName, number: list[str], word: list[str]) -> None:
    def pieces(text: str) -> list[str]:
        found = PRE_TOKENIZERS[style].build().pre_tokenize_str(text)
        return [text[start:end] for _, (start, end) in found]

    assert pieces("12345") == number
    assert pieces("हिन्दी") == word
    assert pieces("it's") == (["it's"] if style == "o200k" else ["it", "'s"])
    assert pieces("aB") == (["a", "B"] if style == "o200k" else ["aB"])
    assert pieces("(a") == (["(", "a"] if style == "gpt2" else ["(a"])


def test_the_setting_and_the_table_know_the_same_styles() -> None:
    hints = get_type_hints(Tokenize, include_extras=True)
    assert set(get_args(hints["pre_tokenizer"])) == set(PRE_TOKENIZERS) == set(get_args(PreTokenizerName))


def test_a_word_that_is_an_entry_is_one_token_in_llama3_alone() -> None:
    styles: tuple[tuple[PreTokenizerName, int], ...] = (("llama3", 1), ("cl100k", 3))
    for style, ids in styles:
        config = json.loads(train_tokenizer(["abc"] * 9, Tokenize(vocabulary_size=259, pre_tokenizer=style)).to_str())
        assert [entry for entry in config["model"]["vocab"] if len(entry) > 1] == [END_OF_TEXT, "ab", "abc"]
        config["model"]["merges"] = []
        assert len(Tokenizer.from_str(json.dumps(config)).encode("abc").ids) == ids


def test_a_tokenizer_of_the_default_style_is_the_one_that_it_always_was() -> None:
    config = json.loads(train_tokenizer(TEXTS, Tokenize(vocabulary_size=600)).to_str())
    splits = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    assert config["pre_tokenizer"] == splits
    learned = json.dumps([config["model"]["vocab"], config["model"]["merges"]], sort_keys=True)
    assert (
        hashlib.sha256(learned.encode()).hexdigest()
        == "2dbc402700dc499730dbae7b78699eb978cf62c04d9cb76eb9cd563af43d7d55"
    )


@pytest.mark.parametrize("style", get_args(PreTokenizerName))
def test_a_word_without_end_is_learned_from_in_pieces(style: PreTokenizerName) -> None:
    draw = random.Random(5)
    word = "".join(draw.choice("acgt") for _ in range(4500))  # a million would keep the trainer busy for an hour
    settings = Tokenize(vocabulary_size=500, pre_tokenizer=style)
    whole = train_tokenizer([word, *TEXTS], settings)
    pieces = [word[start : start + 1000] for start in range(0, 4500, 1000)]
    assert whole.to_str() == train_tokenizer([*pieces, *TEXTS], settings).to_str()
    assert len(whole.pre_tokenizer.pre_tokenize_str(word)) == 1


@pytest.mark.parametrize("token", ["", "a", "\u0143"])
def test_a_special_token_is_no_byte(token: str) -> None:
    with pytest.raises(RecipeError, match=r"special_tokens: .* stand for bytes"):
        Tokenize(special_tokens=("<|endoftext|>", token))
    assert Tokenize(tokenizer="bytes", special_tokens=(token,)).special_tokens == (token,)
    assert Tokenize(special_tokens=("\u0144",)).special_tokens == ("\u0144",)


def test_a_vocabulary_has_room_for_bytes_and_special_tokens() -> None:
    tokens = ("<a>", "<b>")
    with pytest.raises(
        RecipeError, match=r"tokenize.vocabulary_size: 257 entries have no room .* set it to 258 at least"
    ):
        Tokenize(vocabulary_size=257, special_tokens=tokens, append_end=False)
    tokenizer = train_tokenizer(TEXTS, Tokenize(vocabulary_size=258, special_tokens=tokens, append_end=False))
    assert tokenizer.get_vocab_size() == 258
    assert [tokenizer.token_to_id(token) for token in tokens] == [0, 1]
    assert Tokenize(tokenizer="bytes", vocabulary_size=257, special_tokens=tokens).vocabulary_size == 257


def test_errors_name_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"is trained by `corpusmill run`"):
        Tokenize().open()
    with pytest.raises(RecipeError, match=r"there is no file 'nowhere.json'"):
        Tokenize(tokenizer="nowhere.json").open()
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    with pytest.raises(RecipeError, match=r"no tokenizer.json that `tokenizers` can read"):
        Tokenize(tokenizer=str(broken)).open()
