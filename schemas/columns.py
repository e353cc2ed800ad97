"""The Arrow schemas: what readers emit, what a verdict is, and what the side tables hold.

Text is `large_string` because one batch of a book corpus passes 2 GiB, where 32-bit offsets end. Ids and URLs stay `string`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from corpusmill.schemas.document import Drop

__all__ = ["CLUSTERS", "DOCUMENTS", "EXCERPT", "QUARANTINE", "REJECTS", "VERDICT", "signal_column", "verdict_array"]

DOCUMENTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("source", pa.string()),
        pa.field("html", pa.large_binary()),
        pa.field("text", pa.large_string()),
        pa.field("metadata", pa.string()),
    ]
)
"""What every reader emits. `html` is null for text inputs, `text` is null for HTML until `strip_html` fills it."""

VERDICT = pa.struct(
    [
        pa.field("reason", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("limit", pa.float64()),
        pa.field("ref", pa.string()),
    ]
)
"""One entry per document of a batch; null keeps the document."""

REJECTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("source", pa.string()),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("limit", pa.float64()),
        pa.field("ref", pa.string()),
        pa.field("excerpt", pa.large_string()),
    ]
)
"""One row per dropped document."""

EXCERPT = 500
"""Characters of the text of a dropped document that are shown."""

CLUSTERS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("kept", pa.string()),
        pa.field("similarity", pa.float64()),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""One row per removed duplicate: the kept document that it duplicates, and how similar the two are."""

QUARANTINE = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("offset", pa.int64()),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("error", pa.string(), nullable=False),
    ]
)
"""One row per input that could not be read (`stage` is `read`; `offset` is the record number) or that crashed a stage."""

_BARE = frozenset({"language", "language_score"})


def signal_column(name: str) -> str:
    """Return the column that holds the signal *name*.

    >>> signal_column("words"), signal_column("language")
    ('signals.words', 'language')
    """
    return name if name in _BARE else f"signals.{name}"


def verdict_array(drops: Sequence[Drop | None]) -> pa.StructArray:
    """Return the verdicts of a batch, one per document, as an array of type `VERDICT`."""
    if all(drop is None for drop in drops):  # the usual case, and fifty times as fast
        return pa.nulls(len(drops), VERDICT)
    rows = [
        None if d is None else {"reason": d.reason, "value": d.value, "limit": d.limit, "ref": d.ref} for d in drops
    ]
    return pa.array(rows, VERDICT)
