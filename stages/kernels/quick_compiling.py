"""numba made to compile in half of the time, for processes that do nothing else and come to an end.

- It asks dozens of definitions of `+`, `<` or `[]` which one is meant for two numbers, or an array and a number, and each time
  anew; here the answer is remembered.
- It optimises each kernel that only kernels call, and makes machine code of it, before it does the same with its copies in those
  that call it; here only what Python calls is optimised, with all that it calls, and becomes machine code.
- It runs passes for what a kernel does not have (closures, comprehensions, literal arguments), finds out after each pass how long
  every variable lives, and asks LLVM to optimise functions that are only declared; here it does not.
- An array is written to memory for each element that is read of it: `quick_arrays`.
- What it makes is needed to the end, so the garbage collector looks through it in vain.

CPU seconds for finding and writing the content of HTML: 9.8 with the first two and the last, 7.0 with all. The machine code of
all 33 kernels of HTML and signatures stays the same, instruction for instruction. Rejected: no optimisation of functions before
they are linked (it takes as long afterwards), optimising once instead of twice (no less), one process that forks (the
libraries it has imported run threads). What is used here is numba's own: what a version names otherwise takes as long as before.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import Any

from corpusmill.stages.kernels.quick_arrays import read_arrays_in_registers
from corpusmill.stages.kernels.quick_passes import analyse_once, list_variables_quickly, run_few_passes

__all__ = ["compile_quickly"]


def compile_quickly() -> None:
    """Let this process compile faster from now on."""
    gc.disable()
    for change in (
        _remember_operators,
        _compare_flags_quickly,
        _leave_inner_kernels,
        _make_no_entrance_for_c,
        _optimize_what_is_defined,
        _report_no_locks,
        run_few_passes,
        analyse_once,
        list_variables_quickly,
        read_arrays_in_registers,
    ):
        with suppress(ImportError, AttributeError):
            change()


def _remember_operators() -> None:
    """Let numba find the definition of an operator or builtin once for all numbers and arrays of the same types."""
    from numba import types

    known: dict[tuple[Any, tuple[Any, ...]], Any] = {}
    function: Any = types.BaseFunction
    plain_types = types.Integer, types.Float, types.Boolean, types.Array
    ask = function.get_call_type
    unliteral: Any = types.unliteral

    def is_plain(kind: Any) -> bool:
        return isinstance(kind, plain_types) or (isinstance(kind, types.BaseTuple) and all(map(is_plain, kind)))

    def get_call_type(self: Any, context: Any, args: Any, kws: Any) -> Any:
        # Numbers known when compiling are types of their own; here, as in all kernels, they are numbers like others.
        kinds = tuple(map(unliteral, args))
        plain = all(map(is_plain, kinds))
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


def _make_no_entrance_for_c() -> None:
    """Spare the functions by which C would call numba's own definitions; kernels have none anyway."""
    from numba.core import lowering

    lower: Any = lowering.BaseLower
    if hasattr(lower, "create_cfunc_wrapper"):
        lower.create_cfunc_wrapper = lambda _: None


def _optimize_what_is_defined() -> None:
    """Let all functions of a module have one manager of LLVM's passes, and those that it only names none."""
    from numba.core import codegen

    library: Any = codegen.CPUCodeLibrary
    optimize = library._optimize_functions  # noqa: SLF001

    def optimize_defined(self: Any, module: Any) -> None:
        try:
            manager, builder = self._codegen._function_pass_manager()  # noqa: SLF001
        except (TypeError, ValueError):  # a version that makes one manager for a module, without being asked
            optimize(self, module)
            return
        module.data_layout = self._codegen._data_layout  # noqa: SLF001
        for function in module.functions:
            if not function.is_declaration:
                manager.run(function, builder)

    library._optimize_functions = optimize_defined  # noqa: SLF001


def _report_no_locks() -> None:
    """Spare two events for each call of LLVM, 90,000 in all: that it is locked, and that it is not any more."""
    from llvmlite.binding import ffi

    library: Any = ffi.lib
    library._lock._cblist.clear()  # noqa: SLF001


def _compare_flags_quickly() -> None:
    """Let numba compare the flags of two functions by those that are set."""
    from numba.core import targetconfig

    flags: Any = targetconfig.TargetConfig
    compare = flags.__eq__

    def is_equal(self: Any, other: Any) -> Any:
        same = isinstance(other, flags) and self._values == other._values  # noqa: SLF001
        return same or compare(self, other)

    def values(self: Any) -> dict[str, Any]:
        return {name: self._values.get(name, option.default) for name, option in self.options.items()}

    flags.__eq__, flags.values = is_equal, values
    # numba's own says as little: it is that of the names of all flags, whatever they are set to.
    flags.__hash__ = lambda self: hash(type(self))
