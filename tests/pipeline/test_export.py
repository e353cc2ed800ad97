"""Shards in other formats, read back: by those formats' own readers where they are installed, else by their definition."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from corpusmill.cli import cli
from corpusmill.export import export
from corpusmill.log import Log
from corpusmill.recipe import load_recipe
from corpusmill.run import run
from corpusmill.schemas import OutputMismatchError, RecipeError
from corpusmill.stages import stage_from
from support import SMALL_STEPS, prose

LENGTH = 33


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("outputs")
    (root / "crawl").mkdir()
    lines = [json.dumps({"id": f"d{seed}", "text": f"{prose(seed, 5 + seed % 70)} – é {seed}"}) for seed in range(60)]
    (root / "crawl" / "a.jsonl").write_text("\n".join(lines) + "\n")
    changes = [*SMALL_STEPS, "output.row_group_rows=7"]
    documents = load_recipe("minimal", [*changes, "tokenize.tokenizer=bytes"])
    pack = stage_from({"kind": "pack", "sequence_length": LENGTH, "strategy": "best_fit"}, "test")
    stored = stage_from({"kind": "pack", "sequence_length": LENGTH, "strategy": "best_fit", "column": "binary"}, "test")
    recipes = {
        "documents": documents,
        "binary": type(documents)(
            name="binary", input=documents.input, output=documents.output, stages=(*documents.stages, stored)
        ),
        "packed": type(documents)(
            name="packed", input=documents.input, output=documents.output, stages=(*documents.stages, pack)
        ),
        "trained": load_recipe("minimal", changes),
    }
    for name, recipe in recipes.items():
        run(recipe, [root / "crawl"], root / name)
    return {name: root / name for name in recipes}


def rows_of(output: Path, subset: str = "train") -> list[dict[str, Any]]:
    return [row for path in sorted((output / "shards").glob(f"{subset}-*")) for row in pq.read_table(path).to_pylist()]


def tokens_of(output: Path) -> list[list[int]]:
    if output.name == "binary":
        rows = [(np.frombuffer(row["input_ids"], "<u2").tolist(), row["n_tokens"]) for row in rows_of(output)]
        assert rows == [(row["input_ids"], row["n_tokens"]) for row in rows_of(output.parent / "packed")]
        return [ids[:length] for ids, length in rows]
    return [row["input_ids"][: row["n_tokens"]] for row in rows_of(output)]


per_layout = pytest.mark.parametrize("layout", ["documents", "packed", "binary"])


@per_layout
def test_megatron_files_are_what_megatron_defines(outputs: dict[str, Path], layout: str, tmp_path: Path) -> None:
    done = export(outputs[layout], tmp_path / "m", "megatron")
    expected = tokens_of(outputs[layout])
    assert (done.rows, done.tokens, done.files) == (len(expected), sum(map(len, expected)), 2)
    index, tokens = (tmp_path / "m" / "train.idx").read_bytes(), np.fromfile(tmp_path / "m" / "train.bin", np.uint16)
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, code, rows, ends = struct.unpack_from("<QBQQ", index, 9)
    assert (version, code, rows, ends) == (1, 8, len(expected), len(expected) + 1)
    lengths = np.frombuffer(index, np.int32, rows, 34)
    places = np.frombuffer(index, np.int64, rows, 34 + 4 * rows)
    documents = np.frombuffer(index, np.int64, rows + 1, 34 + 12 * rows)
    assert len(index) == 34 + 4 * rows + 8 * rows + 8 * (rows + 1)
    assert [tokens[p // 2 : p // 2 + n].tolist() for p, n in zip(places, lengths, strict=True)] == expected
    assert documents.tolist() == list(range(rows + 1))


@pytest.mark.filterwarnings("ignore")
def test_megatron_reads_it(outputs: dict[str, Path], tmp_path: Path) -> None:
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset")
    export(outputs["documents"], tmp_path / "m", "megatron")
    dataset = indexed.IndexedDataset(str(tmp_path / "m" / "train"))
    assert [row.tolist() for row in dataset] == tokens_of(outputs["documents"])


@per_layout
def test_datatrove_files_are_what_datatrove_defines(outputs: dict[str, Path], layout: str, tmp_path: Path) -> None:
    export(outputs[layout], tmp_path / "d", "datatrove")
    found = []
    for path in sorted((tmp_path / "d").glob("*.ds")):
        tokens = np.fromfile(path, np.uint16).tolist()
        ends = np.fromfile(f"{path}.index", np.uint64).tolist()
        found += [tokens[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
        name, count = Path(f"{path}.metadata").read_text().splitlines()
        assert (name, int(count)) == (f"{outputs[layout].absolute()}/tokenizer.json|2", len(tokens))
    assert found == tokens_of(outputs[layout])


@pytest.mark.filterwarnings("ignore")
def test_datatrove_reads_it(outputs: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    readers = pytest.importorskip("datatrove.utils.dataset")
    export(outputs["documents"], tmp_path / "d", "datatrove")
    for path in sorted((tmp_path / "d").glob("*.ds")):
        tokens = np.fromfile(path, np.uint16).tolist()
        dataset = readers.DatatroveFileDataset(str(path), seq_len=16, token_size=2, return_positions=True)
        assert len(dataset) == len(tokens) // 17
        items = [dataset[number] for number in range(len(dataset))]  # iterating over it has no end
        assert [t for item in items for t in item["input_ids"].tolist()] == tokens[: len(dataset) * 17]


@per_layout
def test_numpy_arrays_are_mapped(outputs: dict[str, Path], layout: str, tmp_path: Path) -> None:
    export(outputs[layout], tmp_path / "n", "numpy", "train")
    tokens = np.load(tmp_path / "n" / "train.npy", mmap_mode="r")
    ends = np.load(tmp_path / "n" / "train.ends.npy", mmap_mode="r")
    assert tokens.dtype == np.uint16
    assert [part.tolist() for part in np.split(tokens, ends[:-1])] == tokens_of(outputs[layout])
    assert sorted(path.name for path in (tmp_path / "n").iterdir()) == ["train.ends.npy", "train.npy"]


@pytest.mark.filterwarnings("ignore")
@per_layout
def test_streaming_reads_its_shards(outputs: dict[str, Path], layout: str, tmp_path: Path) -> None:
    streaming = pytest.importorskip("streaming", exc_type=ImportError)
    export(outputs[layout], tmp_path / "s", "mds")
    dataset = streaming.StreamingDataset(local=str(tmp_path / "s" / "train"), shuffle=False, batch_size=1)
    assert [dataset[number]["tokens"].tolist() for number in range(len(dataset))] == tokens_of(outputs[layout])


@pytest.mark.parametrize("name", ["documents", "trained"])
def test_text_comes_back(outputs: dict[str, Path], name: str, tmp_path: Path) -> None:
    export(outputs[name], tmp_path / "j", "jsonl", "validation")
    lines = [
        json.loads(line) for path in sorted((tmp_path / "j").glob("*")) for line in path.read_text().split("\n") if line
    ]
    rows = rows_of(outputs[name], "validation")
    assert [line["id"] for line in lines] == [row["id"] for row in rows]
    texts = {f"d{seed}": f"{prose(seed, 5 + seed % 70)} – é {seed}" for seed in range(60)}
    assert {line["id"]: line["text"] for line in lines} == {row["id"]: texts[row["id"]] for row in rows}
    assert set(lines[0]) == {"id", "url", "source", "text"}


def test_tokens_that_documents_begin_and_end_with_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "a.txt").write_text("A page about <|endoftext|> and its end.")
    changes = [
        "tokenize.vocabulary_size=300",
        'tokenize.special_tokens=["<|endoftext|>", "<|begin|>"]',
        "tokenize.begin_token=<|begin|>",
        "tokenize.special_tokens_in_text=token",
        "output.validation_share=0",
    ]
    run(load_recipe("minimal", changes), [tmp_path / "crawl"], tmp_path / "out")
    export(tmp_path / "out", tmp_path / "j", "jsonl")
    (line,) = (tmp_path / "j" / "train-00000.jsonl").read_text().splitlines()
    assert json.loads(line)["text"] == "A page about <|endoftext|> and its end."


def test_what_cannot_be_exported_says_why(outputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean 'megatron'"):
        export(outputs["documents"], tmp_path / "x", "megatrn")
    with pytest.raises(RecipeError, match="no shards of the subset 'test'"):
        export(outputs["documents"], tmp_path / "x", "numpy", "test")
    with pytest.raises(RecipeError, match="in which documents are cut"):
        export(outputs["packed"], tmp_path / "x", "jsonl")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    for place in (tmp_path / "full", tmp_path / "full" / "a"):
        with pytest.raises(RecipeError, match="is there already"):
            export(outputs["packed"], place, "numpy")


def test_shards_that_are_not_what_the_manifest_says_are_not_exported(outputs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(outputs["documents"], tmp_path / "out")
    first, second = sorted((tmp_path / "out" / "shards").glob("train-*"))[:2]
    shutil.copy(first, second)
    (tmp_path / "numpy.unfinished").mkdir()
    for name in ("megatron", "datatrove", "numpy", "jsonl"):
        with pytest.raises(OutputMismatchError, match="its manifest says"):
            export(tmp_path / "out", tmp_path / name, name)
        assert not list(tmp_path.glob(f"{name}*"))
    second.write_bytes(b"PAR1")
    with pytest.raises(OutputMismatchError, match="cannot be read"):
        export(tmp_path / "out", tmp_path / "y", "numpy")


def test_the_command_says_what_it_wrote(outputs: dict[str, Path], tmp_path: Path) -> None:
    arguments = ["export", str(outputs["documents"]), str(tmp_path / "m"), "-f", "megatron", "-q"]
    result = CliRunner().invoke(cli, arguments, obj=Log())
    assert result.exit_code == 0
    tokens = sum(map(len, tokens_of(outputs["documents"])))
    assert f"{tokens:,} tokens, 2 files in" in result.output
