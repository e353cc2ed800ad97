"""Quality rules: `filter_quality` beside its plain Python reference and datatrove's four filters. See `stages.py`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages_child import Kind, Run


def _corpusmill(**settings: Any) -> Run:
    from corpusmill.stages import FilterQuality

    stage = FilterQuality(**settings).open()
    return lambda texts: [stage(batch) for batch in texts.batches]


def _all_presets() -> Run:
    return _corpusmill(presets=("gopher_quality", "gopher_repetition", "c4", "fineweb"))


def _plain() -> Run:
    """Measure what the default presets measure in plain Python, strings given."""
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    from plain_quality import measure

    families = frozenset({"words", "lines", "repetition"})
    return lambda texts: [measure(text, families) for text in texts.strings]


def _datatrove() -> Run:
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    filters = [GopherQualityFilter(), GopherRepetitionFilter(), C4QualityFilter(), FineWebQualityFilter()]
    return lambda texts: [one.filter(Document(text=text, id="")) for text in texts.strings for one in filters]


def _nothing_to_edit(texts: list[str]) -> list[str]:
    """Keep of each text the lines that no rule of C4 takes out, as they are after editing."""
    kept = ["\n".join(line for line in map(str.strip, text.splitlines()) if _stays(line)) for text in texts]
    return [text for text in kept if text]


def _stays(line: str) -> bool:
    words = line.lower().split()
    closed = line.endswith((".", "!", "?", "。")) and not line.endswith("...") and "[" not in line
    telling = ("javascript", "cookie", "polic", "terms")
    return (
        closed and (len(words) >= 4 or len(line) > 20) and not any(part in word for part in telling for word in words)
    )


SYSTEMS = {
    "corpusmill, default presets": _corpusmill,
    "corpusmill, all presets": _all_presets,
    "plain Python": _plain,
    "datatrove, four filters": _datatrove,
}
REFERENCE = "plain Python"
KINDS: Mapping[str, Kind] = {"as they are": lambda texts: texts, "nothing to edit": _nothing_to_edit}
ENVIRONMENTS: Mapping[str, list[str]] = {
    "quality_datatrove": ["datatrove==0.9.0", "spacy", "nltk", "regex", "tldextract", "pyarrow"]
}
ENVIRONMENT_OF: Mapping[str, str] = {"datatrove, four filters": "quality_datatrove"}
