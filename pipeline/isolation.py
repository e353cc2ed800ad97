"""One bad document costs one document: a function over a batch, applied so that only the rows on which it raises are lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from corpusmill.limits import CpuLimitError, in_worker
from corpusmill.read_records import scrubbed
from corpusmill.schemas import CorpusmillError, StageError

__all__ = ["RESOLVED", "isolate", "settled_by_rows", "words_of"]

RESOLVED = "corpusmill.resolved"
"""The column on which what an index found out travels with the rows, so that they can be settled one by one."""
_LONGEST = 2_000  # characters of an error's words


def isolate(
    function: Callable[[pa.RecordBatch], Any], batch: pa.RecordBatch, before: Callable[[], None] = lambda: None
) -> tuple[list[tuple[pa.RecordBatch, Any]], list[tuple[pa.RecordBatch, BaseException]]]:
    """Apply *function*, halving the batch where it raises: return (rows, result) pairs and the single rows that failed.

    *before* is called before each attempt.
    """
    before()
    try:
        return [(batch, function(batch))], []
    except MemoryError as error:
        if in_worker():
            raise  # and the worker ends; a fresh one finds out which document it was
        if batch.num_rows <= 1:
            return [], [(batch, error)]
        size = (batch.num_rows + 1) // 2
    except CorpusmillError as error:  # a bug in a stage, or a setting that cannot work: no document is to blame
        if isinstance(error, StageError) and not error.document and "id" in batch.schema.names:
            error.document = batch.column("id")[0].as_py() if batch.num_rows == 1 else None
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  whatever a stage raises, SystemExit too, costs its document, not the run
        if batch.num_rows <= 1:
            return [], [(batch, error)]
        # A hanging document costs its whole limit each time that it is met, so it is looked for at once.
        size = 1 if isinstance(error, CpuLimitError) else (batch.num_rows + 1) // 2
    done: list[tuple[pa.RecordBatch, Any]] = []
    failed: list[tuple[pa.RecordBatch, BaseException]] = []
    for start in range(0, batch.num_rows, size):
        good, bad = isolate(function, batch.slice(start, size), before)
        done += good
        failed += bad
    return done, failed


def settled_by_rows(settle: Callable[[pa.RecordBatch, pa.Array], Any]) -> Callable[[pa.RecordBatch], Any]:
    """Return the function that settles a batch whose last column, `RESOLVED`, is what the index resolved for each row."""

    def run(batch: pa.RecordBatch) -> Any:
        *names, resolved = batch.schema.names
        return settle(batch.select(names), batch.column(resolved))

    return run


def words_of(error: BaseException) -> str:
    """Return what an error is and says, as far as it can be said."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001  an error of a stage may be as broken as the stage
        said = ""
    return scrubbed(f"{type(error).__name__}: {said[:_LONGEST]}".removesuffix(": "))
