"""Test-set leakage: what is found of items that were planted on purpose, what is found where nothing was planted, and how fast.

    python benchmarks/decontamination.py quality DOCUMENTS.jsonl[.gz]      Markdown on stdout, about two minutes for 12 MB
    python benchmarks/decontamination.py speed DOCUMENTS.jsonl[.gz]        with tables of growing size; generates references

Half of the documents are pages, and sentences of the other half are items: no page holds one of them by chance (13 words of it,
or all of a shorter one, by a plain Python search), so that whatever is found in a page without a plant is a mistake. The rule
that GPT-3 and lm-evaluation-harness use (lower case, ASCII punctuation deleted, white space, 13 words) runs on the same pages.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import string
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpusmill.stages import Decontaminate
from corpusmill.stages.signature import words

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WORD = re.compile(r"[\u4e00-\u9fff\u3040-\u30ff]|[^\W_\u4e00-\u9fff\u3040-\u30ff]+")
_CHINESE = re.compile(r"[\u4e00-\u9fff\u3040-\u30ff]")
Item = dict[str, Any]


def _read_texts(path: Path) -> list[str]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line)["text"] for line in data.splitlines()]


def _grams(text: str) -> set[tuple[str, ...]]:
    """13 words in a row, and 26 letters of Chinese and Japanese."""
    found = words(text.replace("_", " "))
    sizes = (13, 26) if _CHINESE.search(text) else (13,)
    return {tuple(found[at : at + size]) for size in sizes for at in range(len(found) - size + 1)}


def _sentences(texts: list[str]) -> Iterator[str]:
    for text in texts:
        for sentence in re.split(r"(?<=[.?!])\s+|(?<=[。？！])|\n\s*\n", text):
            yield " ".join(sentence.split())


def _make_items(texts: list[str], pages: list[str], generator: random.Random) -> dict[str, list[Item]]:
    """Items of four kinds that no page has."""
    known = set().union(*map(_grams, pages))
    plain = "\n".join(" " + " ".join(words(page.replace("_", " "))) + " " for page in pages)
    kinds: dict[str, list[Item]] = {
        "14 to 60 words": [],
        "8 to 12 words": [],
        "4 to 7 words, 4 choices": [],
        "Chinese, Japanese": [],
    }
    for sentence in dict.fromkeys(_sentences(texts)):
        found = words(sentence.replace("_", " "))
        joined = f" {' '.join(found)} "
        if _CHINESE.search(sentence):
            letters = [word for word in found if _CHINESE.match(word)]
            if len(letters) == len(found) and 30 <= len(found) <= 120 and not _grams(sentence) & known:
                kinds["Chinese, Japanese"].append({"question": sentence})
        elif 14 <= len(found) <= 60 and not _grams(sentence) & known:
            kinds["14 to 60 words"].append({"question": sentence})
        elif 8 <= len(found) <= 12 and joined not in plain:
            kinds["8 to 12 words"].append({"question": sentence})
        elif 4 <= len(found) <= 7:
            rest = generator.sample(range(10_000), 4)
            kinds["4 to 7 words, 4 choices"].append(
                {"question": sentence, "choices": [f"{found[0]} number {n}" for n in rest]}
            )
    for items in kinds.values():
        generator.shuffle(items)
        del items[400:]
    return kinds


def _as_printed(item: Item) -> str:
    choices = [f"{letter}. {choice}" for letter, choice in zip("ABCD", item.get("choices", []), strict=False)]
    return "\n".join([item["question"], *choices])


def _every(step: int) -> Callable[[str], str]:
    """Replace every so many-th word, or letter of Chinese and Japanese."""

    def change(text: str) -> str:
        number = 0

        def other(word: re.Match[str]) -> str:
            nonlocal number
            number += 1
            return (
                "異" if number % step == 0 and _CHINESE.match(word[0]) else "other" if number % step == 0 else word[0]
            )

        return _WORD.sub(other, text)

    return change


def _typographic(text: str) -> str:
    return text.replace("'", "’").replace('"', "“").replace(" - ", " — ").replace("...", "…")


CHANGES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "wrapped and quoted as in mail": lambda t: "\n> ".join(re.findall(r".{1,40}(?:\s|$)|.+", t)),
    "Markdown": lambda t: re.sub(r"\b([a-z]{5,})\b", r"**\1**", t, count=4).replace("\n", "\n- "),
    "typographic quotes and dashes": _typographic,
    "punctuation gone": lambda t: re.sub(rf"[{re.escape(string.punctuation)}]", " ", t),
    "punctuation doubled, spaces lost after it": lambda t: re.sub(r"([.,:;?!。，、])\s*", r"\1\1", t),
    "one word changed": lambda t: re.sub(r"\S+$", "otherwise", t),
    "first half only": lambda t: t[: len(t) // 2],
}
NEAR = {"every 4th word changed": _every(4), "every 8th word changed": _every(8)}


def _naive(references: list[str]) -> Callable[[str], bool]:
    def split(text: str) -> list[str]:
        return text.lower().translate(_PUNCTUATION).split()

    known = {tuple(found[at : at + 13]) for found in map(split, references) for at in range(len(found) - 12)}
    return lambda text: any(
        tuple(found[at : at + 13]) in known for found in [split(text)] for at in range(len(found) - 12)
    )


def _quality(path: Path) -> None:
    generator = random.Random(7)
    texts = _read_texts(path)
    generator.shuffle(texts)
    pages, others = texts[: len(texts) // 2], texts[len(texts) // 2 :]
    kinds = _make_items(others, pages, generator)
    everything = [{"id": f"{kind}/{at}", **item} for kind, items in kinds.items() for at, item in enumerate(items)]
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "items.jsonl"
        reference.write_text("".join(json.dumps(item) + "\n" for item in everything), "utf-8")
        stage = Decontaminate(references=reference)  # type: ignore[arg-type]
        run = stage.open()
    rule = _naive([" ".join([item["question"], *item.get("choices", [])]) for item in everything])

    def found(texts: list[str]) -> list[str | None]:
        out, _ = run(pa.record_batch({"text": pa.array(texts, pa.large_string())}))
        return list(out.column("signals.leaked_item").to_pylist())

    print(
        f"{len(pages):,} pages without a plant: {sum(ref is not None for ref in found(pages))} found, "
        f"by the 13-gram rule {sum(map(rule, pages))}\n"
    )
    print("| planted | " + " | ".join(f"{kind} ({len(items)})" for kind, items in kinds.items()) + " |")
    print("|---|" + "---|" * len(kinds))
    wrong = total = 0
    for name, change in {**CHANGES, **NEAR}.items():
        row = []
        for kind, items in kinds.items():
            planted = []
            for item in items:
                page = generator.choice(pages)
                at = page.find(" ", generator.randrange(len(page) + 1)) % (len(page) + 1)
                planted.append(f"{page[:at]}\n\n{change(_as_printed(item))}\n\n{page[at:]}")
            refs = found(planted)
            wrong += sum(ref is not None and ref != f"items.jsonl#{kind}/{at}" for at, ref in enumerate(refs))
            total += sum(ref is not None for ref in refs)
            row.append(
                f"{sum(ref is not None for ref in refs) / len(refs):.3f} ({sum(map(rule, planted)) / len(refs):.3f})"
            )
        print(f"| {name} | " + " | ".join(row) + " |")
    print(f"\nShare of plants found; in brackets by the 13-gram rule. Of {total:,} found, {wrong} name another item.")


def _speed(path: Path) -> None:
    texts = _read_texts(path)
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
    size = sum(len(text.encode()) for text in texts)
    generator = random.Random(5)
    vocabulary = [f"w{generator.randrange(1 << 24):x}" for _ in range(60_000)]
    print("| items | n-grams | read and built, CPU s | table, MB | documents, MB/s |\n|---|---|---|---|---|")
    for items in (1_000, 20_000, 200_000, 1_140_000):
        with tempfile.TemporaryDirectory() as folder:
            reference = Path(folder) / "items.jsonl"
            with reference.open("w") as file:
                for at in range(items):
                    question = " ".join(generator.choices(vocabulary, k=100))
                    short = " ".join(generator.choices(vocabulary, k=9))
                    file.write(f'{{"id": {at}, "question": "{question}", "answer": "{short}"}}\n')
            stage = Decontaminate(references=reference)  # type: ignore[arg-type]
            begin = time.process_time()
            index = stage.index()
            built = time.process_time() - begin
            run = stage.open()
        run(batch)
        best = min(_seconds(run, batch) for _ in range(5))
        print(
            f"| {items:,} | {index.ngrams:,} | {built:.1f} | {index.nbytes / 1e6:,.0f} | {size / best / 1e6:.0f} |",
            flush=True,
        )


def _seconds(run: Callable[[pa.RecordBatch], Any], batch: pa.RecordBatch) -> float:
    begin = time.process_time()
    run(batch)
    return time.process_time() - begin


def main() -> int:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "speed"])
    parser.add_argument("documents", type=Path)
    arguments = parser.parse_args()
    {"quality": _quality, "speed": _speed}[arguments.what](arguments.documents)
    return 0


if __name__ == "__main__":
    sys.exit(main())
