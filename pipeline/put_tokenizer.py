"""The tokenizer of an output: put beside the shards, and with it on record what makes its ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from corpusmill.journal import Journal, write_atomically
from corpusmill.schemas.manifest import EngineChosen, TokenizerMade
from corpusmill.stages import Tokenize
from corpusmill.stages.tokenize import tokenizer_hash

__all__ = ["put_tokenizer", "record_engine"]


def put_tokenizer(tokenizer: Any, root: Path, journal: Journal) -> None:
    """Write *tokenizer* to the output at *root*, and bind the output to it."""
    path = root / "tokenizer.json"
    with write_atomically(path) as temporary:
        tokenizer.save(str(temporary))
    journal.append(TokenizerMade(sha256=tokenizer_hash(path), vocabulary_size=tokenizer.get_vocab_size()))


def record_engine(settings: Tokenize, root: Path, journal: Journal, tell: Callable[[str], object]) -> None:
    """Choose the engine for the tokenizer of the output, before workers do so; record the choice and *tell* of it.

    What it takes to be sure of an engine is found out here, once, and kept for the workers.
    """
    engine = "tokenizers" if journal.engine_distrusted else settings.engine
    choice = msgspec.structs.replace(settings, tokenizer=str(root / "tokenizer.json"), engine=engine).choice()
    reason = "gigatoken is not trusted any more" if journal.engine_distrusted else choice.reason
    chosen = EngineChosen(engine=choice.engine, version=choice.version, reason=reason)
    if journal.engine != chosen:
        journal.append(chosen)
    tell(f"tokenize: ids by {choice._replace(reason=reason)}")
