"""What is measured, in the order of the tables: the first system that runs is the one that others are held against."""

from __future__ import annotations

from dedup_processes import System

__all__ = ["OURS", "PEERS", "SPEED", "WHOLE"]


def _systems(kind: str, *rows: tuple[str, str, str]) -> list[System]:
    """Return systems from (environment, variant, label)."""
    modules = {"": "corpusmill", "before": "corpusmill", "text-dedup": "text_dedup"}
    return [System(label, where, f"dedup_{modules.get(where, where)}", variant, kind) for where, variant, label in rows]


SPEED = _systems(
    "sketch",
    ("", "signatures", "**corpusmill: signatures**"),
    ("", "signatures and shingles", "corpusmill: signatures and the shingles that are stored for verification"),
    ("", "stage, exact", "corpusmill: `Deduplicate().sketch()`"),
    ("", "stage, estimate", 'corpusmill: `Deduplicate(verify="estimate").sketch()`'),
    ("", "datasketch", "corpusmill: the same signatures as datasketch"),
    ("before", "stage, exact", "corpusmill before: `Deduplicate().sketch()` through datasketch"),
    ("datasketch", "bulk", "datasketch: `MinHash.bulk`"),
    ("datasketch", "xxhash", "datasketch: `MinHash.bulk`, xxh64 in place of SHA-1"),
    ("datasketch", "update", "datasketch: `update` shingle by shingle"),
    ("rensa", "r", "rensa: R-MinHash, digest matrix"),
    ("rensa", "c", "rensa: C-MinHash"),
    ("text-dedup", "sha1", "text-dedup: `embed_func`"),
    ("text-dedup", "xxh3", "text-dedup: `embed_func`, xxh3 and 32 bits"),
    ("datatrove", "16 x 8", "datatrove: `get_shingles` and `get_signature`"),
    ("rensa", "r words", "(other work: bare words, no shingles) rensa: R-MinHash over `text.split()`"),
    ("rensa", "rho words", "(other work: a sample of bare words) rensa: rho over `text.split()`"),
)
WHOLE = _systems(
    "mask",
    ("", "exact", "**corpusmill: `Deduplicate()`**, verified exactly"),
    ("", "estimate", 'corpusmill: `verify="estimate"`'),
    ("", "fineweb", "corpusmill: 14 × 8, unverified"),
    ("", "files", "corpusmill: a run of this one stage, file to shards"),
    ("before", "exact", "corpusmill before: datasketch's signatures and index, verified exactly"),
    ("datasketch", "0.8", "datasketch: `MinHashLSH`, query and insert"),
    ("datasketch", "0.8 xxhash", "datasketch: the same, xxh64 in place of SHA-1"),
    ("rensa", "r 0.8", "rensa: `RMinHashDeduplicator`"),
    ("rensa", "c 0.8", "rensa: `CMinHashDeduplicator`"),
    ("text-dedup", "0.8", "text-dedup: the script `text_dedup.minhash`, file to file"),
    ("text-dedup", "0.8 xxh3", "text-dedup: the same, xxh3 and 32 bits"),
    ("datatrove", "14 x 8", "datatrove: four steps, file to file"),
    ("rensa", "r words", "(other work: bare words) rensa: `RMinHashDeduplicator` over `text.split()`"),
    ("rensa", "rho words", "(other work: a sample of bare words) rensa: rho flags"),
)
OURS = _systems(
    "mask",
    ("", "exact", "corpusmill, exact"),
    ("", "estimate", "corpusmill, estimate"),
    ("", "fineweb", "corpusmill, 14 × 8 unverified"),
    ("", "strict", "corpusmill, 32 × 4 exact"),
    ("", "exact 0.7", "corpusmill, exact, threshold 0.7"),
)
PEERS = _systems(
    "mask",
    ("before", "exact", "corpusmill before, exact"),
    ("datasketch", "0.8", "datasketch LSH 0.8"),
    ("datasketch", "0.8 estimate", "datasketch LSH 0.8, candidates checked by estimate"),
    ("datasketch", "0.7", "datasketch LSH 0.7"),
    ("rensa", "r 0.8", "rensa R 0.8"),
    ("rensa", "r 0.7", "rensa R 0.7"),
    ("rensa", "c 0.8", "rensa C 0.8"),
    ("rensa", "r words", "rensa R 0.8 over `text.split()`, as in its guide"),
    ("rensa", "rho words", "rensa rho flags over `text.split()`, as in its benchmark"),
    ("text-dedup", "0.8", "text-dedup 0.8, 128 permutations"),
    ("text-dedup", "default", "text-dedup, default (0.7, 250 permutations)"),
    ("datatrove", "14 x 8", "datatrove, default (14 × 8, clusters)"),
)
