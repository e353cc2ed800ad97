"""Finds the files of evaluation sets: what a path, a folder or a pattern names, and what each file is called in reports.

A folder of sets has more than sets in it: licenses, descriptions, lists of requirements. What is named like these is taken only
where it is named outright, because a license taken for a set drops every page that prints it.
"""

from __future__ import annotations

import difflib
import glob
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from corpusmill.schemas import RecipeError, did_you_mean

__all__ = ["COMPRESSIONS", "file_kind", "reference_files", "reference_names"]

COMPRESSIONS: Final = (".gz", ".zst", ".bz2", ".xz")
"""Suffixes of compressed files."""
_PLAIN: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt")
_SUFFIXES: Final = (*_PLAIN, ".parquet")
_ABOUT: Final = (
    "authors",
    "changelog",
    "citation",
    "contributing",
    "copying",
    "licence",
    "license",
    "notice",
    "readme",
)
_SIDE_FILES: Final = (
    *("config.json", "dataset_dict.json", "dataset_info.json", "dataset_infos.json", "state.json"),  # of Hugging Face
    *("requirements*.txt", "constraints*.txt", "package*.json", "tsconfig*.json"),
    *(pattern for word in _ABOUT for pattern in (f"{word}.*", f"{word}*.txt")),
)
"""What a folder's files that hold no items are called, in lower case."""


def reference_files(references: Sequence[str], *, licenses: bool = False) -> list[Path]:
    """Return the files that paths, folders and patterns name: sorted within each, none twice.

    Licenses and other files about a set are left out, unless they are named outright or *licenses* asks for them.

    Raises:
        RecipeError: one of them names no file that can be read as an evaluation set.

    """
    found: dict[Path, Path] = {}
    for reference in references:
        for file in _files_of(reference, licenses):
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _files_of(reference: str, licenses: bool) -> list[Path]:
    path = Path(reference).expanduser()
    if path.is_file():
        if file_kind(path) is None:
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
    readable = [file for file in inside if file.is_file() and file_kind(file)]
    files = [file for file in readable if licenses or not _is_side_file(file)]
    if not files:
        lacks = f"no file whose name ends in {', '.join(_SUFFIXES)}"
        beside = f"only {readable[0].name!r} or its like; name the file itself if it is a set" if readable else lacks
        raise RecipeError(f"{reference!r} holds no evaluation set: {beside}")
    return files


def _is_side_file(path: Path) -> bool:
    return any(fnmatch(path.name.lower(), pattern) for pattern in _SIDE_FILES)


def _neighbours(path: Path) -> str:
    """Return the tail of a message that names the nearest file beside *path*."""
    if not path.parent.is_dir():
        return f", nor a folder {str(path.parent)!r}"
    names = sorted(file.name for file in path.parent.iterdir() if file.is_dir() or file_kind(file))
    return did_you_mean(path.name, difflib.get_close_matches(path.name, names, 20, 0.3) or names[:20])


def file_kind(path: Path) -> str | None:
    """Return the suffix that says how a file is read, None where there is none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
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
