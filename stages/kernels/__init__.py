"""Compiled loops over Arrow buffers, and how to compile one: `kernel`, `bare_kernel`, and for parts of them `inner`, `inlined`.

numba takes half a second to import and seconds to compile, so nothing imports a module of this package before it needs its
kernels: `import corpusmill.stages` and `corpusmill --help` do without numba. Rejected: a C or Rust extension (the wheel
would no longer be pure Python), and compiling ahead of time with numba (one wheel per platform, and code for the least
processor instead of the one at hand: without its wide registers signatures take several times as long).
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["bare_kernel", "inlined", "inner", "kernel"]

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile *function* with numba when it is first called: no Python objects, and without the interpreter's lock.

    The machine code is kept beside the sources, or else in the user's cache directory (`NUMBA_CACHE_DIR` names another one).
    Where neither can be written to, every process compiles for itself; that is slower and never an error.
    Each combination of argument types is compiled on its own, so callers hand over the same types always.
    """
    return _compile(function, keep=True)


def bare_kernel(function: Function) -> Function:
    """Compile *function* like `kernel`, for one that makes no arrays: without counting references to those it is given.

    numba counts with an atomic operation wherever a function takes a view of an array or hands one on: in `first_wins` that took
    40 of the 48 ns of a row that has nothing to decide.
    """
    return _compile(function, keep=True, _nrt=False)


def inner(function: Function) -> Function:
    """Compile *function* like `bare_kernel`, for kernels alone to call: what Python would enter by is a seventh of compiling it.

    It is kept on disk with those that call it.
    """
    return _compile(function, keep=False, _nrt=False, no_cpython_wrapper=True)


def inlined(function: Function) -> Function:
    """Compile *function* like `inner`, and always into those that call it.

    An array is handed on as seven numbers, so a call that LLVM leaves as one costs several nanoseconds.
    """
    return _compile(function, keep=False, _nrt=False, no_cpython_wrapper=True, forceinline=True)


def _compile(function: Function, *, keep: bool, **options: bool) -> Function:
    from numba import njit

    from corpusmill.stages.kernels.compile_cache import keep_compiled

    _leave_scipy()
    try:
        compiled: Any = njit(nogil=True, no_cfunc_wrapper=True, **options)(function)
    except KeyError:  # a version of numba that does not know these options, which are not documented
        compiled = njit(nogil=True)(function)
    _without_constants(compiled)
    _without_extensions(compiled)
    if "no_cpython_wrapper" in options:
        _close(compiled)
    result: Function = keep_compiled(compiled) if keep else compiled
    return result


@functools.cache
def _leave_scipy() -> None:
    """Let numba look for SciPy without importing it, which takes 0.2 s, before a kernel does linear algebra (none does)."""
    # Another version may do it otherwise, and numba takes a broken SciPy for none.
    with suppress(Exception):
        linalg: Any = importlib.import_module("numba.np.linalg")
        ensure = linalg.ensure_blas

        def ensure_blas() -> None:
            arraymath = sys.modules.get("numba.np.arraymath")
            if arraymath is None or hasattr(arraymath, "_HAVE_BLAS"):
                ensure()
            elif importlib.util.find_spec("scipy") is None:  # it is just being imported, and asks whether there is one
                raise ImportError("scipy")

        linalg.ensure_blas = ensure_blas


class _Compiling(threading.local):
    """Whether this thread compiles or loads a kernel of ours."""

    depth = 0


@functools.cache
def _leave_extensions() -> _Compiling:
    """Let numba pass over the extensions that other packages register while kernels compile or load: awkward's takes 0.17 s.

    They teach numba types that no kernel has. Functions of others find them as ever.
    """
    compiling = _Compiling()
    with suppress(Exception):  # another version may do it otherwise
        entrypoints: Any = importlib.import_module("numba.core.entrypoints")
        load = entrypoints.init_all

        def init_all() -> None:
            if not compiling.depth:
                load()

        entrypoints.init_all = init_all
    return compiling


def _without_extensions(dispatcher: Any) -> None:
    compiling = _leave_extensions()
    compile_for_arguments = getattr(dispatcher, "_compile_for_args", None)
    if compile_for_arguments is None:  # NUMBA_DISABLE_JIT: the function itself
        return

    def compile_for_args(*arguments: Any, **named: Any) -> Any:
        compiling.depth += 1
        try:
            return compile_for_arguments(*arguments, **named)
        finally:
            compiling.depth -= 1

    dispatcher._compile_for_args = compile_for_args  # noqa: SLF001  what numba calls for types that it has not met


def _close(dispatcher: Any) -> None:
    """Let a call from Python raise, where there is nothing to enter by: numba would jump to address 0."""

    def refuse(*_: Any, **__: Any) -> None:
        raise TypeError(
            f"{dispatcher.__name__} is for kernels to call; decorate it with bare_kernel to call it from Python"
        )

    if hasattr(dispatcher, "py_func"):  # else, with NUMBA_DISABLE_JIT, it is the function itself
        dispatcher._insert = lambda *_, **__: None  # noqa: SLF001  numba's table of what Python may enter
        dispatcher._compile_for_args = refuse  # noqa: SLF001


def _without_constants(dispatcher: Any) -> None:
    """Let a kernel be compiled once for all numbers that others call it with.

    numba takes every constant for a type of its own: the kernels of HTML were compiled up to ten times each, 25 s in all.
    """
    from numba import types

    unliteral: Any = types.unliteral
    ask = getattr(dispatcher, "get_call_template", None)
    if ask is None:  # NUMBA_DISABLE_JIT: the function itself
        return

    def get_call_template(args: Any, kws: Any) -> Any:
        return ask([unliteral(kind) for kind in args], {name: unliteral(kind) for name, kind in kws.items()})

    dispatcher.get_call_template = get_call_template
