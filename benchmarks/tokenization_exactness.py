"""Whether the engine that `tokenize` chooses gives the ids of the installed `tokenizers`: random strings, and files of texts.

    python benchmarks/tokenization_exactness.py tokenizer.json … --strings 1000000 --texts texts.parquet …

The sampled check of the stage is off: what is measured is what its guard lets through. Strings are random code points, pieces of
the tokenizer's own vocabulary, its special tokens spelled out, white space of all kinds, combining marks, and mixtures of them.
One batch of 1,000 at a time; every list of ids is compared. Says how many bytes and documents went to which engine.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from corpusmill.stages import Tokenize
from corpusmill.stages.tokenize import TokenizeBatches, load_tokenizer

_BATCH = 1_000
_WHITE = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2000\u2003\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
_MARKS = (
    "\u0300\u0301\u0308\u0323\u0327\u0334\u0338\u0345\u0591\u064b\u0651\u093c\u094d\u0e31\u0e48\u1ab0\u20d0\u3099"
    "\ufe0f\u200d"
)
_ODD = (
    "ſKßİıŉǅﬁﬀªº²½٣߀𝟘Ⅷ中文日本語한국어ไทยहिन्दीעבריתالعربيةʕ"
    "\U00016ea4\u088f\ua7ce\U0001f468\U0001f3fd\U0001f1e9\U000e0041\U0010fffe"
)
_WORDS = (
    *("'s", "'S", "'ll", "'LL", "'re", "'ve", "'d", "'", "’s", "\r\n", "\n\n", "/", "//", "...", "?!", "1", "1234"),
    "HTTPServer",
)


def strings(count: int, vocabulary: list[str], special: list[str], seed: int) -> Iterator[str]:
    """Yield *count* strings of up to 40 parts, each of one kind or of all."""
    dice = random.Random(seed)

    def code_point() -> str:
        kind = dice.random()
        if kind < 0.3:
            return chr(dice.randrange(0x180))
        if kind < 0.7:
            return chr(dice.randrange(0x180, 0xD800))
        return chr(
            dice.randrange(0xE000, 0x10000)
            if kind < 0.8
            else dice.randrange(0x10000, 0x32000 if kind < 0.95 else 0x110000)
        )

    kinds: list[Callable[[], str]] = [
        code_point,
        lambda: dice.choice(vocabulary),
        lambda: dice.choice(_WORDS),
        lambda: dice.choice(_WHITE) * dice.choice((1, 1, 1, 2, 5)),
        lambda: dice.choice(_MARKS),
        lambda: dice.choice(_ODD),
        lambda: dice.choice(special),
    ]
    weights = [4, 6, 3, 3, 2, 2, 1]
    for number in range(count):
        length = dice.randint(1, 40)
        if number % 3:
            yield "".join(kind() for kind in dice.choices(kinds, weights, k=length))
        else:
            kind = kinds[number // 3 % len(kinds)]
            yield "".join(kind() for _ in range(length))


def batches(texts: Iterator[str]) -> Iterator[list[str]]:
    """Yield *texts* a batch at a time."""
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def compare(name: str, engine: TokenizeBatches, reference: TokenizeBatches, texts: Iterator[list[str]]) -> int:
    """Print what comes of *texts*; return how many of them got other ids."""
    documents = size = tokens = wrong = 0
    seconds = {"engine": 0.0, "reference": 0.0}
    for batch in texts:
        column = pa.record_batch({"text": pa.array(batch, pa.large_string())})
        ids = []
        for which, run in (("engine", engine), ("reference", reference)):
            began = time.process_time()
            ids.append(run(column)[0].column("input_ids"))
            seconds[which] += time.process_time() - began
        documents += len(batch)
        size += column.column("text").nbytes
        tokens += len(ids[1].values)
        if not ids[0].equals(ids[1]):
            for text, mine, theirs in zip(batch, ids[0].to_pylist(), ids[1].to_pylist(), strict=True):
                if mine != theirs:
                    wrong += 1
                    print("  DIFFERENT", ascii(text[:80]), mine[:10], theirs[:10], flush=True)
    counts = engine.take_counts()
    routed = counts.get("tokenizers", 0) / max(documents, 1)
    print(
        f"{name}: {documents:,} documents, {size / 1e6:.1f} MB, {tokens:,} tokens: {wrong} different; "
        f"{routed:.2%} by the reference; CPU {seconds['engine']:.1f} and {seconds['reference']:.1f} s",
        flush=True,
    )
    return wrong


def main() -> None:
    """Compare engines for each tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tokenizers", nargs="+")
    parser.add_argument("--strings", type=int, default=100_000)
    parser.add_argument("--texts", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    wrong = 0
    for path in arguments.tokenizers:
        settings = {"tokenizer": path, "append_end": False}
        engine = Tokenize(**settings, engine="gigatoken", compared_share=0.0).open()
        reference = Tokenize(**settings, engine="tokenizers").open()
        tokenizer = load_tokenizer(path)
        special = [token.content for token in tokenizer.get_added_tokens_decoder().values()] or ["<|endoftext|>"]
        vocabulary = [
            text for text in map(tokenizer.decode, ([id_] for id_ in sorted(tokenizer.get_vocab().values()))) if text
        ]
        made = strings(arguments.strings, vocabulary, special, arguments.seed)
        wrong += compare(f"{Path(path).stem}, strings", engine, reference, batches(made))
        for file in arguments.texts:
            rows = pq.ParquetFile(file).iter_batches(64, columns=["text"])
            texts = ([text or "" for text in batch.column(0).to_pylist()] for batch in rows)
            wrong += compare(f"{Path(path).stem}, {Path(file).name}", engine, reference, texts)
    print(f"{wrong} different in all")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
