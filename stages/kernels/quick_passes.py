"""numba's passes over a kernel before LLVM sees it: only those that plain loops over arrays need, with less work in each.

numba runs 27 passes over each function, for closures, comprehensions, contexts, generators, literal arguments, and analyses all
variables after each. A kernel that has none of that is the same without these passes. One that numba does not understand without
them is compiled with all of them.
"""

from __future__ import annotations

import dis
from typing import Any

__all__ = ["analyse_once", "list_variables_quickly", "run_few_passes"]

_SPARED = {
    "AnnotateTypes",
    "DeadBranchPrune",
    "DumpParforDiagnostics",
    "FindLiterallyCalls",
    "InlineClosureLikes",
    "InlineInlinables",
    "LiteralPropagationSubPipelinePass",
    "LiteralUnroll",
    "MakeFunctionToJitFunction",
    "NoPythonSupportedFeatureValidation",
    "RewriteDynamicRaises",
    "RewriteSemanticConstants",
    "WithLifting",
}
"""Passes that plain loops do without."""

_NOT_PLAIN = {
    "BEFORE_WITH",
    "BUILD_LIST",
    "BUILD_MAP",
    "BUILD_SET",
    "IS_OP",
    "LOAD_SPECIAL",
    "MAKE_FUNCTION",
    "POP_JUMP_FORWARD_IF_NONE",
    "POP_JUMP_FORWARD_IF_NOT_NONE",
    "POP_JUMP_IF_NONE",
    "POP_JUMP_IF_NOT_NONE",
    "RAISE_VARARGS",
    "SETUP_WITH",
    "YIELD_VALUE",
}
"""Operations of Python that those passes are for."""


def run_few_passes() -> None:
    """Let numba compile plain loops of this project with few passes, and with all where it fails."""
    from numba.core import compiler, compiler_machinery

    kind: Any = compiler.Compiler
    define = kind.define_pipelines

    def define_pipelines(self: Any) -> Any:
        pipelines = define(self)
        if len(pipelines) > 1 or not _is_plain(self.state.func_id):
            return pipelines
        few = compiler_machinery.PassManager("few passes")
        few.passes = [entry for entry in pipelines[0].passes if entry[0].__name__ not in _SPARED]
        few.finalize()
        return [few, *pipelines]

    kind.define_pipelines = define_pipelines


def _is_plain(function: Any) -> bool:
    """Return whether a function is one of ours that does nothing out of the ordinary."""
    return str(function.modname).startswith("corpusmill.") and not any(
        operation.opname in _NOT_PLAIN for operation in dis.get_instructions(function.code)
    )


def analyse_once() -> None:
    """Let numba find out how long variables live when it is about to use that, not after each pass."""
    from numba.core import compiler_machinery, postproc, transforms

    machinery: Any = compiler_machinery.PassManager
    kind: Any = postproc.PostProcessor
    run = kind.run
    lifetime, canonical = postproc.VariableLifetime, transforms.canonicalize_cfg

    def run_if_used(self: Any, emit_dels: bool = False, extend_lifetimes: bool = False) -> None:
        function = self.func_ir
        if emit_dels or function.is_generator:
            run(self, emit_dels, extend_lifetimes)
            return
        function.blocks = canonical(function.blocks)
        function.variable_lifetime = lifetime(function.blocks)
        function.generator_info = None

    kind.run = run_if_used
    machinery._ENFORCING = False  # noqa: SLF001  what it calls checks of consistency


def list_variables_quickly() -> None:
    """Let numba list the variables of an instruction without asking five times what each of its parts is."""
    from numba.core import ir

    instruction: Any = ir.Inst
    ask = instruction._rec_list_vars  # noqa: SLF001
    variable, holders = ir.Var, (ir.Inst, list, tuple, dict)
    holds: dict[type, bool] = {}

    def list_variables(self: Any, value: Any) -> Any:
        kind = type(value)
        if kind is dict:
            parts = value.values()
        elif kind in (list, tuple):
            parts = value
        else:
            return ask(self, value)
        found = []
        for part in parts:
            kind = type(part)
            if kind is variable:
                found.append(part)
            elif holds.setdefault(kind, issubclass(kind, (variable, *holders))):
                found += list_variables(self, part)
        return found

    instruction._rec_list_vars = list_variables  # noqa: SLF001
