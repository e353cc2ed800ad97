"""Pure data: Arrow schemas, documents and verdicts, recipe settings, the manifest, and the errors."""

from corpusmill.schemas.columns import (
    CLUSTERS,
    DOCUMENTS,
    EXCERPT,
    QUARANTINE,
    REJECTS,
    VERDICT,
    signal_column,
    verdict_array,
)
from corpusmill.schemas.document import Document, Drop
from corpusmill.schemas.errors import (
    CorpusmillError,
    EngineMismatchError,
    InputError,
    InvalidTextError,
    LockedError,
    OutputMismatchError,
    RecipeError,
    RetryableError,
    StageError,
    did_you_mean,
)

__all__ = [
    "CLUSTERS",
    "DOCUMENTS",
    "EXCERPT",
    "QUARANTINE",
    "REJECTS",
    "VERDICT",
    "CorpusmillError",
    "Document",
    "Drop",
    "EngineMismatchError",
    "InputError",
    "InvalidTextError",
    "LockedError",
    "OutputMismatchError",
    "RecipeError",
    "RetryableError",
    "StageError",
    "did_you_mean",
    "signal_column",
    "verdict_array",
]
