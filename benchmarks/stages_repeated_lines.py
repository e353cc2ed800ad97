"""Repeated lines of a document: `remove_repeated_lines` beside the function that it spares most texts. See `stages.py`."""

from __future__ import annotations

from collections.abc import Mapping

from stages_child import Kind, Run


def _corpusmill() -> Run:
    from corpusmill.stages import RemoveRepeatedLines

    stage = RemoveRepeatedLines().open()
    return lambda texts: [stage(batch) for batch in texts.batches]


def _every_text() -> Run:
    from corpusmill.stages.remove_repeated_lines import without_repeats

    return lambda texts: [without_repeats(text, 30) for text in texts.strings]


SYSTEMS = {"corpusmill": _corpusmill, "every text, strings given": _every_text}
REFERENCE = "every text, strings given"
KINDS: Mapping[str, Kind] = {"as they are": lambda texts: texts}
ENVIRONMENTS: Mapping[str, list[str]] = {}
ENVIRONMENT_OF: Mapping[str, str] = {}
