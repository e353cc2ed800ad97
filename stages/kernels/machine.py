"""What kernels need of the processor and numba does not offer: prefetching, sixteen slots at a glance, memory by its address.

Each function is a few LLVM instructions, and LLVM makes the best of them on every processor: comparing sixteen slots is
two instructions with AVX-512, four with AVX2 and a few more with NEON.
"""

# ruff: noqa: ARG001  numba passes these by position, and what they are named is what their kernels are told

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

__all__ = ["lowest_bit", "ones", "prefetch", "scan", "words_at"]

_LANES = 16
_BYTE, _FLAG, _WORD = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_MASK = ir.IntType(_LANES)
_VECTOR = ir.VectorType(_WORD, _LANES)


@intrinsic  # type: ignore[untyped-decorator]
def words_at(context: Any, address: Any, size: Any) -> Any:
    """Return the array of *size* uint64 at an *address*; the memory must outlive it.

    Like `numba.carray`, which counts references and so cannot be used in a bare kernel.
    """
    array = types.Array(types.uint64, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words = context.make_array(array)(context, builder)
        address, size = arguments
        width = context.get_constant(types.intp, 8)
        data = builder.inttoptr(address, words.data.type)
        populate_array(words, data=data, shape=[size], strides=[width], itemsize=width, meminfo=None)
        return words._getvalue()  # noqa: SLF001  how numba's own functions return a structure

    return array(types.uint64, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(context: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of `array[index]` ahead of its use.

    For reading and into the second level: asked for writing, or into the first level, lines come half as fast, because far
    fewer can be under way at once (8.5 instead of 4.4 ns a random line of a 100 MB table, AMD Zen 4).
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(view.data, [arguments[1]]), _BYTE.as_pointer())
        function = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [_BYTE.as_pointer()],
            ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _FLAG, _FLAG, _FLAG]),
        )
        builder.call(function, [place, _FLAG(0), _FLAG(2), _FLAG(1)])
        return context.get_dummy_value()

    return types.void(array, types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def scan(context: Any, array: Any, index: Any, slot: Any, shift: Any) -> Any:
    """Return two masks over the 16 uint64 from `array[index]` on: equal to *slot* above the lowest *shift* bits; zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(view.data, [arguments[1]]), _VECTOR.as_pointer())
        values = builder.load(place)
        values.align = 8

        def lanes(value: Any) -> Any:
            one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, _FLAG(0))
            return builder.shuffle_vector(
                one, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.VectorType(_FLAG, _LANES), [0] * _LANES)
            )

        zero = ir.Constant(_VECTOR, [0] * _LANES)
        differences = builder.lshr(builder.xor(values, lanes(arguments[2])), lanes(arguments[3]))
        masks = [
            builder.zext(builder.bitcast(builder.icmp_unsigned("==", lane, zero), _MASK), _WORD)
            for lane in (differences, values)
        ]
        return context.make_tuple(builder, signature.return_type, masks)

    return types.UniTuple(types.uint64, 2)(array, types.uint64, types.uint64, types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def lowest_bit(context: Any, mask: Any) -> Any:
    """Return the position of the lowest bit that is set; 64 if none is."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def ones(context: Any, mask: Any) -> Any:
    """Return how many bits are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate
