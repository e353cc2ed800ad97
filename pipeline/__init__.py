"""corpusmill: raw crawl in, deduplicated and tokenized Parquet shards out.

`Pipeline` is loaded when it is first asked for: `corpusmill --help` must not wait for Arrow.
"""

from __future__ import annotations

from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corpusmill.pipeline import Pipeline
    from corpusmill.schemas import Document, Drop

__all__ = ["Document", "Drop", "Pipeline", "__version__"]

__version__ = _version("corpusmill")


def __getattr__(name: str) -> Any:
    if name == "Pipeline":
        from corpusmill.pipeline import Pipeline

        return Pipeline
    if name in {"Document", "Drop"}:
        import corpusmill.schemas

        return getattr(corpusmill.schemas, name)
    raise AttributeError(f"module 'corpusmill' has no attribute {name!r}")
