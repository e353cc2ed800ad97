"""Indexes of duplicates made from signatures that exist, and signatures taken out of our indexes.

A corpus that was deduplicated with datasketch has signatures and no sketches of ours. `write_index` makes of them what
`against` reads; `read_index` gives back ids and signatures, for `datasketch_bridge.lsh_from` or any other tool.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpusmill.schemas import RecipeError
from corpusmill.stages.deduplicate import Deduplicate, saved_index
from corpusmill.stages.near_index import NearIndex
from corpusmill.stages.sketch_store import sketch_reader

__all__ = ["read_index", "write_index"]

_SKETCHES = "sketches/split-{split:06d}-0.arrow"
_TOGETHER = 65_536  # signatures in a batch


def write_index(output: str | Path, ids: Sequence[str], signatures: npt.NDArray[np.uint32], stage: Deduplicate) -> None:
    """Write an index of documents of which only *ids* and *signatures*, shape (n, values), are known, into a new directory.

    `Deduplicate(against=(output,))` drops what is similar to them by signature; *stage* says which signatures they are
    (`signature`, `words`, `shingle_words`, `permutations`). They may be cut off behind the bands of *stage*, as those of a
    datasketch.MinHashLSH are. All of them are held, also those that are alike.

    Raises:
        RecipeError: the directory exists, or the signatures are not as long as *stage* says.

    """
    root = Path(output)
    bands, rows = stage.banding
    width = signatures.shape[1] if signatures.ndim == 2 else 0
    if len(signatures) != len(ids) or not bands * rows <= width <= stage.permutations:
        raise RecipeError(
            f"{len(ids)} signatures of {bands * rows} to {stage.permutations} values are needed, not an array of shape "
            f"{signatures.shape}"
        )
    if root.exists():
        raise RecipeError(f"{root} exists already; give a new directory")
    names = [("id", pa.string()), ("content", pa.binary(16)), ("signature", pa.list_(pa.uint32(), width))]
    schema = pa.schema(names)
    path = root / "state" / _SKETCHES.format(split=0)
    path.parent.mkdir(parents=True)
    with pa.ipc.new_stream(str(path), schema) as stream:
        for start in range(0, len(ids), _TOGETHER):
            some = np.ascontiguousarray(signatures[start : start + _TOGETHER], np.uint32)
            columns = [
                pa.array(list(ids[start : start + _TOGETHER]), pa.string()),
                pa.array([bytes(16)] * len(some), pa.binary(16)),  # contents are not known
                pa.FixedSizeListArray.from_arrays(pa.array(some.reshape(-1)), width),
            ]
            stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    reader = sketch_reader(root / "state", _SKETCHES)
    index = NearIndex(stage, reader)
    index.hold(0, reader(0))
    folder = root / "state" / "index" / "deduplicate-000000"
    folder.mkdir(parents=True)
    index.save(folder, f"../../{_SKETCHES}")


def read_index(output: str | Path) -> tuple[list[str], npt.NDArray[np.uint32]]:
    """Return the ids and signatures, shape (n, permutations), of the documents that the output of a run has kept.

    Raises:
        RecipeError: it has no index, or one of contents only (`near = false`).

    """
    store, ordinals = NearIndex.kept_of(saved_index(str(output)))
    if not len(ordinals):
        return [], np.zeros((0, 0), np.uint32)
    return [store.id(ordinal) for ordinal in ordinals], store.signatures(ordinals)
