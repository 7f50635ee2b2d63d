"""Every error an operator can meet, as one tree with stable exit codes.

    WedsyncError                     1  failed; the database is as it was before
    ├── UsageError                   2  the command, a file or a setting is wrong
    ├── Refused                      3  a guard refused to start
    │   └── TargetHeld               3  somebody else holds the database
    ├── PersonNeeded                 4  going on or back would lose something: a person decides
    └── Inconclusive                 5  it could not be judged, so it does not pass
        └── Displaced                5  another runner took over: how it ends, this one does not know
        (under WedsyncError itself)
    ├── Unreachable                  1  no session with the server could be opened
    ├── PlanError                    1  the migrations on disk may not be deployed
    ├── BackupError                  1  a backup could not be made, read or restored
    ├── RehearsalFailed              1  the rehearsal says no
    ├── LoadTestFailed               1  the database does not hold what a load test asks of it
    └── MigrationFailed              1  a statement failed on the target and was undone
        ├── LockTimeout              1  a lock was not to be had within the budget
        └── VerifyFailed             1  a verify script or an invariant said no

A message is one line: what happened. The hint says what to do about it. Neither ever carries a secret, a row value or
PostgreSQL's DETAIL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from wedsync_db.model import Finding


class WedsyncError(Exception):
    """The database is as it was before; something else has to change first."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.sqlstate = sqlstate

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keyword arguments, as Prefect stores exceptions by pickle."""
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(kind: type[WedsyncError], state: dict[str, object]) -> WedsyncError:
    error = kind.__new__(kind)
    Exception.__init__(error, state["message"])
    error.__dict__.update(state)
    return error


class UsageError(WedsyncError):
    """The command, a file or a setting is wrong."""

    exit_code = 2


class Refused(WedsyncError):
    """A guard refused to start; nothing was touched."""

    exit_code = 3


class TargetHeld(Refused):
    """Somebody else holds the database."""


class PersonNeeded(WedsyncError):
    """Going on or back would lose something: a person decides."""

    exit_code = 4

    def __init__(
        self, message: str, *, hint: str = "", at_risk: tuple[str, ...] = (), sqlstate: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, sqlstate=sqlstate)
        self.at_risk = at_risk


class Inconclusive(WedsyncError):
    """It could not be judged, so it does not pass."""

    exit_code = 5


class Unreachable(WedsyncError):
    """No session with the server could be opened."""


class PlanError(WedsyncError):
    """The migrations on disk may not be deployed; `findings` are all the reasons, each with its place."""

    def __init__(
        self, message: str, *, hint: str = "", findings: tuple[Finding, ...] = (), sqlstate: str | None = None
    ) -> None:
        super().__init__(message, hint=hint, sqlstate=sqlstate)
        self.findings = findings


class BackupError(WedsyncError):
    """A backup could not be made, read or restored."""


class LoadTestFailed(WedsyncError):
    """The database does not hold what a load test asks of it: the verdict FAIL."""


class RehearsalFailed(WedsyncError):
    """The rehearsal says no; the target was not touched. `excerpt`: the line of SQL with a caret below, where known."""

    def __init__(self, message: str, *, hint: str = "", sqlstate: str | None = None, excerpt: str = "") -> None:
        super().__init__(message, hint=hint, sqlstate=sqlstate)
        self.excerpt = excerpt


class MigrationFailed(WedsyncError):
    """A statement failed on the target and was undone. `excerpt`: its line of SQL with a caret below, where known."""

    def __init__(self, message: str, *, hint: str = "", sqlstate: str | None = None, excerpt: str = "") -> None:
        super().__init__(message, hint=hint, sqlstate=sqlstate)
        self.excerpt = excerpt


class LockTimeout(MigrationFailed):
    """A lock was not to be had within the budget."""


class VerifyFailed(MigrationFailed):
    """A verify script or an invariant said no."""


class Displaced(Inconclusive):
    """Another runner took over, or may: this one may commit nothing more, and cannot say how it ends."""


# the ends of a deployment that are no error of ours; any other name says nothing about the database
_ENDS: Mapping[str, type[WedsyncError]] = {"RolledBack": WedsyncError, "RollbackFailed": Inconclusive}


def error_named(state: str, message: str, *, hint: str = "") -> WedsyncError:
    """The error that a run ended with which bears its name in its final state; Inconclusive for a name we do not know.

    This is how the exit code of a run elsewhere is known: `error_named(...).exit_code`.
    """
    kinds = {kind.__name__: kind for kind in _kinds(WedsyncError)}
    return (_ENDS.get(state) or kinds.get(state, Inconclusive))(message, hint=hint)


def _kinds(kind: type[WedsyncError]) -> Iterator[type[WedsyncError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
