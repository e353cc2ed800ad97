"""Signatures out to datasketch and in from it, so that an index that exists can be used and one of ours be read elsewhere.

With `signature = "datasketch"` (or `"datasketch_legacy"`, datasketch before 2.0) our signatures are bit for bit those of
`datasketch.MinHash(num_perm, seed=1)` with its default hash function, over shingles of words joined by one space. What is read
from datasketch is objects that the caller has made; no file is opened here, because datasketch keeps its indexes as pickles,
and opening a pickle runs whatever is in it.

datasketch is imported when a function is called: it takes 0.7 s, for scipy.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from corpusmill.stages.signature import SignatureScheme
from corpusmill.stages.signature_kernels import Signatures, datasketch_permutations, readonly

__all__ = ["from_lsh", "from_minhashes", "lsh_from", "to_datasketch"]

_SEED: Final = 1
_SCHEMES: Final[dict[str, str]] = {"datasketch": "affine32", "datasketch_legacy": "legacy"}
_NONE: Final = 0xFFFFFFFF


def to_datasketch(signature: Signatures, scheme: SignatureScheme = "datasketch") -> Any:
    """Return the `datasketch.MinHash` that has the values of *signature*, one row of `Sketches.signatures`.

    ValueError for signatures of scheme "v1": they would look comparable to datasketch's own, and are not.
    """
    import datasketch

    name = _scheme(scheme)
    values: Any = signature.astype(np.uint64 if name == "legacy" else np.uint32)
    permutations = _permutations(len(signature), name)
    return datasketch.MinHash(hashvalues=values, permutations=permutations, seed=_SEED, scheme=name)


def lsh_from(
    ids: Sequence[str], signatures: Signatures, bands: int, rows: int, scheme: SignatureScheme = "datasketch"
) -> Any:
    """Return a `datasketch.MinHashLSH` of *bands* x *rows* that holds *signatures*, shape (n, permutations), under *ids*.

    Texts without words (every value 0xFFFFFFFF) are left out, as they are in our own index: datasketch would find each of them
    a duplicate of all others. ValueError if an id comes twice.
    """
    import datasketch

    if len(ids) != len(signatures):
        raise ValueError(f"{len(ids)} ids for {len(signatures)} signatures: hand over one id for each")
    index = datasketch.MinHashLSH(num_perm=signatures.shape[1], params=(bands, rows))
    for id_, signature in zip(ids, signatures, strict=True):
        if (signature != _NONE).any():
            if id_ in index.keys:
                raise ValueError(f"the id {id_!r} comes twice: a MinHashLSH keeps one signature under an id")
            index.insert(id_, to_datasketch(signature, scheme))
    return index


def from_minhashes(
    minhashes: Iterable[tuple[str, Any]], permutations: int, scheme: SignatureScheme = "datasketch"
) -> tuple[list[str], Signatures]:
    """Return ids and signatures, shape (n, permutations), of pairs of an id and a `datasketch.MinHash` or `LeanMinHash`.

    ValueError for a MinHash that could not match ours: other number of permutations, seed, scheme, permutations or hash
    function. (A LeanMinHash does not know its hash function: that it was SHA-1 is the caller's word.)
    """
    name = _scheme(scheme)
    expected = _permutations(permutations, name)
    ids: list[str] = []
    values: list[npt.NDArray[Any]] = []
    for id_, minhash in minhashes:
        _check(id_, minhash, name, expected)
        ids.append(id_)
        values.append(np.asarray(minhash.hashvalues).astype(np.uint32))
    return ids, np.array(values, np.uint32).reshape(-1, permutations)


def from_lsh(index: Any, scheme: SignatureScheme = "datasketch") -> tuple[list[str], Signatures]:
    """Return ids, as they were inserted, and signatures, shape (n, bands x rows), of a `datasketch.MinHashLSH`.

    It keeps that many values of each signature and no more, enough for an index of the same bands. It knows neither seed nor
    hash function: that they were the default ones is the caller's word. ValueError for another scheme, for compressed band
    keys (`hashfunc`), and for pickled ids (`prepickle`).
    """
    import datasketch

    name = _scheme(scheme)
    if not isinstance(index, datasketch.MinHashLSH):
        raise TypeError(f"a datasketch.MinHashLSH is needed, this is a {type(index).__name__}")
    if index.hashfunc is not None:
        raise ValueError(
            "this MinHashLSH hashes its band keys (hashfunc): the signatures are lost; build the index anew"
        )
    if index.prepickle:
        raise ValueError(
            "this MinHashLSH pickles its ids (prepickle), and opening a pickle runs code: build it without"
        )
    known = getattr(index, "_minhash_scheme", None)
    if known not in {None, name}:
        raise ValueError(f"this MinHashLSH holds MinHashes of scheme {known!r}, not {name!r}{_hint(known)}")
    # The band keys are the values with their bytes turned around, whatever the order of the machine.
    order = ">" if sys.byteorder == "little" else "<"
    stored = np.dtype(f"{order}u{8 if name == 'legacy' else 4}")
    ids: list[str] = []
    rows: list[npt.NDArray[Any]] = []
    for id_ in index.keys:
        ids.append(id_)
        rows.append(np.frombuffer(b"".join(index.keys.get(id_)), stored))
    width = index.b * index.r
    if any(len(row) != width for row in rows):
        raise ValueError(
            f"the band keys of this MinHashLSH are not {width} values of {stored.itemsize} bytes: wrong scheme?"
        )
    return ids, np.array(rows, stored).astype(np.uint32).reshape(-1, width)


def _scheme(scheme: SignatureScheme) -> str:
    """Return datasketch's name of the scheme."""
    if scheme not in _SCHEMES:
        raise ValueError(
            f"signatures of scheme {scheme!r} mean nothing to datasketch: sketch with signature = 'datasketch' "
            "(datasketch 2) or 'datasketch_legacy' (before 2.0)"
        )
    return _SCHEMES[scheme]


@functools.cache
def _permutations(number: int, name: str) -> npt.NDArray[Any]:
    """Return the permutations as datasketch keeps them, one array that all MinHashes share."""
    dtype = np.uint64 if name == "legacy" else np.uint32
    return readonly(np.array(datasketch_permutations(number, name == "legacy")).astype(dtype))


def _check(id_: str, minhash: Any, name: str, expected: npt.NDArray[Any]) -> None:
    """Raise ValueError if *minhash* cannot be compared with ours, whose permutations are *expected*."""
    from datasketch.hashfunc import sha1_hash32

    where, number = f"the MinHash of {id_!r}", expected.shape[1]
    scheme = getattr(minhash, "scheme", None)
    if scheme != name:
        raise ValueError(f"{where} has scheme {scheme!r}, not {name!r}{_hint(scheme)}")
    if len(minhash) != number:
        raise ValueError(f"{where} has num_perm {len(minhash)}, not {number}: set permutations to {len(minhash)}")
    if minhash.seed != _SEED:
        raise ValueError(
            f"{where} has seed {minhash.seed}, not {_SEED}: its values mean something else; sketch the texts anew"
        )
    if getattr(minhash, "hashfunc", sha1_hash32) is not sha1_hash32:
        raise ValueError(f"{where} has a hash function of its own instead of sha1_hash32: sketch the texts anew")
    if not np.array_equal(getattr(minhash, "permutations", expected), expected):
        raise ValueError(f"{where} has permutations of its own instead of those of seed {_SEED}: sketch the texts anew")


def _hint(scheme: str | None) -> str:
    """Return what to do about a scheme."""
    ours = next((key for key, value in _SCHEMES.items() if value == scheme), None)
    return f": use signature = {ours!r}" if ours else ": sketch the texts anew with scheme='affine32'"
