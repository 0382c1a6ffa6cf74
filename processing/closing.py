"""Things that are used in a ``with`` statement and closed at its end."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Lends ``with`` to a class that has `close`, which may be called more than once."""

    @abstractmethod
    def close(self) -> object:
        """Give back what was opened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
