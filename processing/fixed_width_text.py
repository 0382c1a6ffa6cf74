"""Rows of numbers as text, as printf would write them: a kernel, since Python takes ten times as long."""

import math
import string
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

_LARGEST = 2.0**53
"""Up to here a float64 holds every whole number, and a float32 times a power of ten below 1e9 without rounding."""
_MOST_DIGITS = 16


class FixedWidthRows:
    """Writes rows of numbers, each with one of a few words at its end.

    Numbers that are float32, or whole, come out as printf writes them, to the last digit. Not thread-safe.
    """

    def __init__(self, layout: str, words: Sequence[str]) -> None:
        """Take a layout such as ``"{:7.2f} {:4.0f}   "`` and the words that may follow it before the end of the line.

        Raises ValueError where the layout holds anything but spaces and fixed-point numbers.
        """
        self._layout, self._words = layout, list(words)
        fields = [
            (len(gap), spec or "", gap) for gap, _, spec, _ in string.Formatter().parse(layout) if spec is not None
        ]
        tail = layout[layout.rfind("}") + 1 :]
        specs = [spec.removesuffix("f").split(".") for _, spec, _ in fields]
        if any(gap.strip() for *_, gap in fields) or tail.strip() or any(len(spec) != 2 for spec in specs):
            raise ValueError(f"expected numbers such as {{:7.2f}} with spaces between them, found {layout!r}")
        self._gaps = np.array([gap for gap, *_ in fields], np.int64)
        self._widths, self._decimals = np.array([[int(n) for n in spec] for spec in specs], np.int64).T.copy()
        self._scales = 10.0**self._decimals
        endings = [f"{tail}{word}\n".encode() for word in words]
        self._longest = max(map(len, endings), default=1)
        self._lengths = np.array([len(ending) for ending in endings], np.int64)
        self._endings = np.zeros((len(endings), self._longest), np.uint8)
        for row, ending in zip(self._endings, endings, strict=True):
            row[: len(ending)] = np.frombuffer(ending, np.uint8)

    def __call__(self, columns: Sequence[ArrayLike], word: NDArray[np.integer]) -> bytes:
        """Return the rows of some columns ``(n,)``, and of the number of each row's word ``(n,)``."""
        values = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
        if values.shape != (len(word), len(self._widths)):
            raise ValueError(f"expected {len(word)} rows of {len(self._widths)} numbers, found {values.shape}")
        if len(word) and not 0 <= word.min() <= word.max() < len(self._words):
            raise ValueError(f"expected words from 0 to {len(self._words) - 1}, found {word.min()} to {word.max()}")
        if not (np.abs(values) * self._scales < _LARGEST).all():
            return self._slowly(values, word)
        field = np.maximum(self._widths, _MOST_DIGITS + 3 + self._decimals) + self._gaps
        out = np.empty(len(word) * (int(field.sum()) + self._longest), np.uint8)
        length = write_rows(
            values, self._gaps, self._widths, self._decimals, self._scales, word.astype(np.int64), self._endings,
            self._lengths, out,
        )  # fmt: skip
        return out[:length].tobytes()

    def _slowly(self, values: NDArray[np.float64], word: NDArray[np.integer]) -> bytes:
        """Write numbers that are not finite, or have more digits than the kernel knows."""
        rows = zip(values.tolist(), word.tolist(), strict=True)
        return "".join(f"{self._layout.format(*row)}{self._words[w]}\n" for row, w in rows).encode()


@njit(nogil=True, cache=True)
def write_rows(values, gaps, widths, decimals, scales, word, endings, lengths, out):  # type: ignore[no-untyped-def]
    """Write rows of numbers and their endings into `out`, which is long enough; return how many bytes they take."""
    at = 0
    digits = np.empty(32, np.uint8)
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            value, decimal = values[i, j], decimals[j]
            rest = np.int64(np.rint(abs(value) * scales[j]))
            n = 0
            while rest > 0 or n <= decimal:
                digits[n] = 48 + rest % 10
                rest //= 10
                n += 1
            negative = math.copysign(1.0, value) < 0.0
            length = n + (1 if decimal > 0 else 0) + (1 if negative else 0)
            for _ in range(gaps[j] + max(widths[j] - length, 0)):
                out[at] = 32
                at += 1
            if negative:
                out[at] = 45
                at += 1
            for k in range(n - 1, -1, -1):
                out[at] = digits[k]
                at += 1
                if k == decimal and decimal > 0:
                    out[at] = 46
                    at += 1
        for k in range(lengths[word[i]]):
            out[at] = endings[word[i], k]
            at += 1
    return at
