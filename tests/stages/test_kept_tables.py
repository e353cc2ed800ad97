"""Tables on disk: made once, made again where the file is not what it should be, and never a reason to fail."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from corpusmill.stages import kept_tables as module
from corpusmill.stages.kept_tables import Tables, kept_tables


class Maker:
    """Makes tables from a file, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "numbers.txt"
        self.file.write_text("1 2 3")
        self.kernel = SimpleNamespace(_cache=SimpleNamespace(cache_path=str(folder / "code" / "here")))
        self.made = 0

    def tables(self) -> Tables:
        def make() -> Tables:
            self.made += 1
            numbers = list(map(int, self.file.read_text().split()))
            return {
                "numbers": np.array(numbers, np.uint16),
                "words": np.array(["one", "zwölf"]),
                "empty": np.zeros((0, 3), np.int64),
                "single": np.array(7),
            }

        return kept_tables("numbers", make, self.kernel, [self.file])

    @property
    def kept(self) -> list[Path]:
        return sorted(Path(self.kernel._cache.cache_path).glob("*"))


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def test_tables_come_from_disk_as_they_were_made(maker: Maker) -> None:
    made, kept = maker.tables(), maker.tables()
    assert maker.made == 1
    assert list(made) == list(kept)
    for name, table in made.items():
        assert np.array_equal(kept[name], table)
        assert (kept[name].dtype, kept[name].shape) == (table.dtype, table.shape)


def test_another_file_or_other_sources_make_other_tables(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    maker.tables()
    maker.file.write_text("4 5")
    assert maker.tables()["numbers"].tolist() == [4, 5]
    assert maker.made == 2
    monkeypatch.setattr(module, "source_stamp", lambda _: b"other sources")
    maker.tables()
    assert maker.made == 3
    assert len(maker.kept) == 1  # nobody needs those of before


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "not ours"])
def test_a_damaged_file_is_replaced(maker: Maker, damage: str) -> None:
    expected = maker.tables()["numbers"].tolist()
    (path,) = maker.kept
    data = path.read_bytes()
    at = data.index(np.array(expected, np.uint16).tobytes())
    changes = {"empty": b"", "cut": data[:-40], "changed": data[:at] + b"\xff" + data[at + 1 :], "not ours": b"PK" * 99}
    path.write_bytes(changes[damage])
    for made in (2, 2):
        assert maker.tables()["numbers"].tolist() == expected
        assert maker.made == made
    assert maker.kept == [path]


def test_no_place_for_files_is_no_error(maker: Maker, tmp_path: Path) -> None:
    (tmp_path / "code").write_text("a file where the directory should be")
    assert maker.tables()["numbers"].tolist() == [1, 2, 3]
    maker.kernel = SimpleNamespace(_cache=SimpleNamespace())  # numba's own, that keeps nothing
    assert maker.tables()["numbers"].tolist() == [1, 2, 3]
    assert maker.made == 2


def test_a_full_disk_leaves_nothing(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert maker.tables()["numbers"].tolist() == [1, 2, 3]
    assert maker.kept == []
