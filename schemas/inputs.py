"""What is read: the settings of readers, the files that were found, and the splits that they form."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from corpusmill.schemas.sizes import parse_size

__all__ = ["COMPRESSIONS", "FORMATS", "InputFile", "InputSettings", "Keys", "Part", "SkippedFile", "Split"]

FORMATS = ("html", "text", "jsonl", "parquet", "warc")
COMPRESSIONS = ("none", "gzip", "zstd", "bz2", "xz", "lz4")


class InputSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[input]` table of a recipe."""

    text_key: str | None = None
    """Field of JSON Lines and Parquet records that holds text; None takes one of the usual names and says which."""
    html_key: str | None = None
    """Field that holds the HTML of a page; where a record has both, `strip_html` takes the HTML."""
    id_key: str | None = None
    """Field that holds the id; records without one are named after their file and place (`path#number`)."""
    url_key: str | None = None
    """Field that holds the URL."""
    split_size: str = "64MB"
    """Stored bytes in a split, the unit of work and resume. Part of the fingerprint: shards depend on it."""
    maximum_record_bytes: str = "16MB"
    """A single record or file larger than this is quarantined as `too_large` instead of read into memory. The stages of `web`
    hold a text about forty times (971 MB of memory for one of 20 MB), so this is what keeps a worker below 1 GB."""
    sample_share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    """Share of documents to read, chosen by the hash of the id and the recipe's seed: the same ones in every run, and a larger
    share holds those of a smaller one. The others count as skipped records. For trying a recipe on a part of a large crawl."""
    http_errors: bool = False
    """Keep WARC responses whose HTTP status is not 2xx; they are mostly error pages."""
    exclude: tuple[str, ...] = ()
    """Glob patterns of file names (relative to the input) that are not read: `*.bak`, `drafts/*`."""

    def __post_init__(self) -> None:
        parse_size(self.split_size)
        parse_size(self.maximum_record_bytes)


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of records that hold text, HTML, id and URL; None where a file has none."""

    text: str | None = None
    html: str | None = None
    id: str | None = None
    url: str | None = None


class InputFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to read. `name` identifies its documents: it is relative to the input and the same on every machine."""

    path: str
    name: str
    size: int
    mtime_ns: int
    format: Literal["html", "text", "jsonl", "parquet", "warc"]
    compression: Literal["none", "gzip", "zstd", "bz2", "xz", "lz4"] = "none"
    keys: Keys = Keys()


class SkippedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is not read, and why."""

    name: str
    size: int
    why: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or the range of it between two places that its format understands (None: from the start, to the end).

    The places are stored bytes for plain JSON Lines and for WARC (where compressed members begin), row groups for Parquet,
    and decoded bytes for compressed JSON Lines, which cannot be entered in the middle: those are read from `spool`, a
    file with the decoded lines of the range, or decoded from the start where there is none.
    """

    file: InputFile
    start: int | None = None
    stop: int | None = None
    first: int = 0
    """Number of the first record of the range, counted over the whole file."""
    offset: int = 0
    """Where the stored bytes that the range accounts for begin in the file."""
    size: int | None = None
    """How many stored bytes the range accounts for; None means all of the file."""
    damage: str | None = None
    """What ended the decoding of a compressed file behind the last record of this range."""
    hash: str | None = None
    """XXH3 of the stored bytes of a range, taken when the file was cut: a range fits only the bytes that were cut."""
    spool: str | None = None
    """Path of the decoded lines; it belongs to the run at hand and is not recorded."""

    @property
    def stored(self) -> int:
        """The stored bytes that the range accounts for."""
        return self.file.size if self.size is None else self.size


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The unit of work, retry and resume: some consecutive small files, or a range of a large one."""

    index: int
    parts: tuple[Part, ...]

    @property
    def stored(self) -> int:
        """The stored bytes of all parts."""
        return sum(part.stored for part in self.parts)
