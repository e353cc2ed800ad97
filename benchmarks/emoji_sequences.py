"""How many sequences of Unicode's emoji-test become one name, and come back from it: `convert_emoji` and `emoji.demojize`.

    python benchmarks/emoji_sequences.py emoji-test.txt

The list is Unicode's own (public/emoji/15.0/emoji-test.txt), or JSON lines with `text` and `status`. The way back is
`emoji.emojize`, which knows one sequence for a name: the fully qualified one.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import emoji

from corpusmill.schemas import Document
from corpusmill.stages import ConvertEmoji


def sequences(path: Path) -> Iterator[tuple[str, str]]:
    """Yield status and text of each sequence of a list."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("{"):
                row = json.loads(line)
                yield row["status"], row["text"]
            elif match := re.match(r"([0-9A-F ]+); (\S+)", line):
                yield match[2], "".join(chr(int(code, 16)) for code in match[1].split())


def by_stage(stage: ConvertEmoji) -> Callable[[str], str]:
    """Return what *stage* makes of a text."""
    apply = stage.build()

    def convert(text: str) -> str:
        document = Document(text=text)
        apply(document)
        return document.text

    return convert


def main() -> None:
    """Print a table."""
    rows = list(sequences(Path(sys.argv[1])))
    systems = {
        "`convert_emoji`": by_stage(ConvertEmoji()),
        "`convert_emoji`, text_symbols": by_stage(ConvertEmoji(text_symbols=True)),
        "`emoji.demojize`": emoji.demojize,
    }
    print(f"| emoji {emoji.__version__} | " + " | ".join(dict.fromkeys(status for status, _ in rows)) + " |")
    print("|---" * (len({status for status, _ in rows}) + 1) + "|")
    for name, convert in systems.items():
        cells = []
        for status in dict.fromkeys(status for status, _ in rows):
            texts = [text for found, text in rows if found == status]
            names = [convert(text) for text in texts]
            whole = sum(re.fullmatch(r":[^:\s]+:", one) is not None for one in names)
            back = sum(one != text and emoji.emojize(one) == text for one, text in zip(names, texts, strict=True))
            cells.append(f"{whole:,} of {len(texts):,}, back {back:,}")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
