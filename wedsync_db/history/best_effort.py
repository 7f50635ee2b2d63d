"""Work with the history store that stops nothing when the store is lost: what was missed is said, and left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import psycopg

from wedsync_db.errors import WedsyncError
from wedsync_db.history.store import open_history
from wedsync_db.installation import Installation, NoHistoryYet
from wedsync_db.postgres.session import Address

T = TypeVar("T")


@dataclass
class BestEffort:
    """One environment's part of the store. `problems`: what could not be read or written, each once."""

    environment: str
    address: Address | None = None
    problems: list[str] = field(default_factory=list)

    purpose: ClassVar[str] = "history"  # names its sessions
    trouble: ClassVar[str] = "the history store does not answer"

    def attempt(self, work: Callable[[psycopg.Connection], T]) -> T | None:
        """What the work gives back; None, and one problem more, where the store does not answer."""
        if self.address is None:
            return None
        try:
            with open_history(self.address, self.purpose) as connection:
                return work(connection)
        except (WedsyncError, psycopg.Error) as error:
            self.missed(error)
            return None

    def missed(self, error: Exception) -> None:
        """Add to the problems that something could not be read or written, and why."""
        text = f"{self.trouble}: {said(error)}"
        if text not in self.problems:
            self.problems.append(text)


B = TypeVar("B", bound=BestEffort)


@contextmanager
def reached(part: B, installation: Installation, *, create: bool = True) -> Iterator[B]:
    """That part of the store, its server running for as long as the block lasts; takes nothing where there is none."""
    stack = ExitStack()
    try:
        part.address = stack.enter_context(installation.history(create=create))
    except NoHistoryYet:
        pass  # nothing is missed where nothing was ever kept
    except (WedsyncError, psycopg.Error, OSError) as error:
        part.missed(error)
    try:
        yield part
    finally:
        try:
            stack.close()
        except (WedsyncError, psycopg.Error, OSError) as error:  # a server that does not stop
            part.missed(error)


def said(error: Exception) -> str:
    """An error of ours in its words; a driver's by its name, because its words may hold values."""
    if isinstance(error, WedsyncError):
        return error.message
    return f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".rstrip()
