"""The errors of the project, split by what the run does about them.

    CorpusmillError               everything we raise on purpose; the command line shows its message, not a traceback
    ├── RecipeError               a recipe, setting or option is wrong: nothing was read (exit 2)
    ├── LockedError               another run holds the output (exit 3)
    ├── OutputMismatchError       the output belongs to another recipe, or differs from its manifest (exit 4)
    ├── InputError                an input cannot be read: quarantined, the run goes on
    ├── StageError                a bug in a stage, or a broken install: carries stage, split and document id
    ├── EngineMismatchError       a fast engine and its reference disagree: a run begins its batch again with the reference
    └── RetryableError            a passing fault (disk, worker): the same command goes on where it was

`InvalidTextError` is none of them: like any other exception of a stage it costs its document, not the run.

All of them pickle, because they cross process borders. No message ever contains the text of a document.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CorpusmillError",
    "EngineMismatchError",
    "InputError",
    "InvalidTextError",
    "LockedError",
    "OutputMismatchError",
    "RecipeError",
    "RetryableError",
    "StageError",
    "did_you_mean",
]


class CorpusmillError(Exception):
    """The base of all errors that are raised on purpose; `exit_code` is what the command line ends with."""

    exit_code = 1


class RecipeError(CorpusmillError, ValueError):
    """A recipe, a setting or an option is wrong. It is a `ValueError` so that settings validation can pass it through."""

    exit_code = 2


class LockedError(CorpusmillError):
    """Another run holds the output directory."""

    exit_code = 3


class OutputMismatchError(CorpusmillError):
    """The output belongs to another recipe or other inputs, or it does not match its own manifest."""

    exit_code = 4


class InputError(CorpusmillError):
    """An input file or record cannot be read; it goes to quarantine and the run goes on."""


class InvalidTextError(ValueError):
    """A text is not UTF-8. The message names the document, and nothing holds its text, as a `UnicodeDecodeError` does."""


class RetryableError(CorpusmillError):
    """A passing fault: running the same command again goes on where this one stopped."""


class StageError(CorpusmillError):
    """A stage failed where it must not: a bug or a broken install, with the place where it happened."""

    def __init__(self, message: str, *, stage: str = "", split: int | None = None, document: str | None = None) -> None:
        super().__init__(message)
        self.stage = stage
        self.split = split
        self.document = document

    def __reduce__(self) -> tuple[object, ...]:
        return _stage_error, (str(self), self.stage, self.split, self.document)


class EngineMismatchError(CorpusmillError):
    """A fast engine gave another result than its reference, so that nothing it made can be trusted."""


def _stage_error(message: str, stage: str, split: int | None, document: str | None) -> StageError:
    """Rebuild a `StageError` after pickling: keyword-only arguments do not survive the default protocol."""
    return StageError(message, stage=stage, split=split, document=document)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the tail of a message that names the nearest known name, or all of them.

    >>> did_you_mean("langauge", ["language", "quality"])
    "; did you mean 'language'? (known: language, quality)"
    >>> did_you_mean("x", ["language", "quality"])
    ' (known: language, quality)'
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    return (f"; did you mean {near[0]!r}?" if near else "") + f" (known: {', '.join(names)})"
