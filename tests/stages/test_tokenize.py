"""Token ids are those of the tokenizer, whole documents, with an end that can be found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpusmill.schemas import RecipeError
from corpusmill.stages import Tokenize
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


def test_errors_name_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"is trained by `corpusmill run`"):
        Tokenize().open()
    with pytest.raises(RecipeError, match=r"there is no file 'nowhere.json'"):
        Tokenize(tokenizer="nowhere.json").open()
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    with pytest.raises(RecipeError, match=r"no tokenizer.json that `tokenizers` can read"):
        Tokenize(tokenizer=str(broken)).open()
