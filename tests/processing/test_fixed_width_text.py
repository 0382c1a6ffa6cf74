"""Numbers as text: what the kernel writes is what printf writes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from braggwatch.processing.fixed_width_text import FixedWidthRows

LAYOUT = "{:4.0f} {:10.2f}  {:6.1f} {:9.7f}   "
WORDS = ["p0", "q1é", "a-very-long-name-of-a-panel"]


def expected(columns: list[NDArray[np.float32]], word: NDArray[np.int16]) -> str:
    rows = zip(*(column.tolist() for column in columns), word.tolist(), strict=True)
    return "".join(f"{a:4.0f} {b:10.2f}  {c:6.1f} {d:9.7f}   {WORDS[w]}\n" for a, b, c, d, w in rows)


def test_float32_comes_out_as_printf_writes_it_to_the_last_digit() -> None:
    random = np.random.default_rng(2)
    n = 20_000
    sizes = 10 ** random.uniform(-9, 6, (4, n)) * random.choice([-1, 1], (4, n))
    # halves of the last digit, where rounding is to even
    sizes[:, : n // 2] = np.round(sizes[:, : n // 2] * 8) / 8
    sizes[:, :50] = 0.0
    columns = list(sizes.astype(np.float32))
    word = random.integers(0, 3, n).astype(np.int16)
    assert FixedWidthRows(LAYOUT, WORDS)(columns, word).decode() == expected(columns, word)


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan, 3e38, -1e30])
def test_numbers_beyond_the_kernel_are_written_all_the_same(odd: float) -> None:
    columns = [np.array([1.5, odd, -2.0], np.float32) for _ in range(4)]
    word = np.array([0, 1, 2], np.int16)
    assert FixedWidthRows(LAYOUT, WORDS)(columns, word).decode() == expected(columns, word)


def test_whole_numbers_and_no_rows_at_all_have_their_place() -> None:
    rows = FixedWidthRows("{:3.0f}{:5.0f}", ["x"])
    assert rows([np.array([-7, 1234567]), np.array([0, -12])], np.zeros(2, np.int16)) == b" -7    0x\n1234567  -12x\n"
    assert rows([np.empty(0), np.empty(0)], np.empty(0, np.int16)) == b""


def test_what_does_not_fit_is_refused() -> None:
    rows = FixedWidthRows("{:7.2f}", ["x"])
    with pytest.raises(ValueError, match=r"expected 2 rows of 1 numbers, found \(3, 1\)"):
        rows([np.zeros(3)], np.zeros(2, np.int16))
    with pytest.raises(ValueError, match="expected words from 0 to 0, found -1 to 0"):
        rows([np.zeros(2)], np.array([-1, 0], np.int16))
    for layout in ("h = {:7.2f}", "{:7d}", "{}", "{:7.2f} px"):
        with pytest.raises(ValueError, match="expected numbers such as"):
            FixedWidthRows(layout, ["x"])
