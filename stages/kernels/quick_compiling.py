"""numba made to compile in two thirds of the time, for processes that do nothing else and come to an end.

- It asks dozens of definitions of `+`, `<` or `[]` which one is meant for two numbers, or an array and a number, and each time
  anew; here the answer is remembered.
- It optimises each kernel that only kernels call, and makes machine code of it, before it does the same with its copies in those
  that call it; here only what Python calls is optimised, with all that it calls, and becomes machine code.
- What it makes is needed to the end, so the garbage collector looks through it in vain.

CPU seconds for reading HTML and finding its content: 8.4 and 9.1 as it is, 6.3 and 6.7 without the second, 5.0 and 5.7 with all
three, at 40 MB more. The machine code is as fast as otherwise. What is used here is numba's own: if a later version renames it,
compiling takes as long as before.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import Any

__all__ = ["compile_quickly"]


def compile_quickly() -> None:
    """Let this process compile faster from now on."""
    gc.disable()
    with suppress(ImportError, AttributeError):
        _remember_operators()
    with suppress(ImportError, AttributeError):
        _leave_inner_kernels()


def _remember_operators() -> None:
    """Let numba find the definition of an operator or builtin once for all numbers and arrays of the same types."""
    from numba import types

    known: dict[tuple[Any, tuple[Any, ...]], Any] = {}
    function: Any = types.BaseFunction
    plain_types = types.Integer, types.Float, types.Boolean, types.Array
    ask = function.get_call_type
    unliteral: Any = types.unliteral

    def get_call_type(self: Any, context: Any, args: Any, kws: Any) -> Any:
        # Numbers known when compiling are types of their own; here, as in all kernels, they are numbers like others.
        kinds = tuple(map(unliteral, args))
        plain = all(isinstance(kind, plain_types) for kind in kinds)
        if kws or not plain or getattr(self.typing_key, "__module__", None) not in ("_operator", "builtins"):
            return ask(self, context, args, kws)
        key = self, kinds
        if key not in known:
            known[key] = ask(self, context, kinds, kws)
        return known[key]

    function.get_call_type = get_call_type


def _leave_inner_kernels() -> None:
    """Let numba hand kernels without an entrance on to those that call them, as they are and without machine code."""
    from numba.core import codegen

    library: Any = codegen.CPUCodeLibrary
    processor: Any = codegen.JITCPUCodegen
    optimize, finish, set_environment = (
        library._optimize_final_module,  # noqa: SLF001
        library._finalize_final_module,  # noqa: SLF001
        processor.set_env,
    )

    def optimize_if_entered(self: Any) -> None:
        if _is_entered(self._final_module):
            optimize(self)

    def finish_if_entered(self: Any) -> None:
        if _is_entered(self._final_module):
            finish(self)
        else:
            self._finalize_dynamic_globals()
            self._verify_declare_only_symbols()
            self._finalized = True

    def set_environment_if_there(self: Any, name: str, environment: Any) -> None:
        if self._engine.get_global_value_address(name):
            set_environment(self, name, environment)

    library._optimize_final_module = optimize_if_entered  # noqa: SLF001
    library._finalize_final_module = finish_if_entered  # noqa: SLF001
    processor.set_env = set_environment_if_there


def _is_entered(module: Any) -> bool:
    """Return whether Python calls a function of an LLVM module, or none of them is numba's translation of Python."""
    names = [function.name for function in module.functions if not function.is_declaration]
    return any(name.startswith("_ZN7cpython") for name in names) or not any(name.startswith("_ZN") for name in names)
