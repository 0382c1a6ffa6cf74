"""Tables whose columns are arrays."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Columns:
    """Lends length and choice of rows to a dataclass of nothing but arrays ``(n, ...)`` of one length n."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def __getitem__(self, which: NDArray[np.bool_] | NDArray[np.integer] | slice) -> Self:
        """Return the chosen rows."""
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))
