"""Which documents are held out, sampled, and come first: functions of the document and the seed alone."""

from __future__ import annotations

import xxhash

from corpusmill.schemas.recipe import OutputSettings
from corpusmill.stages.host_lines import host_of

__all__ = ["SUBSETS", "held_out_draws", "in_sample", "shuffle_key", "subset_of", "training_draw"]

SUBSETS = ("train", "validation", "test")


def subset_of(id_: str, url: str | None, seed: int, settings: OutputSettings) -> str:
    """Return the subset of a document: never another one as a corpus grows, whatever documents there are.

    Both shares are taken from the lower end of one range, `validation` first, so that a larger `test_share` takes documents
    from `train` alone.

    >>> subset_of("a.html", None, 0, OutputSettings(validation_share=0.0))
    'train'
    >>> by_host = OutputSettings(validation_share=0.4, test_share=0.3, split_by="host")
    >>> len({subset_of(name, "https://www.example.org/" + name, 0, by_host) for name in "abcdefgh"})
    1
    """
    key = id_
    if settings.split_by == "host" and (host := host_of(url)) is not None:
        key = f"host {host}"
    drawn = xxhash.xxh64_intdigest(key.encode(), seed) / 2**64
    if drawn < settings.validation_share:
        return "validation"
    return "test" if drawn < settings.validation_share + settings.test_share else "train"


def in_sample(id_: str, seed: int, share: float) -> bool:
    """Return whether a document belongs to the sample; independent of the subset that it is in.

    >>> in_sample("a.html", 0, 1.0), in_sample("a.html", 0, 0.0)
    (True, False)
    """
    return xxhash.xxh64_intdigest(b"sample " + id_.encode(), seed) / 2**64 < share


def shuffle_key(id_: str, seed: int) -> int:
    """Return the place of a document in a shuffled corpus, from 0 to 2**64 - 1; independent of sample and subset.

    >>> shuffle_key("a.html", 0) != shuffle_key("a.html", 1)
    True
    """
    return xxhash.xxh64_intdigest(b"shuffle " + id_.encode(), seed)


def held_out_draws(id_: str) -> tuple[float, int]:
    """Return two numbers of a document: below 1, whether no tokenizer is trained on it; below 2**64, its place among such ones.

    No seed: whichever way tokenizers are trained, they are compared on documents that none of them has seen.

    >>> held_out_draws("a.html") == held_out_draws("a.html") != held_out_draws("b.html")
    True
    """
    key = b"tokenizer held out " + id_.encode()
    return xxhash.xxh64_intdigest(key) / 2**64, xxhash.xxh64_intdigest(key, 1)


def training_draw(id_: str, seed: int) -> int:
    """Return the place of a document among those that a tokenizer is trained on, from 0 to 2**64 - 1.

    >>> training_draw("a.html", 0) != training_draw("a.html", 1)
    True
    """
    return xxhash.xxh64_intdigest(b"tokenizer " + id_.encode(), seed)
