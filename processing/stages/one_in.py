"""A sample of what comes by."""

import random


class OneIn:
    """Takes one of every n, at random among them."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._seen = 0
        self._taken = random.randrange(n)

    def takes_next(self) -> bool:
        """Whether the next one is taken."""
        takes = self._seen == self._taken
        self._seen += 1
        if self._seen == self._n:
            self._seen, self._taken = 0, random.randrange(self._n)
        return takes
