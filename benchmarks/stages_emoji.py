"""Emoji to text: `convert_emoji` beside `emoji.demojize`. See `stages.py`."""

from __future__ import annotations

from collections.abc import Mapping

from stages_child import Kind, Run, Texts

_EMOJI = ("😀", "🇩🇪", "👨‍👩‍👧", "❤️", "👍🏽")


def _corpusmill() -> Run:
    from corpusmill.stages import ConvertEmoji

    stage = ConvertEmoji().open()
    return lambda texts: [stage(batch) for batch in texts.batches]


def _emoji() -> Run:
    import emoji

    def run(texts: Texts) -> list[str]:
        return [emoji.demojize(text) for text in texts.strings]

    return run


def _with_five(texts: list[str]) -> list[str]:
    """Put five emoji into each text, at even distances."""
    spread = []
    for text in texts:
        step = len(text) // 6 + 1
        pieces = [text[at : at + step] for at in range(0, len(text), step)]
        spread.append("".join(piece + sign for piece, sign in zip(pieces, (*_EMOJI, ""), strict=False)))
    return spread


SYSTEMS = {"corpusmill": _corpusmill, "emoji.demojize": _emoji}
REFERENCE = "emoji.demojize"
KINDS: Mapping[str, Kind] = {"as they are": lambda texts: texts, "five emoji a document": _with_five}
ENVIRONMENTS: Mapping[str, list[str]] = {}
ENVIRONMENT_OF: Mapping[str, str] = {}
