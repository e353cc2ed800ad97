"""Signatures into an index that others are compared with, and out of one; datasketch at both ends."""

from __future__ import annotations

import random
from pathlib import Path

import datasketch
import numpy as np
import pyarrow as pa
import pytest

from corpusmill.schemas import RecipeError
from corpusmill.stages import Deduplicate
from corpusmill.stages.datasketch_bridge import from_lsh, from_minhashes, lsh_from
from corpusmill.stages.index_exchange import read_index, write_index

WORDS = [f"word{number}" for number in range(2000)]


def text(seed: int, changed: int = 0) -> str:
    words = random.Random(seed).choices(WORDS, k=200)
    for at in range(changed):
        words[at * 40] = f"other{at}"
    return " ".join(words)


def minhash_of(words: list[str]) -> datasketch.MinHash:
    minhash = datasketch.MinHash(num_perm=128, seed=1)
    minhash.update_batch([" ".join(words[at : at + 5]).encode() for at in range(len(words) - 4)])
    return minhash


def batch(texts: list[str]) -> pa.RecordBatch:
    return pa.record_batch({"id": [f"new{n}" for n in range(len(texts))], "text": texts})


def test_a_corpus_that_datasketch_indexed_is_compared_with(tmp_path: Path) -> None:
    known = [(f"old{seed}", minhash_of(text(seed).split())) for seed in range(20)]
    ids, signatures = from_minhashes(known, 128, "datasketch")
    stage = Deduplicate(signature="datasketch")
    write_index(tmp_path / "known", ids, signatures, stage)
    stage = Deduplicate(signature="datasketch", against=(str(tmp_path / "known"),))
    verdicts = stage.judge(batch([text(3), text(7, changed=2), text(99)]))[1].to_pylist()
    assert [v and (v["reason"], v["ref"]) for v in verdicts] == [
        ("near_duplicate_against", "old3"),
        ("near_duplicate_against", "old7"),
        None,
    ]
    assert verdicts[0]["value"] == 1


def test_an_lsh_index_of_datasketch_can_be_used(tmp_path: Path) -> None:
    lsh = datasketch.MinHashLSH(num_perm=128, params=(20, 6))
    for seed in range(20):
        lsh.insert(f"old{seed}", minhash_of(text(seed).split()))
    ids, signatures = from_lsh(lsh, "datasketch")
    assert signatures.shape == (20, 120)  # it keeps no more
    stage = Deduplicate(signature="datasketch")
    write_index(tmp_path / "known", ids, signatures, stage)
    stage = Deduplicate(signature="datasketch", against=(str(tmp_path / "known"),))
    verdicts = stage.judge(batch([text(5, changed=1), text(50)]))[1].to_pylist()
    assert [v and v["ref"] for v in verdicts] == ["old5", None]


def test_ours_can_be_exported(tmp_path: Path) -> None:
    stage = Deduplicate(signature="datasketch")
    texts = [text(1), text(2), text(1, changed=1), text(3)]
    index = stage.open_index()
    sketches = pa.Table.from_batches([stage.sketch()(batch(texts))])
    index.add(0, sketches)
    folder = tmp_path / "out" / "state" / "index" / "deduplicate-000000"
    folder.mkdir(parents=True)
    index.save(folder, "../../sketches/split-{split:06d}-0.arrow")
    path = tmp_path / "out" / "state" / "sketches" / "split-000000-0.arrow"
    path.parent.mkdir()
    with pa.ipc.new_stream(str(path), sketches.schema) as stream:
        stream.write_table(sketches)
    ids, signatures = read_index(tmp_path / "out")
    assert ids == ["new0", "new1", "new3"]
    assert (signatures[2] == minhash_of(text(3).split()).hashvalues).all()
    lsh = lsh_from(ids, signatures, 20, 6)
    assert lsh.query(minhash_of(text(2, changed=1).split())) == ["new1"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="2 signatures of 120 to 128 values are needed"):
        write_index(tmp_path / "a", ["a", "b"], np.zeros((2, 64), np.uint32), Deduplicate())
    write_index(tmp_path / "b", [], np.zeros((0, 128), np.uint32), Deduplicate())
    with pytest.raises(RecipeError, match="exists already"):
        write_index(tmp_path / "b", [], np.zeros((0, 128), np.uint32), Deduplicate())
    assert read_index(tmp_path / "b")[0] == []
    with pytest.raises(RecipeError, match="has no index"):
        read_index(tmp_path / "c")
