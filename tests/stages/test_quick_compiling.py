"""Kernels compiled by a numba that was changed to be quick: the same answers, for those as well that need all of numba."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="nothing is compiled")

KERNELS = """
import sys
from typing import Any

import numpy as np

from corpusmill.stages.kernels import kernel


@kernel
def halves(table: Any) -> Any:
    found = [row for row in range(len(table)) if table[row, 0] % 2 == 0]
    return np.array(found)


@kernel
def weighed(table: Any, by: Any = None) -> int:
    if by is None:
        return table.sum()
    return (table[:, 0] * by).sum()


@kernel
def checked(table: Any, row: int) -> int:
    if row >= len(table):
        raise IndexError("no such row")
    return table[row, -1]


@kernel
def reshaped(table: Any) -> Any:
    flat = table.reshape(-1)
    flat[::2] = 7
    return table.T[0], flat[1:3].copy(), table.shape, table[1]


@kernel
def by_dimensions(table: Any) -> int:
    if table.ndim == 1:
        return table[0]
    return table[0, 1]


def answers():
    table = np.arange(6, dtype=np.int64).reshape(3, 2)
    yield halves(table).tolist()
    yield weighed(table), weighed(table, np.array([1, 2, 3]))
    yield checked(table, 2)
    try:
        checked(table, 3)
    except IndexError as error:
        yield str(error)
    yield [np.asarray(part).tolist() for part in reshaped(table)]
    yield by_dimensions(table)
    yield by_dimensions(table[1])
"""
EXPECTED = [[0, 1, 2], (15, 0 + 4 + 12), 5, "no such row", [[7, 7, 7], [1, 7], [3, 2], [7, 3]], 1, 7]


def _run(code: str, folder: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_kernels_that_need_all_of_numba_give_the_same_answers(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    code = f"""
import sys
sys.path.append({str(tmp_path)!r})
from corpusmill.stages.kernels.quick_compiling import compile_quickly
compile_quickly()
import kernels
for function in vars(kernels).values():
    if hasattr(function, "py_func"):
        function.py_func.__module__ = "corpusmill.stages.kernels.of_a_test"
print(list(kernels.answers()))
"""
    assert _run(code, tmp_path) == str(EXPECTED)


def test_a_numba_that_names_everything_otherwise_compiles_as_it_does(tmp_path: Path) -> None:
    code = """
from numba import types
from numba.core import codegen, compiler, ir, lowering, postproc, targetconfig

for kind, name in (
    (types.BaseFunction, "get_call_type"),
    (codegen.CPUCodeLibrary, "_optimize_functions"),
    (codegen.CPUCodeLibrary, "_optimize_final_module"),
    (compiler.Compiler, "define_pipelines"),
    (ir.Inst, "_rec_list_vars"),
    (lowering.BaseLower, "create_cfunc_wrapper"),
    (postproc.PostProcessor, "run"),
):
    delattr(kind, name)
before = targetconfig.TargetConfig.values
from corpusmill.stages.kernels.quick_compiling import compile_quickly
compile_quickly()
print(targetconfig.TargetConfig.values is before)
"""
    assert _run(code, tmp_path) == "False"


def test_quick_compiling_changes_what_this_numba_has(tmp_path: Path) -> None:
    code = """
from llvmlite.binding import ffi
from numba.core import codegen, compiler, ir, lowering, postproc, targetconfig, types
from numba.np import arrayobj
from corpusmill.stages.kernels.quick_compiling import compile_quickly

compile_quickly()
for function in (
    types.BaseFunction.get_call_type,
    codegen.CPUCodeLibrary._optimize_functions,
    codegen.CPUCodeLibrary._optimize_final_module,
    codegen.JITCPUCodegen.set_env,
    compiler.Compiler.define_pipelines,
    ir.Inst._rec_list_vars,
    lowering.BaseLower.create_cfunc_wrapper,
    postproc.PostProcessor.run,
    targetconfig.TargetConfig.values,
    arrayobj.make_array,
):
    assert function.__module__.startswith("corpusmill."), function
assert ffi.lib._lock._cblist == []
"""
    assert _run(code, tmp_path) == ""


def test_kernels_are_compiled_and_loaded_without_importing_scipy(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    code = """
import sys
import numpy as np
from corpusmill.stages.kernels.jaccard import jaccard

jaccard(*np.zeros((2, 1), np.uint64))
print("scipy.linalg" in sys.modules, end=" ")
from numba import njit

print(njit(lambda one, other: np.dot(one, other))(np.ones((2, 2)), np.ones((2, 2))).tolist(), "scipy.linalg" in sys.modules)
"""
    for _ in range(2):
        assert _run(code, tmp_path) == "False [[2.0, 2.0], [2.0, 2.0]] True"


def test_extensions_of_other_packages_are_left_to_others(tmp_path: Path) -> None:
    code = """
import numpy as np
from numba.core import entrypoints

load, loaded = entrypoints.init_all, []
entrypoints.init_all = lambda: loaded.append(1) or load()
from corpusmill.stages.kernels.jaccard import jaccard

jaccard(*np.zeros((2, 1), np.uint64))
print(len(loaded), end=" ")
from numba import njit

print(njit(lambda number: number + 1)(1), len(loaded) > 0)
"""
    for _ in range(2):
        assert _run(code, tmp_path) == "0 2 True"
