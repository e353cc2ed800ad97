"""Personal identifiers: `redact_pii` with its guard and without, beside datatrove's `PIIFormatter`. See `stages.py`.

datatrove replaces e-mail and public IPv4 addresses only: less work than here, where phone, card and account numbers, IPv6
addresses and secrets are looked for too. The stage without guard makes a string of every text, and scans it for candidates then.
"""

from __future__ import annotations

from collections.abc import Mapping

from stages_child import Kind, Run, Texts

_LINE = (
    "\nWrite to jane.doe@example.org, call +44 20 7946 0958 or (212) 555-0147; seen from 93.184.215.14 on 2021-05-06.\n"
)


def _corpusmill() -> Run:
    from corpusmill.stages import RedactPii

    stage = RedactPii().open()
    return lambda texts: [stage(batch) for batch in texts.batches]


def _without_guard() -> Run:
    from corpusmill.stages import RedactPii

    RedactPii.guard = lambda _: None  # type: ignore[assignment, method-assign, return-value]
    return _corpusmill()


def _datatrove() -> Run:
    from datatrove.pipeline.formatters import PIIFormatter

    formatter = PIIFormatter()

    def run(texts: Texts) -> list[str]:
        return [formatter.format(text) for text in texts.strings]

    return run


def _with_one(texts: list[str]) -> list[str]:
    """Put a line with four identifiers into the middle of each text."""
    return [text[: len(text) // 2] + _LINE + text[len(text) // 2 :] for text in texts]


SYSTEMS = {"corpusmill": _corpusmill, "corpusmill, no guard": _without_guard, "datatrove": _datatrove}
REFERENCE = "datatrove"
KINDS: Mapping[str, Kind] = {"as they are": lambda texts: texts, "four identifiers a document": _with_one}
ENVIRONMENTS: Mapping[str, list[str]] = {"datatrove": ["datatrove==0.10.1", "pyarrow"]}
ENVIRONMENT_OF: Mapping[str, str] = {"datatrove": "datatrove"}
