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


def _lines_as_c4_keeps_them(texts: list[str]) -> list[str]:
    """Take out what the line rules of C4 take out, so that nothing is left to edit."""
    import pyarrow as pa

    from corpusmill.stages.quality_measures import edit_texts
    from corpusmill.stages.quality_rules import ALL_LINE_RULES
    from corpusmill.stages.text_buffers import text_buffers

    edited = edit_texts(text_buffers(pa.array(texts, pa.large_string())), ALL_LINE_RULES, uncite=True).texts.to_pylist()
    return [text for text in edited if text]


SYSTEMS = {
    "corpusmill, default presets": _corpusmill,
    "corpusmill, all presets": _all_presets,
    "plain Python": _plain,
    "datatrove, four filters": _datatrove,
}
REFERENCE = "plain Python"
KINDS: Mapping[str, Kind] = {"as they are": lambda texts: texts, "nothing to edit": _lines_as_c4_keeps_them}
ENVIRONMENTS: Mapping[str, list[str]] = {
    "quality_datatrove": ["datatrove==0.9.0", "spacy", "nltk", "regex", "tldextract", "pyarrow"]
}
ENVIRONMENT_OF: Mapping[str, str] = {"datatrove, four filters": "quality_datatrove"}
