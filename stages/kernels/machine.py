"""What kernels need of the processor and numba does not offer: prefetching, many values at a glance, memory by its address.

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

__all__ = ["equal_bytes", "lowest_bit", "ones", "prefetch", "scan", "words_at"]

_LANES, _TOGETHER = 16, 32
_BYTE, _FLAG, _WORD = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_MASK = ir.IntType(_LANES)
_VECTOR, _BYTES = ir.VectorType(_WORD, _LANES), ir.VectorType(_BYTE, _TOGETHER)


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

        zero = ir.Constant(_VECTOR, [0] * _LANES)
        slots, shifts = (_spread(builder, value, _VECTOR) for value in arguments[2:])
        differences = builder.lshr(builder.xor(values, slots), shifts)
        masks = [
            builder.zext(builder.bitcast(builder.icmp_unsigned("==", lane, zero), _MASK), _WORD)
            for lane in (differences, values)
        ]
        return context.make_tuple(builder, signature.return_type, masks)

    return types.UniTuple(types.uint64, 2)(array, types.uint64, types.uint64, types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def equal_bytes(context: Any, array: Any, index: Any, byte: Any) -> Any:
    """Return a mask over the 32 uint8 from `array[index]` on: equal to *byte*."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.bitcast(builder.gep(view.data, [arguments[1]]), _BYTES.as_pointer())
        values = builder.load(place)
        values.align = 1
        wanted = _spread(builder, arguments[2], _BYTES)
        equal = builder.icmp_unsigned("==", values, wanted)
        return builder.zext(builder.bitcast(equal, ir.IntType(_TOGETHER)), _WORD)

    return types.uint64(array, types.int64, types.uint8), generate


def _spread(builder: Any, value: Any, vector: Any) -> Any:
    """Return a vector of which every lane is *value*."""
    nothing = ir.Constant(vector, ir.Undefined)
    first = ir.Constant(ir.VectorType(_FLAG, vector.count), [0] * vector.count)
    return builder.shuffle_vector(builder.insert_element(nothing, value, _FLAG(0)), nothing, first)


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
