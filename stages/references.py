"""Reads evaluation sets: the items whose text must not be in a corpus.

People hold evaluation sets as they came, so a file is taken as it is: JSON Lines, JSON, Parquet, CSV or text, compressed or
not, whatever its columns are called. A file that can only be read in part is refused: of a set that is half read nobody can
say that it is not in the corpus. Rejected: downloading sets by name, as datatrove (through lighteval) and decon do, because
the core works without a network and a set that changes upstream would change the corpus.
"""

from __future__ import annotations

import bz2
import csv
import difflib
import glob
import gzip
import io
import json
import lzma
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import zstandard

from corpusmill.schemas import RecipeError, did_you_mean

__all__ = ["ReferenceItem", "read_items", "reference_files", "reference_names"]


class ReferenceItem(NamedTuple):
    """One item of an evaluation set: its name, and its texts by field."""

    ref: str
    """File and record, as in `gsm8k/test.jsonl#17` or `humaneval.jsonl#HumanEval/3`."""
    fields: tuple[tuple[str, tuple[str, ...]], ...]
    """Name and strings of each field in the order of the record: one string, or those of a list (choices)."""


_PLAIN: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt")
_SUFFIXES: Final = (*_PLAIN, ".parquet")
_ABOUT: Final = frozenset({"config.json", "dataset_dict.json", "dataset_info.json", "dataset_infos.json", "state.json"})
"""Files that stand beside the data in folders of Hugging Face datasets and describe it."""
_LONGEST_ID: Final = 200
_MOST_NUMBERS: Final = 26  # longer lists without any text are vectors
_MARK: Final = b"\xef\xbb\xbf"  # byte order mark
_BAD_JSON: Final = (ValueError, RecursionError)


def reference_files(references: Sequence[str]) -> list[Path]:
    """Return the files that paths, folders and patterns name: sorted within each, none twice.

    Raises:
        RecipeError: one of them names no file that can be read as an evaluation set.

    """
    found: dict[Path, Path] = {}
    for reference in references:
        for file in _files_of(reference):
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _files_of(reference: str) -> list[Path]:
    path = Path(reference).expanduser()
    if path.is_file():
        if _kind(path) is None:
            known = f"{', '.join(_SUFFIXES)}; all but .parquet also with .gz, .zst, .bz2 or .xz behind"
            raise RecipeError(f"cannot tell what {reference!r} is: its name must end in {known}")
        return [path]
    if path.is_dir():
        inside = sorted(path.rglob("*"), key=lambda file: file.relative_to(path).as_posix())
        inside = [file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    elif any(character in reference for character in "*?["):
        inside = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207  `**` and absolute patterns alike
    else:
        raise RecipeError(f"there is no file {reference!r}{_neighbours(path)}")
    files = [file for file in inside if file.is_file() and _kind(file) and file.name not in _ABOUT]
    if not files:
        raise RecipeError(f"{reference!r} holds no evaluation set: no file whose name ends in {', '.join(_SUFFIXES)}")
    return files


def _neighbours(path: Path) -> str:
    """Return the tail of a message that names the nearest file beside *path*."""
    if not path.parent.is_dir():
        return f", nor a folder {str(path.parent)!r}"
    names = sorted(file.name for file in path.parent.iterdir() if file.is_dir() or _kind(file))
    return did_you_mean(path.name, difflib.get_close_matches(path.name, names, 20, 0.3) or names[:20])


def _kind(path: Path) -> str | None:
    """Return the suffix that says how a file is read, None where there is none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _DECODERS:
        return suffixes[-2] if len(suffixes) > 1 and suffixes[-2] in _PLAIN else None
    return suffixes[-1] if suffixes and suffixes[-1] in _SUFFIXES else None


def reference_names(files: Sequence[Path]) -> list[str]:
    """Return for each file the shortest end of its path that no other file has.

    >>> reference_names([Path("/evals/mmlu/test.jsonl"), Path("/evals/gsm8k/test.jsonl"), Path("/evals/arc.jsonl")])
    ['mmlu/test.jsonl', 'gsm8k/test.jsonl', 'arc.jsonl']
    """
    names: list[str] = [""] * len(files)
    waiting = list(range(len(files)))
    length = 0
    while waiting:
        length += 1
        ends = Counter("/".join(file.parts[-length:]) for file in files)
        for at in waiting:
            names[at] = "/".join(files[at].parts[-length:])
        waiting = [at for at in waiting if ends[names[at]] > 1 and length < len(files[at].parts)]
    return names


def read_items(
    path: Path, name: str, fields: Sequence[str], id_fields: Sequence[str], columns: set[str]
) -> Iterator[ReferenceItem]:
    """Yield the items of one file.

    Only the *fields* named are taken, in that order (`choices.text` names a field of a field); none means all that hold
    strings. The first of *id_fields* that a record has names it, else its number, counted from 0. Names of all fields
    with strings are added to *columns*, taken or not.

    A text file's items are the paragraphs between blank lines; its lines, if there are no blank ones. Rows of a CSV file
    are items without names for their cells unless *fields* names columns of its first line.

    Raises:
        RecipeError: the file cannot be read, or not to its end.

    """
    try:
        kind = _kind(path)
        if kind == ".parquet":
            records: Iterator[Any] = _parquet(path, fields, id_fields)
        else:
            records = _READERS[kind or ".txt"](path, bool(fields))
        for number, record in enumerate(records):
            strings = list(_strings(record, ""))
            columns.update(field for field, _ in strings)
            ids = [key for key in id_fields if _is_id(record, key)]
            id_ = str(record[ids[0]]) if ids else str(number)
            if fields and isinstance(record, dict):
                taken = _taken(strings, fields)
            else:  # a line of a text file has no fields to choose from
                taken = [(key, texts) for key, texts in strings if key not in ids]
            yield ReferenceItem(f"{name}#{id_[:_LONGEST_ID]}", tuple(taken))
    except RecipeError:
        raise
    except Exception as error:  # noqa: BLE001  decoders raise whatever they like; each means a set that is not whole
        raise RecipeError(f"cannot read {path}: {error or type(error).__name__}") from None


def _is_id(record: Any, key: str) -> bool:
    return isinstance(record, dict) and isinstance(record.get(key), str | int) and str(record[key]).strip() != ""


def _taken(strings: list[tuple[str, tuple[str, ...]]], fields: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    return [(key, texts) for field in fields for key, texts in strings if key == field or key.startswith(f"{field}.")]


def _strings(value: Any, key: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the strings of a record with the dotted names of their fields; a list of strings stays together.

    >>> list(_strings({"question": "Who?", "choices": {"text": ["I", "you"], "label": ["A", "B"]}, "answer": 1}, ""))
    [('question', ('Who?',)), ('choices.text', ('I', 'you')), ('choices.label', ('A', 'B'))]
    """
    if isinstance(value, str):
        yield key, (_clean(value),)
    elif isinstance(value, dict) and key.rpartition(".")[2] == "target_scores":  # of BIG-bench: a score for each choice
        yield key, tuple(_clean(str(name)) for name in value)
    elif isinstance(value, dict):
        numbers = [name for name, inner in value.items() if len(name) == 1 and _is_number(inner)]
        for name, inner in value.items():
            text = str(inner) if len(numbers) > 1 and name in numbers else inner  # choices A to D
            yield from _strings(text, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        if any(isinstance(inner, str) for inner in value) or len(value) <= _MOST_NUMBERS:
            texts = tuple("" if inner is None else _clean(str(inner)) for inner in value if _is_choice(inner))
            if any(texts):
                yield key, texts
        merged: dict[str, tuple[str, ...]] = {}  # of objects, each with the text of one choice, the texts are a list
        for inner in value:
            if isinstance(inner, dict | list):
                for name, strings in _strings(inner, key):
                    merged[name] = (*merged.get(name, ()), *strings)
        yield from merged.items()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_choice(value: Any) -> bool:
    """Return whether a list's element is text, a number, or nothing, which keeps the letters of the others right."""
    return value is None or isinstance(value, str) or _is_number(value)


def _clean(text: str) -> str:
    """Return *text* without lone surrogates, which JSON can write and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _unzstd(data: bytes) -> bytes:
    """Decode every frame: the library's own reader takes a truncated frame for a short one."""
    out = []
    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        out.append(frame.decompress(data))
        if not frame.eof:
            raise ValueError("the file is cut short")
        data = frame.unused_data
    return b"".join(out)


_DECODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    ".gz": gzip.decompress,
    ".zst": _unzstd,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
}


def _content(path: Path) -> bytes:
    """Return the bytes of a file, decompressed, without a byte order mark."""
    data = path.read_bytes()
    decode = _DECODERS.get(path.suffix.lower())
    return (decode(data) if decode else data).removeprefix(_MARK)


def _json_value(data: bytes) -> Any:
    """Return a JSON value: msgspec is fast and strict, Python's own reader also takes NaN and lone surrogates."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(data)


def _json_lines(path: Path, named: bool) -> Iterator[Any]:  # noqa: ARG001
    with _lines(path) as lines:
        for number, line in enumerate(lines, 1):
            bare = line.removeprefix(_MARK) if number == 1 else line
            if not bare.strip():
                continue
            try:
                yield _json_value(bare)
            except _BAD_JSON as error:
                raise ValueError(f"line {number} is no valid JSON: {_reason(error)}") from None


def _lines(path: Path) -> Any:
    """Open a file for reading line by line; only where the decoder tells a file that is cut short from a whole one."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rb")
    return io.BytesIO(_content(path)) if path.suffix.lower() in _DECODERS else path.open("rb")


def _json(path: Path, named: bool) -> Iterator[Any]:  # noqa: ARG001
    """Yield the records of a JSON file: of a list, or of the lists of objects in an object, which else is one record."""
    try:
        value = _json_value(_content(path))
    except _BAD_JSON as error:
        raise ValueError(f"no valid JSON: {_reason(error)}") from None
    if isinstance(value, dict):
        lists = [inner for inner in value.values() if isinstance(inner, list) and inner and isinstance(inner[0], dict)]
        value = [record for records in lists for record in records] or [value]
    yield from value if isinstance(value, list) else [value]


def _reason(error: Exception) -> str:
    """Return what is wrong in JSON without quoting any of it."""
    return f"{error.msg} (column {error.colno})" if isinstance(error, json.JSONDecodeError) else type(error).__name__


def _table(delimiter: str) -> Callable[[Path, bool], Iterator[Any]]:
    def rows(path: Path, named: bool) -> Iterator[Any]:
        csv.field_size_limit(1 << 30)
        lines = csv.reader(io.StringIO(_content(path).decode("utf-8"), newline=""), delimiter=delimiter)
        header = next(lines, []) if named else []
        for row in lines:
            if named:
                yield dict(zip(header, row, strict=False))
            elif row:  # the question and its choices, as in the files of MMLU: these are read out as a list is
                yield {"first": row[0], "rest": row[1:]}

    return rows


def _text(path: Path, named: bool) -> Iterator[Any]:  # noqa: ARG001
    text = _content(path).decode("utf-8").strip()
    paragraphs = re.split(r"\n(?:[^\S\n]*\n)+", text.replace("\r\n", "\n"))
    yield from (unit for unit in (paragraphs if len(paragraphs) > 1 else text.splitlines()) if unit.strip())


_READERS: Final[dict[str, Callable[[Path, bool], Iterator[Any]]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _table(","),
    ".tsv": _table("\t"),
    ".txt": _text,
}


def _parquet(path: Path, fields: Sequence[str], id_fields: Sequence[str]) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        wanted = {field.partition(".")[0] for field in fields}
        schema = file.schema_arrow
        texts = [column.name for column in schema if _holds_text(column.type)]
        # Columns that are not asked for are read all the same where none is there: the error then names what is.
        columns = [*([name for name in texts if name in wanted] or texts), *id_fields]
        for batch in file.iter_batches(
            batch_size=1024, columns=list(dict.fromkeys(c for c in columns if c in schema.names))
        ):
            yield from batch.to_pylist()


def _holds_text(type_: pa.DataType) -> bool:
    """Return whether strings can be in a column of this type: pictures and numbers need not be read."""
    if pa.types.is_struct(type_):
        return any(_holds_text(type_.field(at).type) for at in range(type_.num_fields))
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        return _holds_text(type_.value_type)
    if pa.types.is_dictionary(type_):
        return _holds_text(type_.value_type)
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))
