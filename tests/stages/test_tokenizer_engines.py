"""Whichever engine makes them, ids are those of `tokenizers`; and why an engine is or is not used is said."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers

from corpusmill.schemas import EngineMismatchError, RecipeError
from corpusmill.stages import Tokenize, tokenizer_engines
from corpusmill.stages.kernels.tokens import FINE, INVALID, UNSURE, look, samples
from corpusmill.stages.pre_tokenizers import PreTokenizerName
from corpusmill.stages.text_buffers import text_buffers
from corpusmill.stages.tokenize import END_OF_TEXT, TokenizeBatches, byte_tokenizer, load_tokenizer, train_tokenizer
from corpusmill.stages.tokenizer_engines import _pieces, _window, open_engine

WORDS = [
    "the",
    "mill",
    "by",
    "the",
    "river",
    "grinds",
    "flour",
    "bread",
    "water",
    "Wheel",
    "STONE",
    "don't",
    "it's",
    "über",
    "naïve",
    "Straße",
    "Слово",
    "слова",
    "水車",
    "小屋",
    "12",
    "345",
]
KINDS: tuple[PreTokenizerName, ...] = ("gpt2", "cl100k", "llama3", "qwen2", "o200k")
UNASSIGNED_TO_TOKENIZERS = "\u088f"
"""A letter of Unicode 17."""


def trained(kind: PreTokenizerName) -> Any:
    dice = random.Random(1)
    texts = [" ".join(dice.choices(WORDS, k=30)) for _ in range(200)]
    tokenizer = train_tokenizer(texts, Tokenize(vocabulary_size=700, pre_tokenizer=kind))
    if kind == "qwen2":  # which has it as released
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizers")
    for kind in KINDS:
        trained(kind).save(str(folder / f"{kind}.json"))
    byte_tokenizer().save(str(folder / "bytes.json"))
    return folder


@pytest.fixture(scope="module")
def opened(folder: Path) -> Callable[..., TokenizeBatches]:
    known: dict[Any, TokenizeBatches] = {}

    def open_(kind: str, **settings: Any) -> TokenizeBatches:
        key = (kind, *settings.items())
        if key not in known:
            known[key] = Tokenize(tokenizer=str(folder / f"{kind}.json"), **settings).open()
        return known[key]

    return open_


def ids_of(run: TokenizeBatches, texts: list[str | None] | list[str] | pa.Array) -> list[list[int]]:
    column = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string())
    ids: list[list[int]] = run(pa.record_batch({"text": column}))[0]["input_ids"].to_pylist()
    return ids


PIECES = st.sampled_from(
    [
        *WORDS,
        *(END_OF_TEXT, "\r\n\r\n", "'S", "'ſ", "K", "\u0301", "\u0345", "e\u0323\u0301", UNASSIGNED_TO_TOKENIZERS),
        *" \n\r\t\x0b\x1c\x85\xa0\u2003\u3000",
        *("\U00016ea4", "\U0010ffff", "\U0010fffe", "हिन्दी", "한국어", "👨\u200d👩\u200d👧", "🇩🇪", "٣", "½", "ʕ"),
    ]
)


@pytest.mark.parametrize("kind", [*KINDS, "bytes"])
@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(
        st.none() | st.text(max_size=40) | st.lists(PIECES | st.text(max_size=2), max_size=12).map("".join), min_size=1
    )
)
def test_ids_are_those_of_tokenizers(
    kind: str, texts: list[str | None], opened: Callable[..., TokenizeBatches]
) -> None:
    texts = [None if text is None else text.encode("utf-8", "replace").decode() for text in texts]
    mine = opened(kind, engine="auto", compared_share=0.0)
    assert ids_of(mine, texts) == ids_of(opened(kind, engine="tokenizers"), texts)
    assert mine.take_counts().keys() == ({"bytes"} if kind == "bytes" else {"gigatoken", "tokenizers", "compared"})


@pytest.mark.parametrize("kind", ["gpt2", "qwen2"])
def test_texts_that_engines_read_differently_go_to_the_reference(
    kind: str, opened: Callable[..., TokenizeBatches]
) -> None:
    run = opened(kind, compared_share=1.0)
    run.take_counts()
    texts = ["the mill", UNASSIGNED_TO_TOKENIZERS, "a \U0010ffff b", f"{END_OF_TEXT} in text", ""]
    assert ids_of(run, texts) == ids_of(opened(kind, engine="tokenizers"), texts)
    assert run.take_counts() == {"gigatoken": 3, "tokenizers": 2, "compared": 3}


def test_sliced_and_narrow_columns_are_taken(opened: Callable[..., TokenizeBatches]) -> None:
    texts = pa.array(["before", "the mill", None, UNASSIGNED_TO_TOKENIZERS, "river"])
    run = opened("gpt2")
    expected = ids_of(opened("gpt2", engine="tokenizers"), texts.slice(1))
    assert ids_of(run, texts.slice(1)) == expected
    assert ids_of(run, texts.slice(1).cast(pa.large_string())) == expected
    assert ids_of(run, texts.slice(0, 0)) == []


def test_documents_can_begin_with_a_token(folder: Path) -> None:
    path = str(folder / "gpt2.json")
    end = load_tokenizer(path).token_to_id(END_OF_TEXT)
    for engine in ("gigatoken", "tokenizers"):
        (ids,) = ids_of(Tokenize(tokenizer=path, begin_token=END_OF_TEXT, engine=engine).open(), ["the mill"])
        assert ids[0] == ids[-1] == end
        assert end not in ids[1:-1]
    with pytest.raises(RecipeError, match=r"has no token '<x>' to begin documents with; set tokenize.begin_token"):
        Tokenize(tokenizer=path, begin_token="<x>").open()


@pytest.mark.parametrize("kind", ["gpt2", "bytes"])
def test_special_tokens_in_text_are_tokens_when_asked_for(kind: str, folder: Path) -> None:
    path = str(folder / f"{kind}.json")
    texts = [f"one{END_OF_TEXT}two", "three"]
    end = load_tokenizer(path).token_to_id(END_OF_TEXT)
    asked: dict[str, Any] = {"tokenizer": path, "special_tokens_in_text": "token", "append_end": False}
    mine = ids_of(Tokenize(**asked).open(), texts)
    assert mine == ids_of(Tokenize(**asked, engine="tokenizers").open(), texts)
    assert mine[0].count(end) == 1
    assert end not in ids_of(Tokenize(tokenizer=path, append_end=False).open(), texts)[0]


def test_added_tokens_that_are_not_special_are_found_in_text(folder: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(folder / "gpt2.json"))
    tokenizer.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("mill", single_word=True)])
    tokenizer.save(str(tmp_path / "added.json"))
    run = Tokenize(tokenizer=str(tmp_path / "added.json"), compared_share=1.0).open()
    texts = ["a <tool> here", "a mill", "windmills", "the river"]
    assert ids_of(run, texts) == ids_of(
        Tokenize(tokenizer=str(tmp_path / "added.json"), engine="tokenizers").open(), texts
    )
    assert run.take_counts() == {"gigatoken": 1, "tokenizers": 3, "compared": 1}


def test_added_tokens_of_normalized_text_are_left_to_the_reference(folder: Path) -> None:
    tokenizer = load_tokenizer(str(folder / "qwen2.json"))
    tokenizer.add_tokens([AddedToken("Kmill", normalized=True)])
    choice = open_engine(tokenizer, "auto", cache_memory=1 << 28, compared_share=0.0).choice
    assert "looks for added tokens in normalized text" in choice.reason


def test_calls_keep_a_stage_open_until_its_file_changes(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes((folder / "gpt2.json").read_bytes())
    stage, table = Tokenize(tokenizer=str(path)), pa.table({"text": ["the mill"]})
    assert stage.open_for_call() is stage.open_for_call()
    first = stage(table)
    path.write_bytes((folder / "bytes.json").read_bytes())
    assert stage(table)["input_ids"].to_pylist() == [[*b"the mill", 256]]
    assert first["input_ids"].to_pylist() != [[*b"the mill", 256]]


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Any:
    config = json.loads(path.read_text())
    change(config)
    tokenizer = Tokenizer.from_str(json.dumps(config))
    tokenizer.encode_special_tokens = True
    return tokenizer


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c.update(normalizer={"type": "Lowercase"}), "its normalizer is Lowercase"),
        (lambda c: c["model"].update(dropout=0.1), "its model has dropout"),
        (lambda c: c["model"].update(unk_token="a"), "its model has unk_token"),
        (lambda c: c["pre_tokenizer"].update(add_prefix_space=True), "does not end with plain ByteLevel"),
        (lambda c: c["pre_tokenizer"].update(use_regex=False), "does not split"),
        (lambda c: c.update(pre_tokenizer={"type": "Whitespace"}), "does not end with plain ByteLevel"),
        (lambda c: c["model"]["vocab"].pop("é"), "lacks some of the 256 bytes"),
    ],
)
def test_what_gigatoken_is_not_known_to_read_is_left_to_the_reference(
    change: Callable[[dict[str, Any]], object], reason: str, folder: Path
) -> None:
    tokenizer = changed(folder / "gpt2.json", change)
    choice = open_engine(tokenizer, "auto", cache_memory=1 << 28, compared_share=0.0).choice
    assert choice.engine == "tokenizers"
    assert reason in choice.reason
    with pytest.raises(RecipeError, match=r"tokenize.engine: gigatoken cannot be used: .*; set engine = \"auto\""):
        open_engine(tokenizer, "gigatoken", cache_memory=1 << 28, compared_share=0.0)


def test_other_models_are_left_to_the_reference() -> None:
    for model, kind in (
        (models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"), "WordPiece"),
        (models.Unigram([("a", 0.0)]), "Unigram"),
    ):
        tokenizer = Tokenizer(model)
        engine = open_engine(tokenizer, "auto", cache_memory=1 << 28, compared_share=0.0)
        assert engine.choice.reason == f"gigatoken cannot be used: its model is {kind}, not BPE"
        assert len(engine.encode(pa.array(["a"], pa.large_string())).ids) == 1


def test_a_missing_gigatoken_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gigatoken.gigatoken_rs", None)
    choice = Tokenize(tokenizer=str(folder / "gpt2.json")).choice()
    assert choice.engine == "tokenizers"
    assert "ModuleNotFoundError" in choice.reason


def test_the_choice_names_version_and_reason(folder: Path) -> None:
    said = [str(Tokenize(tokenizer=str(folder / f"{kind}.json")).choice()) for kind in ("gpt2", "bytes")]
    assert said[0].startswith("gigatoken ")
    assert "code points go to tokenizers" in said[0]
    assert said[1] == "bytes (its ids are the bytes of the text)"
    asked = Tokenize(tokenizer=str(folder / "gpt2.json"), engine="tokenizers").choice()
    assert (asked.engine, asked.reason) == ("tokenizers", "asked for")


def lying(loaded: Callable[[str], Any], word: bytes) -> Callable[[str], Any]:
    """Return engines that give other ids for texts with a word in them."""

    def load(text: str) -> Any:
        encode = loaded(text)

        def lie(data: bytes) -> Any:
            ids = encode(data)
            if word in data:
                ids = ids.copy()
                ids[0] += 1
            return ids

        return lie

    return load


def test_a_mismatch_stops_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_engines, "_loaded", lying(tokenizer_engines._loaded, b"xyzzy"))
    stage = Tokenize(tokenizer=str(folder / "gpt2.json"), compared_share=1.0)
    run = stage.open()
    ids_of(run, ["plugh"])
    with pytest.raises(
        EngineMismatchError, match=r"gigatoken gave other ids than tokenizers .* engine = \"tokenizers\""
    ):
        ids_of(run, ["xyzzy"])
    with pytest.raises(EngineMismatchError):
        ids_of(run, ["plugh " * 20_000 + "xyzzy " * 20_000])  # a long text is compared in part


def test_a_flaw_that_shows_in_the_vocabulary_is_found_before_any_text(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_engines, "_loaded", lying(tokenizer_engines._loaded, b"river"))
    monkeypatch.setattr(tokenizer_engines, "_kept_in", lambda: None)
    choice = Tokenize(tokenizer=str(folder / "gpt2.json")).choice()
    assert choice.engine == "tokenizers"
    assert "it gives other ids than `tokenizers` for" in choice.reason


def test_an_engine_whose_caches_are_full_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    grown = itertools.count(0, 10)
    loaded = tokenizer_engines._loaded

    def load(text: str) -> Any:
        made.append(1)
        return loaded(text)

    monkeypatch.setattr(tokenizer_engines, "_loaded", load)
    monkeypatch.setattr(tokenizer_engines, "_resident", lambda: next(grown))
    run = Tokenize(tokenizer=str(folder / "gpt2.json"), cache_memory="4B", compared_share=0.0).open()
    before = len(made)
    expected = ids_of(Tokenize(tokenizer=str(folder / "gpt2.json"), engine="tokenizers").open(), ["the mill"] * 3)
    assert ids_of(run, ["the mill"] * 3) == expected
    assert len(made) == before + 1


def test_what_is_no_utf8_is_refused_by_every_engine(opened: Callable[..., TokenizeBatches]) -> None:
    for raw in (b"\xff", b"a\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xf0\x80\x80\x80"):
        texts = pa.array([b"fine", raw, b"\xa9fine"[1:]], pa.large_binary())
        damaged = pa.Array.from_buffers(pa.large_string(), 3, texts.buffers())
        for kind, engine in (("gpt2", "auto"), ("gpt2", "tokenizers"), ("bytes", "auto")):
            with pytest.raises(UnicodeDecodeError):
                opened(kind, engine=engine)(pa.record_batch({"text": damaged}))


@settings(max_examples=300, deadline=None)
@given(
    parts=st.lists(st.binary(max_size=5) | st.text(max_size=3).map(lambda t: t.encode("utf-8", "ignore")), max_size=9)
)
def test_looking_is_what_python_makes_of_bytes(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    unsure = np.zeros(0x110000, np.uint8)
    unsure[[0xE9, 0x20AC, 0x1F600]] = 1
    pages = unsure.reshape(-1, 64).any(axis=1).astype(np.uint8)
    try:
        expected = UNSURE if any(unsure[ord(character)] for character in raw.decode()) else FINE
    except UnicodeDecodeError:
        expected = INVALID
    for before in (0, 127, 128):
        data = np.frombuffer(b"x" * before + raw, np.uint8)
        found = np.zeros(1, np.uint8)
        look(data, np.array([0]), np.array([data.size]), unsure, pages, found)
        assert found[0] == expected


def test_samples_follow_from_texts_alone() -> None:
    texts = [f"{number} the mill by the river {number}" for number in range(4_000)]

    def drawn(texts: list[str]) -> set[str]:
        buffers, chosen = text_buffers(pa.array(texts)), np.zeros(len(texts), np.bool_)
        samples(*buffers, np.uint64(2**64 // 10), np.zeros(len(texts), np.uint64), chosen)
        return {text for text, yes in zip(texts, chosen.tolist(), strict=True) if yes}

    whole = drawn(texts)
    assert 300 < len(whole) < 500
    assert drawn(texts[::-1]) == whole
    assert drawn(texts[1000:2000]) == whole & set(texts[1000:2000])


def test_pieces_cover_all_rows_and_windows_are_whole_characters() -> None:
    sizes = np.array([5, 0, 100, 3, 3, 3, 0])
    assert list(_pieces(sizes, 6)) == [(0, 2), (2, 3), (3, 5), (5, 7)]
    assert list(_pieces(sizes[:0], 6)) == []
    raw = "€".encode() * 50_000
    assert {len(_window(raw, draw).decode()) > 21_000 for draw in range(300)} == {True}


@pytest.mark.parametrize("kind", KINDS)
def test_every_style_that_is_trained_is_read_by_gigatoken_and_gives_back_the_text(
    kind: PreTokenizerName, tmp_path: Path
) -> None:
    path = str(tmp_path / "t.json")
    texts = ["the mill grinds 12345 bags, it's HTTPServer\n\n  हिन्दी e\u0323\u0301 水車", ""]
    train_tokenizer(texts * 9, Tokenize(vocabulary_size=320, pre_tokenizer=kind)).save(path)
    run = Tokenize(tokenizer=path, engine="gigatoken", compared_share=1.0, append_end=False).open()
    ids = ids_of(run, texts)
    assert ids == ids_of(Tokenize(tokenizer=path, engine="tokenizers", append_end=False).open(), texts)
    assert [load_tokenizer(path).decode(text) for text in ids] == texts
    assert run.take_counts()["gigatoken"] == 2
