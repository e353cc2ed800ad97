"""Lines that a document or a whole site says again: menus, cookie notices, quoted replies, listings, headers and footers.

Repeated lines inflate a document without adding to it, and a model learns to repeat. Gopher (Rae et al. 2021, table A1)
drops a document when more than 20 % of its characters are in repeated lines; but a page with one good article and its
menu three times is worth keeping once the menu is there once. So repeats are removed first, and only what was mostly
repeats is dropped.

What a line is compared with is the `scope`: other lines of the document, or the other documents of the same host. The two are
told apart by their reasons and signals; a recipe that wants both has the stage twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from msgspec import Meta

from corpusmill.schemas import Document, Drop, signal_column
from corpusmill.stages.base import BatchFunction, CorpusStage, DocumentStage, Guard
from corpusmill.stages.host_lines import HostLines
from corpusmill.stages.line_units import characters_of, folded, remove_units, units_of

__all__ = ["RemoveRepeatedLines", "without_repeats"]


class RemoveRepeatedLines(DocumentStage, frozen=True, kw_only=True):
    """Remove lines or paragraphs that repeat earlier ones, and drop documents that were mostly repeats.

    Two are equal if they are after folding case and white space. What stays is as it was written. Blank lines are
    never repeats; where a removed line leaves blank lines on both sides, those after it go with it. A text without
    repeats is returned unchanged, to the byte.

    With the scopes `anywhere` and `consecutive` lines are compared within the document (`repetitive`, the signals
    `repeated_*`); the first of equal ones stays, and removing twice removes nothing more.

    With `host` they are compared across the documents of one host (`boilerplate`, the signals `boilerplate_*`): the first
    `maximum_documents` documents that hold a line keep it, in those after them it is removed. Shards are never rewritten and
    a corpus grows, so what came first cannot be taken back. The host is that of `url`, without port and `www.`. Documents
    without one are left as they are: identifiers (`urn:`, `doi:`), paths of files, and whatever is neither http, https nor
    ftp have none. Counted are documents, not occurrences, and also those that are dropped later. A document of which nothing
    but white space is left is dropped, whatever `maximum_share` says. The report lists what was removed by host.
    """

    version: ClassVar[int] = 2

    reasons: ClassVar[frozenset[str]] = frozenset({"repetitive"}) | HostLines.reasons
    signals: ClassVar[dict[str, pa.DataType]] = {
        "repeated_lines": pa.int32(),
        "repeated_line_share": pa.float32(),
        **HostLines.signals,
    }

    idle_signals: ClassVar[Mapping[str, Any]] = {"repeated_lines": 0, "repeated_line_share": 0.0}

    unit: Literal["line", "paragraph"] = "line"
    """What is compared. `paragraph` (text between blank lines) spares verse and code, and misses repeated single
    lines."""
    scope: Literal["anywhere", "consecutive", "host"] = "anywhere"
    """`anywhere` compares with everything before in the document; `consecutive` only with the line right before, blank lines
    aside; `host` with the documents of the same host. Risk of `anywhere`: refrains longer than `minimum_characters` are sung
    once. Risk of `host`: what a site rightly says on many pages (a licence, the rules of a forum) stays on the first few."""
    minimum_characters: Annotated[int, Meta(ge=1)] = 30
    """Shorter lines may repeat as they like: braces, list items, table cells, short refrains. Risk of low values: code
    and verse lose lines; of high ones: menus made of short lines stay. Chinese and Japanese say as much in a third of
    that."""
    maximum_share: Annotated[float, Meta(ge=0, le=1)] | None = 0.5
    """Drop a document (`repetitive`, or `boilerplate`) with more than this share of its characters in what was removed. "off"
    drops only what was nothing but boilerplate, with the scope `host`: no text is left of that. Risk of low values: Gopher's
    0.2 drops pages that are good once cleaned."""
    maximum_documents: Annotated[int, Meta(ge=1, le=65_000)] = 6
    """Scope `host`: documents of a host that keep a line. Llama 3 (Grattafiori et al. 2024, 3.1.1) removes lines that appear more
    than 6 times in a bucket of 30 million documents, of whatever host; the figure is theirs, to count by host is not. Risk of
    1: all that two pages share goes from the second."""
    max_index_memory: str = "1GB"
    """Scope `host`: memory of the main process for the lines that are counted, 15 bytes each: 66 million lines in 1GB. When it
    is full, the rarest are forgotten and counted from the beginning if they come again, so lines stay that should go, and
    none goes that should stay. The report says how many were."""

    def __post_init__(self) -> None:
        super().__post_init__()
        HostLines.check_memory(self.kind, self.max_index_memory)

    @property
    def ordered(self) -> CorpusStage | None:
        """The stage that counts lines across the corpus, with the scope `host`; None with the others."""
        if self.scope != "host":
            return None
        return HostLines(
            unit=self.unit,
            minimum_characters=self.minimum_characters,
            maximum_share=self.maximum_share,
            maximum_documents=self.maximum_documents,
            max_index_memory=self.max_index_memory,
        )

    @property
    def kernels(self) -> tuple[str, ...]:
        """The one that looks for lines that may be there twice, where lines are compared within a document."""
        return ("repeated_lines",) if self.unit == "line" and self.scope != "host" else ()

    def guard(self) -> Guard | None:
        """Return the function that says which texts have a line that may be there twice; paragraphs have none."""
        if not self.kernels:
            return None
        from corpusmill.stages.compile_ahead import compile_ahead
        from corpusmill.stages.repeated_line_guard import repeated_line_guard

        compile_ahead(*self.kernels)
        return repeated_line_guard(self.minimum_characters)

    def open(self) -> BatchFunction:
        """Build the function for the scope; with `host` it compares the documents of a batch with each other only."""
        ordered = self.ordered
        return super().open() if ordered is None else ordered.open()

    def added_columns(self) -> pa.Schema:
        """Return the signals of the scope."""
        ordered = self.ordered
        if ordered is not None:
            return ordered.added_columns()
        mine = [(name, type_) for name, type_ in self.signals.items() if name not in HostLines.signals]
        return pa.schema([pa.field(signal_column(name), type_) for name, type_ in mine])

    def apply(self, document: Document) -> Document | Drop:
        """Remove the repeats of one document, or drop it."""
        text, repeats, characters = without_repeats(
            document.text,
            self.minimum_characters,
            paragraphs=self.unit == "paragraph",
            anywhere=self.scope == "anywhere",
        )
        share = characters / max(characters_of(document.text), 1)
        document.text = text
        document.signals["repeated_lines"] = repeats
        document.signals["repeated_line_share"] = share
        if self.maximum_share is not None and share > self.maximum_share:
            return Drop("repetitive", share, self.maximum_share)
        return document


def without_repeats(
    text: str, minimum_characters: int, *, paragraphs: bool = False, anywhere: bool = True
) -> tuple[str, int, int]:
    r"""Return *text* without repeats, how many were removed, and how many characters they had.

    >>> without_repeats("Accept all cookies\nNews\nACCEPT  all cookies\nNews", 10)
    ('Accept all cookies\nNews\nNews', 1, 19)
    """
    units, separators = units_of(text, paragraphs=paragraphs)
    seen: set[str] = set()
    repeats: set[int] = set()
    for at, unit in enumerate(units):
        key = folded(unit)
        if not key:
            continue
        if len(key) >= minimum_characters and key in seen:
            repeats.add(at)
            continue
        if not anywhere:
            seen.clear()
        seen.add(key)
    if not repeats:
        return text, 0, 0
    text, characters = remove_units(text, units, separators, repeats)
    return text, len(repeats), characters
