"""What filters take from each language and each source, and what of them is in shards, side by side.

A filter that silences a language, or a group's own speech, does so at a rate that stands out from the others'; in the sums over a
corpus it is not seen. Sources are hosts where documents have a URL, files where they have none. A record holds the largest groups
of its split and all others as one, so that a crawl of a million hosts does not fill the journal: a host that is small in a split
counts among the others there. With 200 names a record took 15 kB of the journal and 28 kB of memory. Records are added up in the
order of their splits, and the smallest sums join the others whenever there are too many, so that the table is bounded as well and
the same whichever worker was first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpusmill.chain import NamedStage
from corpusmill.schemas import signal_column
from corpusmill.schemas.manifest import GroupCounts, GroupRates
from corpusmill.stages.base import as_batch

__all__ = ["GroupTally", "KeptTally", "group_rates"]

_TOXICITY, _PII = "filter_toxicity", "redact_pii"
_PII_SIGNALS = signal_column("pii_")
_OTHERS = ""  # the name in records; no host and no file is called so
_KEPT_OF_A_SPLIT = 40
_SUMMED = 4_000  # names that are left when there are twice as many; a host among the largest is not among the smallest of so many
_SHOWN = 30
_HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?:[Ww]{3}\.)?(?P<host>[^/?#:@\\\s]+)"


class GroupTally:
    """The counts of one split in one segment."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, GroupCounts]] = {}

    def add(self, named: NamedStage, batch: pa.RecordBatch, verdicts: pa.Array) -> None:
        """Count a *batch* as a stage left it; only the first stages that look for toxic terms and personal data count."""
        if named.name == _TOXICITY:
            counts = {"toxicity_seen": np.ones(batch.num_rows), "toxicity_dropped": np.asarray(pc.is_valid(verdicts))}
        elif named.name == _PII:
            replaced = _replaced(named.stage, batch)
            counts = {
                "pii_seen": np.ones(batch.num_rows),
                "pii_dropped": np.asarray(pc.is_valid(verdicts)),
                "pii_documents": replaced > 0,
                "redactions": replaced,
            }
        else:
            return
        self._count(batch, counts)

    def _count(self, batch: pa.RecordBatch, counts: Mapping[str, npt.NDArray[Any]]) -> None:
        for by, names in _groups(batch).items():
            unique, sums = _sums(names, counts)
            table = self._counts.setdefault(by, {})
            for place, name in enumerate(unique.to_pylist()):
                _add(table, name, {field: int(values[place]) for field, values in sums.items()})

    def record(self) -> dict[str, dict[str, GroupCounts]]:
        """Return the counts by language and by source, the largest groups by name and the others as one."""
        return {by: _largest(table, _KEPT_OF_A_SPLIT) for by, table in self._counts.items()}


class KeptTally:
    """The documents and tokens of one shard by group, put together when all are known: a microsecond a document."""

    def __init__(self) -> None:
        self._rows: list[pa.Table] = []

    def add(self, rows: pa.Table, tokens: npt.NDArray[Any], first: npt.NDArray[np.bool_]) -> None:
        """Count *rows* of so many *tokens* each; *first* says which of them are no repeats."""
        names = [name for name in ("url", "source", "language") if name in rows.schema.names]
        columns = {name: rows.column(name) for name in names} | {"tokens": pa.array(tokens), "first": pa.array(first)}
        self._rows.append(pa.table(columns))

    def record(self) -> dict[str, dict[str, GroupCounts]]:
        """Return the counts by language and by source, the largest groups by name and the others as one."""
        if not self._rows:
            return {}
        rows = as_batch(pa.concat_tables(self._rows))
        tokens, first = (rows.column(name).to_numpy(zero_copy_only=False) for name in ("tokens", "first"))
        counts = {"documents": first, "unique_tokens": tokens * first, "tokens": tokens}
        record = {}
        for by, names in _groups(rows).items():
            unique, sums = _sums(names, counts)
            # Only the largest of perhaps a million hosts become objects.
            order = np.lexsort((unique.to_numpy(zero_copy_only=False), -sums["documents"])).tolist()
            largest, others = order[:_KEPT_OF_A_SPLIT], order[_KEPT_OF_A_SPLIT:]
            record[by] = {unique[at].as_py(): _counts_at(sums, [at]) for at in largest}
            if others:
                record[by][_OTHERS] = _counts_at(sums, others)
        return record


def _sums(names: pa.Array, counts: Mapping[str, npt.NDArray[Any]]) -> tuple[pa.Array, dict[str, npt.NDArray[Any]]]:
    """Return each name of *names* once, and for each the sums of *counts*."""
    encoded = names.dictionary_encode()
    places = encoded.indices.to_numpy(zero_copy_only=False)
    return encoded.dictionary, {field: np.bincount(places, weights=values) for field, values in counts.items()}


def _counts_at(sums: Mapping[str, npt.NDArray[Any]], places: Sequence[int]) -> GroupCounts:
    return GroupCounts(**{field: int(values[places].sum()) for field, values in sums.items()})


def group_rates(records: Iterable[Mapping[str, Mapping[str, GroupCounts]]]) -> dict[str, list[GroupRates]]:
    """Return the sums of all *records* with their rates: all documents first, then the largest groups, then the others.

    Among a few thousand names nothing depends on the order of *records*; with more, which small groups are named does.
    """
    tables: dict[str, dict[str, GroupCounts]] = {}
    for record in records:
        for by, groups in record.items():
            table = tables.setdefault(by, {})
            for name, counts in groups.items():
                _add(table, name, msgspec.structs.asdict(counts))
            if len(table) > 2 * _SUMMED:
                tables[by] = _largest(table, _SUMMED)
    rates = {}
    for by, table in sorted(tables.items()):
        shown = _largest(table, _SHOWN)
        whole: dict[str, GroupCounts] = {}
        for counts in table.values():
            _add(whole, "all", msgspec.structs.asdict(counts))
        rows = [("all", whole["all"]), *((name or "others", counts) for name, counts in shown.items())]
        rates[by] = [_rates(name, counts) for name, counts in rows]
    return rates


def _rates(name: str, counts: GroupCounts) -> GroupRates:
    def share(part: int, whole: int) -> float | None:
        return round(part / whole, 6) if whole else None

    return GroupRates(
        name=name,
        **msgspec.structs.asdict(counts),
        toxicity_drop_rate=share(counts.toxicity_dropped, counts.toxicity_seen),
        pii_drop_rate=share(counts.pii_dropped, counts.pii_seen),
        pii_document_rate=share(counts.pii_documents, counts.pii_seen),
        redactions_per_document=share(counts.redactions, counts.pii_seen),
    )


def _replaced(stage: Any, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Return how many identifiers of the kinds that are replaced each document had."""
    kinds = getattr(stage, "kinds", None)
    total = np.zeros(batch.num_rows, np.int64)
    for name in batch.schema.names:
        if name.startswith(_PII_SIGNALS) and (kinds is None or name.removeprefix(_PII_SIGNALS) in kinds):
            column = batch.column(name)
            if pa.types.is_integer(column.type):
                total += pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return total


def _groups(batch: pa.RecordBatch) -> dict[str, Any]:
    """Return the name of the group of each document: by language where it was measured, and by source."""
    groups = {}
    if "language" in batch.schema.names:
        groups["language"] = pc.fill_null(batch.column("language").cast(pa.string()), "unknown")
    files = pc.fill_null(batch.column("source").cast(pa.string()), "unknown")
    hosts = pc.struct_field(pc.extract_regex(batch.column("url").cast(pa.string()), _HOST), "host")
    groups["source"] = pc.coalesce(pc.utf8_lower(hosts), files)
    return groups


def _add(table: dict[str, GroupCounts], name: str, counts: Mapping[str, int]) -> None:
    mine = table.setdefault(name, GroupCounts())
    for field, count in counts.items():
        setattr(mine, field, getattr(mine, field) + count)


def _largest(table: Mapping[str, GroupCounts], limit: int) -> dict[str, GroupCounts]:
    """Return the *limit* groups with the most documents, equal ones by name, and behind them the sum of the others."""
    named = [(name, counts) for name, counts in table.items() if name != _OTHERS]
    ranked = sorted(named, key=lambda item: (-max(item[1].toxicity_seen, item[1].pii_seen, item[1].documents), item[0]))
    kept = dict(ranked[:limit])
    others: dict[str, GroupCounts] = {}
    for counts in [counts for _, counts in ranked[limit:]] + ([table[_OTHERS]] if _OTHERS in table else []):
        _add(others, _OTHERS, msgspec.structs.asdict(counts))
    return kept | others
