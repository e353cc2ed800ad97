"""Why: one document through the stages with what each changed, or where a document of a finished run went."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpusmill.chain import name_stages
from corpusmill.discover import discover
from corpusmill.manifest import read_manifest
from corpusmill.readers import Quarantined, SkippedRecord, read
from corpusmill.schemas import CorpusmillError, RecipeError
from corpusmill.schemas.inputs import Part, Split
from corpusmill.schemas.recipe import Recipe
from corpusmill.stages import Pack, Tokenize

__all__ = ["explain_document", "find_document", "sample_documents"]

_CONTEXT = 1
_LONGEST_DIFF = 60


def sample_documents(path: str, recipe: Recipe, id_: str | None = None, limit: int = 1) -> list[pa.RecordBatch]:
    """Return up to *limit* documents of an input, each as a batch of one row; with *id_*, that one.

    Raises:
        RecipeError: the input holds no document, or none with that id.

    """
    found: list[pa.RecordBatch] = []
    for number, file in enumerate(discover([path], recipe.input).files):
        for item in read(Split(index=number, parts=(Part(file=file),)), recipe.input):
            if isinstance(item, Quarantined | SkippedRecord):
                continue
            rows = item if id_ is None else item.filter(pc.equal(item.column("id"), id_))
            found += [rows.slice(at, 1) for at in range(rows.num_rows)]
            if len(found) >= limit:
                return found[:limit]
    if not found:
        raise RecipeError(f"{path} holds no document{f' with the id {id_!r}' if id_ else ''}")
    return found


def explain_document(document: pa.RecordBatch, recipe: Recipe) -> list[str]:
    """Return lines that say what becomes of a batch of one document, then what each stage of *recipe* did to it."""
    verdict, later, lines = "", [], []
    head = f"document {document.column('id')[0].as_py()}: "
    for named in name_stages(recipe.stages):
        stage = named.stage
        trained = isinstance(stage, Tokenize) and stage.tokenizer == "train"
        if stage.ordered is not None or isinstance(stage, Pack) or trained:
            lines.append(f"\n[{named.name}] needs the whole corpus")
            later += [named.name] if stage.ordered is not None else []
            continue
        before = document.column("text")[0].as_py() or ""
        lines.append(f"\n[{named.name}]")
        try:
            document, verdicts = stage.judge(document)
        except CorpusmillError:
            raise
        except Exception as error:  # noqa: BLE001  a run puts the document into quarantine
            verdict = f"CRASHED {named.name}, a run would quarantine it: {type(error).__name__}: {error}"
            break
        for name in stage.added_columns().names:
            value = document.column(name)[0].as_py()
            lines += [f"  {name.removeprefix('signals.')} = {_value(value)}"] if name != "input_ids" else []
        lines += _difference(before, document.column("text")[0].as_py() or "")
        if verdicts[0].is_valid:
            verdict = _dropped(named.name, verdicts[0].as_py())
            break
    else:
        verdict = f"kept, unless {' or '.join(later)} drops it" if later else "kept"
    return [head + verdict, *lines, *([f"  {verdict}"] if verdict[:4] != "kept" else [])]


def find_document(output: Path, id_: str) -> list[str]:
    """Return lines that say where the document *id_* of a finished run went, then all that is known of it.

    Raises:
        RecipeError: the run did not see it.

    """
    manifest = read_manifest(output)
    verdicts: list[str] = []
    lines: list[str] = []
    for file in manifest.files:
        folder = file.path.partition("/")[0]
        for row in pq.read_table(output / file.path, filters=pc.field("id") == id_).to_pylist():
            if folder == "rejects":
                verdicts.append(_dropped(row["stage"], row))
            elif folder == "quarantine":
                verdicts.append(f"QUARANTINED by {row['stage']}: {row['error']}")
            lines.append(f"\n{file.path}")
            lines += [f"  {name} = {_value(value)}" for name, value in row.items() if value is not None]
    verdicts += [found for shard in manifest.shards for found in _in_shard(output / shard.path, shard.path, id_)]
    if not verdicts:
        raise RecipeError(f"{output} knows no document with the id {id_!r}")
    return [*(f"document {id_}: {verdict}" for verdict in verdicts), *lines]


def _in_shard(path: Path, name: str, id_: str) -> list[str]:
    """Return what a shard has of a document: how often it begins there, or that it only goes on there."""
    if "id" in pq.read_schema(path).names:
        begins = parts = pc.sum(pc.equal(pq.read_table(path, columns=["id"])["id"], id_)).as_py() or 0
    else:
        table = pq.read_table(path, columns=["document_ids", "document_offsets"])
        mine = pc.equal(pc.list_flatten(table["document_ids"]), id_)
        offsets = pc.list_flatten(table["document_offsets"]).filter(mine)
        begins, parts = pc.sum(pc.equal(offsets, 0)).as_py() or 0, len(offsets)
    if not parts:
        return []
    return [f"kept in {name}{f', {begins} times' if begins > 1 else ''}" if begins else f"goes on in {name}"]


def _dropped(stage: str, verdict: dict[str, Any]) -> str:
    detail = ", ".join(f"{k} {_value(verdict[k])}" for k in ("value", "limit", "ref") if verdict[k] is not None)
    return f"DROPPED by {stage}: {verdict['reason']}{f' ({detail})' if detail else ''}"


def _difference(before: str, after: str) -> Iterator[str]:
    """Yield the changed lines, at most a screenful."""
    if before == after:
        return
    if not before:
        yield f"  text: {len(after):,} characters, begins {after[:200]!r}"
        return
    lines = list(difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=_CONTEXT))[2:]
    yield from (f"  {line[:300]}" for line in lines[:_LONGEST_DIFF])
    if len(lines) > _LONGEST_DIFF:
        yield f"  … {len(lines) - _LONGEST_DIFF:,} more lines of changes"


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
