"""numba made a quarter faster at compiling, for processes that do nothing else.

It asks dozens of definitions of `+`, `<` or `[]` which one is meant for two numbers, or an array and a number, and each time
anew; here the answer is remembered. And what it makes is needed to the end, so the garbage collector looks through it in vain.
CPU seconds for reading HTML and for finding its content: 8.4 and 9.1 as it is, 6.2 and 6.6 so, about half of the gain from
either, at 50 MB more. The attributes used are numba's own: if a later version renames them, it takes as long as before.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import Any

__all__ = ["compile_quickly"]


def compile_quickly() -> None:
    """Let this process compile faster from now on. It keeps more memory, so it should not live on for other work."""
    gc.disable()
    with suppress(ImportError, AttributeError):
        _remember_operators()


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
