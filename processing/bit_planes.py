"""Kernel that unpacks bitshuffled blocks straight into an image, block after block in cache.

The layout is that of bitshuffle (Masui et al. 2015, Astronomy and Computing 12, 181): a block of n elements is stored
as one plane of n/8 bytes for each bit of an element, the lowest first. In detector images most planes are empty nearly
everywhere, so 64 elements at a time are put together from 4, 8, 16 or 32 planes as needed. The compiler turns
"set this bit in the elements whose bit in the plane is set" into masked vector instructions, provided that it sees
whole vectors; hence a few lines of LLVM code instead of loops over single bits.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

SLACK = 64
"""Bytes behind a block of planes that may be read, so that the last elements need no code of their own."""

OK, CUT, DAMAGED = 0, 1, 2
"""What `unpack_blocks` says: all is well; a block reaches beyond the end; a block does not unpack to its size."""

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()


def _address(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Return LLVM's pointer to an element of a numba array."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _load(builder: Any, pointer: Any, kind: Any) -> Any:
    value = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    value.align = 1
    return value


def _spread(n_planes: int) -> Callable[..., None]:
    """Make a function that puts 64 elements together from their lowest `n_planes` planes; 0 makes zeros."""

    @intrinsic
    def spread(_: Any, planes: Any, at: Any, stride: Any, out: Any, first: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            element = ir.IntType(out.dtype.bitwidth)
            vector = ir.VectorType(element, 64)
            elements = ir.Constant(vector, [0] * 64)
            for plane in range(min(n_planes, out.dtype.bitwidth)):
                offset = builder.add(args[1], builder.mul(args[2], ir.Constant(_I64, plane)))
                bits = _load(builder, _address(context, builder, signature.args[0], args[0], offset), _I64)
                chosen = builder.sext(builder.bitcast(bits, ir.VectorType(ir.IntType(1), 64)), vector)
                value = ir.Constant(vector, [ir.Constant(element, 1 << plane)] * 64)
                elements = builder.or_(elements, builder.and_(chosen, value))
            target = _address(context, builder, signature.args[3], args[3], args[4])
            builder.store(elements, builder.bitcast(target, vector.as_pointer())).align = 1
            return context.get_dummy_value()

        return types.void(planes, types.intp, types.intp, out, types.intp), generate

    return spread


def _any_set(first: int, n_planes: int) -> Callable[..., int]:
    """Make a function that looks at 512 elements and sets bit j if elements 64 j and on have a bit in those planes."""

    @intrinsic
    def any_set(_: Any, planes: Any, at: Any, stride: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vector = ir.VectorType(_I64, 8)
            united = zero = ir.Constant(vector, [0] * 8)
            for plane in range(first, first + n_planes):
                offset = builder.add(args[1], builder.mul(args[2], ir.Constant(_I64, plane)))
                pointer = _address(context, builder, signature.args[0], args[0], offset)
                united = builder.or_(united, _load(builder, pointer, vector))
            bits = builder.bitcast(builder.icmp_unsigned("!=", united, zero), ir.IntType(8))
            return builder.zext(bits, _I64)

        return types.intp(planes, types.intp, types.intp), generate

    return any_set


def _lz4_call(_: Any, function: Any, source: Any, at: Any, size: Any, target: Any, capacity: Any) -> Any:
    """Call ``int LZ4_decompress_safe(source, target, size, capacity)`` at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_I32, [_BYTES, _BYTES, _I32, _I32])
        call = builder.inttoptr(args[0], kind.as_pointer())
        packed = _address(context, builder, signature.args[1], args[1], args[2])
        planes = _address(context, builder, signature.args[4], args[4], ir.Constant(_I64, 0))
        sizes = builder.trunc(args[3], _I32), builder.trunc(args[5], _I32)
        return builder.sext(builder.call(call, [packed, planes, *sizes]), _I64)

    return types.intp(types.intp, source, types.intp, types.intp, target, types.intp), generate


def _zstd_call(_: Any, function: Any, state: Any, source: Any, at: Any, size: Any, target: Any, capacity: Any) -> Any:
    """Call ``size_t ZSTD_decompressDCtx(state, target, capacity, source, size)`` at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_I64, [_BYTES, _BYTES, _I64, _BYTES, _I64])
        call = builder.inttoptr(args[0], kind.as_pointer())
        packed = _address(context, builder, signature.args[2], args[2], args[3])
        planes = _address(context, builder, signature.args[5], args[5], ir.Constant(_I64, 0))
        return builder.call(call, [builder.inttoptr(args[1], _BYTES), planes, args[6], packed, args[4]])

    return types.intp(types.intp, types.intp, source, types.intp, types.intp, target, types.intp), generate


_unlz4: Any = intrinsic(_lz4_call)
_unzstd: Any = intrinsic(_zstd_call)
_spread_0, _spread_4, _spread_8, _spread_16, _spread_32 = (_spread(n) for n in (0, 4, 8, 16, 32))
_any_0_4, _any_4_8, _any_8_16, _any_16_32 = (_any_set(*planes) for planes in ((0, 4), (4, 4), (8, 8), (16, 16)))


@njit(nogil=True, cache=True)
def unpack_blocks(
    lz4: int,
    zstd: int,
    state: int,
    packed: NDArray[np.uint8],
    start: int,
    block: int,
    planes: NDArray[np.uint8],
    out: NDArray[Any],
) -> tuple[int, int]:
    """Unpack all of `out` (1-D; uint8, uint16 or uint32) from the blocks of `packed` that begin at byte `start`.

    `block` is the number of elements a block, a multiple of 8; `planes` has room for a block's bytes and `SLACK`. `lz4`
    is the address of LZ4_decompress_safe; `zstd` that of ZSTD_decompressDCtx and `state` its context, or 0 for LZ4.
    Returns what came of it and the byte reached. Every length is checked before its block is touched.
    """
    bits = out.itemsize * 8
    left = out.size
    at = start
    done = 0
    while left >= 8:
        n = min(block, left - left % 8)
        if at + 4 > packed.size:
            return CUT, at
        size = packed[at] << 24 | packed[at + 1] << 16 | packed[at + 2] << 8 | packed[at + 3]
        at += 4
        if size > min(packed.size - at, 0x7FFFFFFF):
            return CUT, at
        if state != 0:
            unpacked = _unzstd(zstd, state, packed, at, size, planes, n * out.itemsize)
        else:
            unpacked = _unlz4(lz4, packed, at, size, planes, n * out.itemsize)
        if unpacked != n * out.itemsize:
            return DAMAGED, at
        _put_together(planes, n, bits, out, done)
        at += size
        done += n
        left -= n
    rest = left * out.itemsize
    if at + rest > packed.size:
        return CUT, at
    for i in range(left):  # fewer than 8 elements are stored as they are
        value = np.int64(0)
        for byte in range(out.itemsize):
            value |= np.int64(packed[at + byte]) << (8 * byte)
        out[done + i] = value
        at += out.itemsize
    return OK, at


@njit(nogil=True, cache=True)
def _put_together(planes: NDArray[np.uint8], n: int, bits: int, out: NDArray[Any], first: int) -> None:
    """Put `n` elements together from their planes, from `out[first]` on."""
    stride = n // 8
    whole = stride // 8 * 8
    for at in range(0, whole, 64):
        low = _any_0_4(planes, at, stride)
        middle = _any_4_8(planes, at, stride)
        high = _any_8_16(planes, at, stride) if bits > 8 else 0
        top = _any_16_32(planes, at, stride) if bits > 16 else 0
        for j in range(min(8, (whole - at) // 8)):
            here, there = at + 8 * j, first + 8 * at + 64 * j
            if top >> j & 1:
                _spread_32(planes, here, stride, out, there)
            elif high >> j & 1:
                _spread_16(planes, here, stride, out, there)
            elif middle >> j & 1:
                _spread_8(planes, here, stride, out, there)
            elif low >> j & 1:
                _spread_4(planes, here, stride, out, there)
            else:
                _spread_0(planes, here, stride, out, there)
    if whole < stride:
        last = np.empty(64, out.dtype)
        _spread_32(planes, whole, stride, last, 0)
        for i in range(8 * (stride - whole)):
            out[first + 8 * whole + i] = last[i]
