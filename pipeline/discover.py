"""Which files there are to read.

The order is that of the names, code point by code point, never that in which a file system lists them. A file that is not
read is listed with the reason; nothing is passed over in silence.
"""

from __future__ import annotations

import fnmatch
import glob
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from corpusmill.compression import open_stream
from corpusmill.formats import recognise
from corpusmill.schemas import RecipeError, did_you_mean
from corpusmill.schemas.inputs import InputFile, InputSettings, Keys, SkippedFile

__all__ = ["Discovery", "discover"]

_USUAL: dict[str, tuple[str, ...]] = {
    "text": ("text", "content", "raw_content", "body", "document", "article", "passage", "plain_text", "main_text"),
    "html": ("html", "raw_html", "page_html", "html_content", "page"),
    "id": ("id", "doc_id", "document_id", "uuid", "_id", "warc_record_id", "docid"),
    "url": ("url", "uri", "link", "source_url", "warc_target_uri", "WARC-Target-URI", "target_uri"),
}
_RECORDS = 20  # records of a JSON Lines file that are looked at for field names
_LONGEST = 1 << 24  # bytes of a JSON Lines file that are looked at for its first records
_DAMAGE = (OSError, pa.ArrowInvalid)


class Discovery(msgspec.Struct, frozen=True):
    """The files to read in order, those that are skipped, and what the user should be told."""

    files: tuple[InputFile, ...]
    skipped: tuple[SkippedFile, ...]
    messages: tuple[str, ...]


def discover(inputs: Sequence[str | os.PathLike[str]], settings: InputSettings) -> Discovery:
    """Find and recognise the files of *inputs*: directories (recursive), globs and single files.

    Raises:
        RecipeError: a path does not exist, a glob matches nothing, or a field that was asked for is in no file.

    """
    skipped: list[SkippedFile] = []
    paths = _named_paths([os.fspath(given) for given in inputs], skipped)
    files: list[InputFile] = []
    messages: dict[str, None] = {}  # in order, each once
    for name in sorted(paths):
        found = _file(name, paths[name], settings)
        if isinstance(found, SkippedFile):
            skipped.append(found)
            continue
        files.append(found)
        if found.format in {"jsonl", "parquet"}:
            messages.setdefault(_message(found, settings))
    _check_asked(files, settings)
    messages.pop("", None)
    skipped.sort(key=lambda file: file.name)
    return Discovery(tuple(files), tuple(skipped), tuple(messages))


def _named_paths(inputs: Sequence[str], skipped: list[SkippedFile]) -> dict[str, Path]:
    """Return every file of *inputs* under the name that identifies it.

    With one input directory names are relative to it. With several, each is under the directory's own name, numbered from the
    second of the same name on.
    """
    roots: list[tuple[str, dict[str, Path]]] = []
    singles: list[Path] = []
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            roots.append((path.resolve().name, {p.relative_to(path).as_posix(): p for p in _walk(path, skipped)}))
        elif path.exists():
            singles.append(path)
        else:
            found = sorted(Path(p) for p in glob.glob(given, recursive=True))  # noqa: PTH207  absolute patterns too
            found = [p for p in found if not _in_output(p, given, skipped)]
            if not found:
                raise RecipeError(f"there is no input {given!r}{_near(path)}")
            singles += [p for p in found if p.is_file()]
            singles += [p for directory in found if directory.is_dir() for p in _walk(directory, skipped)]
    if singles:
        base = Path(os.path.commonpath([p.absolute().parent for p in singles]))
        roots.append(("", {p.absolute().relative_to(base).as_posix(): p for p in singles}))
    if len(roots) == 1:
        return roots[0][1]
    named: dict[str, Path] = {}
    given_already: set[Path] = set()
    seen: dict[str, int] = {}
    for prefix, found_here in roots:
        seen[prefix] = seen.get(prefix, 0) + 1
        label = prefix if seen[prefix] == 1 else f"{prefix}#{seen[prefix]}"
        here = {_resolved(path) for path in found_here.values()}
        for name, path in found_here.items():
            if _resolved(path) not in given_already:  # a file that two inputs hold is read once
                named[_free(f"{label}/{name}" if label else name, named)] = path
        given_already |= here
    return named


def _free(name: str, taken: Mapping[str, Path]) -> str:
    """Return *name*, numbered from 2 where another file has it."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    return free


def _walk(root: Path, skipped: list[SkippedFile]) -> Iterator[Path]:
    """Yield the files below *root*; what is hidden, cannot be opened or is the output of a run goes to *skipped*."""
    seen: set[tuple[int, int]] = set()

    def skip(place: str | Path, why: str) -> None:
        name = Path(place).relative_to(root).as_posix()
        skipped.append(SkippedFile(name=_printable(name), size=0, why=why))

    def refused(error: OSError) -> None:
        skip(error.filename or root, f"the directory cannot be opened: {error.strerror}")

    for folder, folders, names in os.walk(root, onerror=refused, followlinks=True):
        status = os.stat(folder)  # noqa: PTH116  os.walk gives strings
        if (status.st_dev, status.st_ino) in seen:  # a loop of symbolic links, or a second way
            skip(folder, "a link to a directory that is read already")
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        if Path(folder, "state", "journal.jsonl").exists():
            skip(folder, "the output of a run")
            folders.clear()
            continue
        for name in sorted([*folders, *names]):
            if name.startswith("."):
                skip(Path(folder, name), "hidden")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _in_output(path: Path, pattern: str, skipped: list[SkippedFile]) -> bool:
    """Return whether a match of a glob lies in the output of a run that is itself below the fixed part of the glob."""
    fixed = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))
    for folder in [path, *path.parents]:
        if (folder / "state" / "journal.jsonl").exists():
            if folder == path:
                skipped.append(SkippedFile(name=_printable(path.as_posix()), size=0, why="the output of a run"))
            return True
        if folder == fixed:
            return False
    return False


def _printable(name: str) -> str:
    """Return *name* with bytes that are no UTF-8 written as escapes.

    >>> _printable("naïve.html")
    'naïve.html'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _near(path: Path) -> str:
    parent = path.parent
    names = [p.name for p in parent.iterdir()] if parent.is_dir() else []
    return did_you_mean(path.name, names) if names and len(names) <= 50 else ""


def _file(name: str, path: Path, settings: InputSettings) -> InputFile | SkippedFile:
    if not _is_utf8(name) or not _is_utf8(str(_resolved(path))):
        return SkippedFile(name=_printable(name), size=0, why="its path is not UTF-8; rename it")
    try:
        status = path.stat()
        excluded = next((p for p in settings.exclude if fnmatch.fnmatchcase(name, p)), None)
        if excluded is not None:
            return SkippedFile(name=name, size=status.st_size, why=f"excluded by {excluded!r}")
        if not path.is_file():
            return SkippedFile(name=name, size=0, why="no regular file")
        found = recognise(path)
    except OSError as error:
        return SkippedFile(name=name, size=0, why=f"cannot be opened: {error.strerror or error}")
    if found.format is None:
        return SkippedFile(name=name, size=status.st_size, why=found.why)
    keys = Keys()
    if found.format in {"jsonl", "parquet"}:
        fields = _fields(path, found.format, found.compression)
        if fields is None:  # nothing but damage so far: what can be read later is looked for under the plainest names
            keys = Keys(
                text=settings.text_key or "text",
                html=settings.html_key,
                id=settings.id_key or "id",
                url=settings.url_key,
            )
        else:
            keys = _keys(fields, settings)
            if keys.text is None and keys.html is None and fields and not (settings.text_key or settings.html_key):
                known = ", ".join(sorted(fields)[:12])
                why = f"no field holds text or html among {known}; say which with --set input.text_key=NAME"
                return SkippedFile(name=name, size=status.st_size, why=why)
    return InputFile(
        path=str(_resolved(path)),
        name=name,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        format=found.format,
        compression=found.compression,
        keys=keys,
    )


def _resolved(path: Path) -> Path:
    """Return a path without symbolic links; one that leads to itself is left as it is, and cannot be opened."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # RuntimeError before Python 3.13
        return path.absolute()


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except (
        UnicodeEncodeError
    ):  # Python keeps odd bytes of a path as lone surrogates, which no JSON or Arrow file can hold
        return False
    return True


def _fields(path: Path, format_: str, compression: str) -> dict[str, bool | None] | None:
    """Return the fields of a file's first records and whether each holds text (None: only nulls were seen).

    None if not even one record can be read.
    """
    fields: dict[str, bool | None] = {}
    try:
        if format_ == "parquet":
            return {field.name: _is_text(field.type) for field in pq.read_schema(path)}
        with open_stream(str(path), compression) as stream:
            for record in _first_records(stream):
                for key, value in record.items():
                    seen = fields.get(key)
                    fields[key] = seen if seen or value is None else isinstance(value, str)
    except _DAMAGE:
        pass  # what lies before the damage tells as much
    return fields or None


def _first_records(stream: Any) -> Iterator[dict[str, Any]]:
    """Yield the first objects of a stream, however many broken lines lie between them, as far as a bounded look goes."""
    found = looked = 0
    while found < _RECORDS and looked < _LONGEST and (line := stream.readline(_LONGEST)):
        looked += len(line)
        try:
            record = msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"))
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            found += 1
            yield record


def _is_text(type_: Any) -> bool:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    kinds = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
    return str(type_) in kinds


def _keys(fields: dict[str, bool | None], settings: InputSettings) -> Keys:
    """Return the fields to read: those that were asked for, else the first usual name that is there."""
    lower = {name.lower(): name for name in sorted(fields, reverse=True)}

    def choose(kind: str, asked: str | None) -> str | None:
        if asked is not None and asked in fields:  # a file without it may hold the usual one
            return asked
        texts = {"text", "html"}
        usual = (name if name in fields else lower.get(name.lower()) for name in _USUAL[kind])
        return next(
            (name for name in usual if name is not None and (fields[name] is not False or kind not in texts)), None
        )

    return Keys(
        text=choose("text", settings.text_key),
        html=choose("html", settings.html_key),
        id=choose("id", settings.id_key),
        url=choose("url", settings.url_key),
    )


def _message(file: InputFile, settings: InputSettings) -> str:
    """Return what was guessed, or nothing where nothing was."""
    taken = {"text": file.keys.text, "html": file.keys.html, "id": file.keys.id, "url": file.keys.url}
    guessed = [
        f"{kind} from {name!r}" for kind, name in taken.items() if name and getattr(settings, f"{kind}_key") is None
    ]
    return (
        f"{file.format}: {', '.join(guessed)} (set input.text_key, html_key, id_key, url_key to change)"
        if guessed
        else ""
    )


def _check_asked(files: Sequence[InputFile], settings: InputSettings) -> None:
    """Refuse a field that was asked for and that no file of records has."""
    records = [file for file in files if file.format in {"jsonl", "parquet"}]
    for kind in _USUAL:
        asked = getattr(settings, f"{kind}_key")
        if asked is not None and records and not any(getattr(file.keys, kind) == asked for file in records):
            fields = _fields(Path(records[0].path), records[0].format, records[0].compression) or {}
            raise RecipeError(f"input.{kind}_key: no file has a field {asked!r}{did_you_mean(asked, fields)}")
