"""What a bucket that remembers few documents costs in recall: templated sites with copies planted among their pages.

    python benchmarks/dedup_buckets.py --sites 20 --pages 2000

Pages of a site share a template, which is not enough to make them duplicates of each other but fills buckets: page after
page has the same bands. Near copies of some pages come later. A bucket that keeps only its first page cannot name the page
that was copied.
"""

from __future__ import annotations

import argparse
import random
import time

import pyarrow as pa

from corpusmill.stages import Deduplicate


def corpus(sites: int, pages: int, shared: float, copies: float, seed: int) -> tuple[list[str], list[int | None]]:
    """Return the texts, and for each planted copy the number of its original."""
    choose = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(50_000)]
    length = 300
    texts: list[list[str]] = []
    sources: list[int | None] = []
    for _ in range(sites):
        template = choose.choices(vocabulary, k=int(length * shared))
        originals = []
        for _ in range(pages):
            originals.append(len(texts))
            texts.append(template + choose.choices(vocabulary, k=length - len(template)))
            sources.append(None)
        for original in choose.sample(originals, int(pages * copies)):
            copy = list(texts[original])
            for at in choose.sample(range(len(copy)), 6):  # up to 30 of 296 shingles change: similarity 0.82 and more
                copy[at] = choose.choice(vocabulary)
            texts.append(copy)
            sources.append(original)
    return [" ".join(words) for words in texts], sources


def main() -> None:
    """Print recall and cost for several bucket sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--copies", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{options.sites} sites of {options.pages:,} pages of 300 words, near copies of {options.copies:.0%} of them")
    print(f"{'template':>9} {'bucket':>7} {'found':>7} {'wrong':>7} {'compared':>10} {'refused':>8} {'seconds':>8}")
    for shared in (0.0, 0.5, 0.7, 0.8, 0.88):
        texts, sources = corpus(options.sites, options.pages, shared, options.copies, options.seed)
        batch = pa.record_batch({"text": pa.array(texts, pa.large_string())})
        planted = sum(source is not None for source in sources)
        for size in (1, 2, 4, 8, 16, 64):
            stage = Deduplicate(bucket_size=size)
            sketches = pa.Table.from_batches([stage.sketch()(batch)])
            started = time.process_time()
            index = stage.open_index()
            ((_, verdicts),) = index.add(0, sketches)
            seconds = time.process_time() - started
            found = wrong = 0
            for verdict, source in zip(verdicts.to_pylist(), sources, strict=True):
                if verdict is not None:
                    found += source is not None
                    wrong += source is None
            facts = index.facts()
            print(
                f"{shared:9.0%} {size:7} {found / planted:7.2%} {wrong:7,} "
                f"{facts['compared_exactly']:10,} {facts['refused_by_full_buckets']:8,} {seconds:8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
