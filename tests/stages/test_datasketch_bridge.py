"""Signatures to datasketch and back: the same bits, and nothing taken in that could not match."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasketch import LeanMinHash, MinHash, MinHashLSH

from corpusmill.stages.datasketch_bridge import from_lsh, from_minhashes, lsh_from, to_datasketch
from corpusmill.stages.signature import Signatures, SignatureScheme, band_keys, sketch

TEXTS = ["the mill turns in the brook", "the mill turns in the brook today", "...", "nothing in common with it"]
SCHEMES = pytest.mark.parametrize(("scheme", "name"), [("datasketch", "affine32"), ("datasketch_legacy", "legacy")])


def signatures(scheme: SignatureScheme, permutations: int = 32) -> Signatures:
    return sketch(
        pa.array(TEXTS), shingle_words=2, permutations=permutations, signature=scheme, shingles=False
    ).signatures


def minhash(text: str, **settings: Any) -> MinHash:
    """What a program that uses datasketch makes of *text*."""
    made = MinHash(**{"num_perm": 32, **settings})
    words = text.split()
    made.update_batch([" ".join(words[at : at + 2]).encode() for at in range(len(words) - 1)])
    return made


@SCHEMES
def test_a_signature_is_a_minhash(scheme: SignatureScheme, name: str) -> None:
    for text, row in zip(TEXTS, signatures(scheme), strict=True):
        ours, theirs = to_datasketch(row, scheme), minhash(text, scheme=name)
        assert ours == theirs
        assert ours.jaccard(theirs) == 1.0
        assert ours.hashvalues.dtype == theirs.hashvalues.dtype
        # It goes on like one of theirs.
        ours.update(b"more words")
        theirs.update(b"more words")
        assert ours == theirs


@SCHEMES
def test_an_index_of_theirs_is_filled_from_signatures(scheme: SignatureScheme, name: str) -> None:
    index = lsh_from(["a", "b", "none", "c"], signatures(scheme), 16, 2, scheme)
    assert set(index.query(minhash(TEXTS[0], scheme=name))) == {"a", "b"}
    assert index.query(minhash(TEXTS[3], scheme=name)) == ["c"]
    # A text without words is in no band of ours either.
    assert "none" not in index.keys
    theirs = MinHashLSH(num_perm=32, params=(16, 2))
    for id_, text in zip("abc", [TEXTS[0], TEXTS[1], TEXTS[3]], strict=True):
        theirs.insert(id_, minhash(text, scheme=name))
    theirs.merge(index, check_overlap=False)


@SCHEMES
def test_what_an_index_of_theirs_holds_is_read_back(scheme: SignatureScheme, name: str) -> None:
    index = MinHashLSH(num_perm=32, params=(10, 3))
    for id_, text in zip("abc", [TEXTS[0], TEXTS[1], TEXTS[3]], strict=True):
        index.insert(id_, minhash(text, scheme=name))
    ids, found = from_lsh(index, scheme)
    assert ids == ["a", "b", "c"]
    assert found.dtype == np.uint32
    assert (found == signatures(scheme)[[0, 1, 3], :30]).all()
    assert (band_keys(found, 10, 3) == band_keys(signatures(scheme), 10, 3)[:, [0, 1, 3]]).all()
    assert from_lsh(MinHashLSH(num_perm=32, params=(10, 3)), scheme)[1].shape == (0, 30)


@SCHEMES
def test_minhashes_of_theirs_are_read(scheme: SignatureScheme, name: str) -> None:
    made = [minhash(text, scheme=name) for text in TEXTS]
    ids, found = from_minhashes(zip("abcd", made, strict=True), 32, scheme)
    assert ids == list("abcd")
    assert (found == signatures(scheme)).all()
    lean = from_minhashes([("a", LeanMinHash(made[0]))], 32, scheme)
    assert (lean[1] == found[:1]).all()
    assert from_minhashes([], 32, scheme)[1].shape == (0, 32)


def another_hash(data: bytes) -> int:
    return len(data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_perm": 64}, "num_perm 64, not 32"),
        ({"seed": 2}, "seed 2, not 1"),
        ({"scheme": "legacy"}, "signature = 'datasketch_legacy'"),
        ({"scheme": "affine64"}, "scheme 'affine64'"),
        ({"hashfunc": another_hash}, "hash function of its own"),
        ({"permutations": ([3] * 32, [1] * 32), "scheme": "affine32"}, "permutations of its own"),
    ],
)
def test_a_minhash_that_cannot_match_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        from_minhashes([("page-7", minhash(TEXTS[0], **settings))], 32)
    assert "'page-7'" in str(caught.value)


def test_an_index_that_cannot_be_read_is_refused() -> None:
    def filled(made: MinHash, **settings: Any) -> MinHashLSH:
        index = MinHashLSH(num_perm=32, params=(10, 3), **settings)
        index.insert("a", made)
        return index

    with pytest.raises(ValueError, match="scheme 'legacy', not 'affine32'"):
        from_lsh(filled(minhash(TEXTS[0], scheme="legacy")))
    with pytest.raises(ValueError, match="hashes its band keys"):
        from_lsh(filled(minhash(TEXTS[0]), hashfunc=lambda key: key[:4]))
    with pytest.raises(ValueError, match="pickles its ids"):
        from_lsh(filled(minhash(TEXTS[0]), prepickle=True))
    with pytest.raises(TypeError, match="this is a dict"):
        from_lsh({})


def test_signatures_of_our_own_scheme_are_not_passed_off_as_theirs() -> None:
    with pytest.raises(ValueError, match="sketch with signature = 'datasketch'"):
        to_datasketch(np.zeros(32, np.uint32), "v1")


def test_ids_and_signatures_have_to_fit() -> None:
    values = signatures("datasketch")
    with pytest.raises(ValueError, match="2 ids for 4 signatures"):
        lsh_from(["a", "b"], values, 16, 2)
    with pytest.raises(ValueError, match="'a' comes twice"):
        lsh_from(["a", "a", "b", "c"], values, 16, 2)


def test_datasketch_is_imported_for_the_bridge_and_not_before() -> None:
    code = "import sys, corpusmill.stages.datasketch_bridge; sys.exit('datasketch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
