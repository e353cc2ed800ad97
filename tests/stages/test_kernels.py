"""The compiler of kernels: what it keeps on disk can be missing, damaged, shared or out of date, and calls work all the same."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpusmill.stages.kernels import compile_cache, inner, kernel
from corpusmill.stages.kernels.text import letter

CALL = """
import numpy, sys
from corpusmill.stages.kernels.text import letter
print(letter(numpy.uint64(7)), sum(letter.stats.cache_hits.values()))
"""
VALUE = int(letter(np.uint64(7)))


def start(cache: Path, code: str = CALL) -> subprocess.Popen[str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)


def result(process: subprocess.Popen[str]) -> list[int]:
    """The value of `letter(7)`, and whether it came from the cache."""
    out, _ = process.communicate()
    assert process.returncode == 0
    return [int(number) for number in out.split()]


def add_one(value: Any) -> Any:
    """A function to compile; none of the cached ones."""
    return value + 1


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that two processes have filled at once."""
    cache: Path = tmp_path_factory.mktemp("cache")
    processes = [start(cache) for _ in range(2)]
    assert [result(process)[0] for process in processes] == [VALUE] * 2
    return cache


def test_machine_code_is_kept_for_the_next_process(filled: Path) -> None:
    assert result(start(filled)) == [VALUE, 1]


def test_what_another_version_or_processor_compiled_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core.codegen import JITCPUCodegen

    cache: Any = letter._cache  # type: ignore[attr-defined]
    assert cache.exists
    with monkeypatch.context() as change:
        change.setattr(JITCPUCodegen, "magic_tuple", lambda _: ("another", "processor"))
        assert not cache.exists
    monkeypatch.setattr(cache._inner._cache_file, "_version", "another version of numba")
    assert not cache.exists


def test_damaged_files_are_replaced(filled: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(filled, cache)
    indexes, codes = list(cache.rglob("*.nbi")), list(cache.rglob("*.nbc"))
    assert indexes
    assert codes
    for path in indexes:
        path.write_bytes(b"not what numba wrote")
    assert result(start(cache)) == [VALUE, 0]
    for path in codes:
        path.write_bytes(b"")
    assert result(start(cache)) == [VALUE, 0]
    assert result(start(cache)) == [VALUE, 1]


def test_no_place_for_files_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba.core.caching as caching

    def no_locator(*_: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(caching.FunctionCache, "__init__", no_locator)
    assert kernel(add_one)(1) == 2


def test_a_full_disk_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import numba.core.caching as caching

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(compile_cache, "source_stamp", lambda _: b"full disk")
    monkeypatch.setattr(caching.IndexDataCacheFile, "save", full)
    compiled: Any = kernel(add_one)
    assert isinstance(compiled._cache, compile_cache._Cache)
    assert compiled(1) == 2


def test_without_a_home_no_directory_called_tilde_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert not compile_cache._has_a_place()
    compiled: Any = kernel(add_one)
    assert not isinstance(compiled._cache, compile_cache._Cache)
    assert compiled(1) == 2


def test_a_change_in_an_imported_module_makes_files_stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "stages" / "kernels"
    shutil.copytree(compile_cache._FOLDER.parent, folder.parent, ignore=shutil.ignore_patterns("__pycache__", "data"))
    monkeypatch.setattr(compile_cache, "_FOLDER", folder)
    names = ("minhash", "text", "quality_scan", "text_cleaning", "sha1")

    def stamps() -> list[bytes]:
        compile_cache.source_stamp.cache_clear()
        return [compile_cache.source_stamp(folder / f"{name}.py") for name in names]

    stale = {}
    try:
        for changed in ("kernels/text.py", "kernels/quality_layout.py", "unicode_forms.py", "characters.py"):
            before = stamps()
            with (folder.parent / changed).open("a") as file:
                file.write("# another constant\n")
            stale[changed] = {name for name, old, new in zip(names, before, stamps(), strict=True) if old != new}
    finally:
        compile_cache.source_stamp.cache_clear()
    assert stale == {
        "kernels/text.py": {"minhash", "text", "quality_scan"},
        "kernels/quality_layout.py": {"quality_scan"},
        "unicode_forms.py": {"text_cleaning"},
        "characters.py": {"minhash", "text", "quality_scan"},
    }


QUICKLY = """
import itertools, sys
import numpy as np
from corpusmill.stages.kernels.quick_compiling import compile_quickly
if "quickly" in sys.argv:
    compile_quickly()
from numba import njit

@njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)
def above(value, limit):
    return value > limit

@njit
def reckon(a, b, at):
    low, high = min(a[at], b[0]), max(b[at], 2, a[0])
    reckoned = a[at] + b[0], a[0] - 1, b[0] * 2, a[0] // b[0], a[0] / b[at], a[at] % 3
    return reckoned, low, high, above(a[0], b[at]), a[0] < b[0], a[0] == 7, not b[0], abs(a[0])

@njit
def combine(a, b):
    a[0] |= b[0]
    return a[0] & 6, a[0] ^ b[0], b[0] << 1, a[0] >> b[0], ~a[0], len(a), int(b[0]), float(a[0])

whole = [np.uint8, np.int64, np.uint64]
for one, other in itertools.product([*whole, np.float32], repeat=2):
    reckoned, *rest = reckon(np.array([7], one), np.array([3], other), 0)
    print([(value, type(value)) for value in (*reckoned, *rest)])
for one in whole:
    print([(value, type(value)) for value in combine(np.array([7], one), np.array([3], one))])
"""


def test_code_that_was_compiled_quickly_does_the_same() -> None:
    """For all pairs of numbers, and with numbers that are known when compiling."""
    shown = [
        subprocess.run([sys.executable, "-c", QUICKLY, *how], capture_output=True, text=True, check=True).stdout
        for how in (["quickly"], [])
    ]
    assert shown[0] == shown[1]
    assert shown[0].count("\n") == 19


def test_an_inner_kernel_cannot_be_called_from_python() -> None:
    """It has no entrance: numba would jump to address 0."""
    plus_one = inner(add_one)

    def plus_two(value: Any) -> Any:
        return plus_one(plus_one(value))

    with pytest.raises(TypeError, match="add_one is for kernels"):
        plus_one(1)
    assert kernel(plus_two)(1) == 3
    with pytest.raises(TypeError, match="add_one is for kernels"):
        plus_one(1)


def test_numba_is_imported_for_a_kernel_and_not_before() -> None:
    code = "import sys, corpusmill.stages, corpusmill.stages.signature; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
