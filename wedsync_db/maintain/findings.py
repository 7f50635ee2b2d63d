"""What the schema looks like tonight: what its checks find, and indexes that nobody uses or that are there twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psycopg

from wedsync_db.errors import WedsyncError
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.schema.checks import check_schema

# what the night knows better: since when an index was watched, and its partitions as one
_ASKED_HERE = frozenset({"index-unused", "index-duplicate"})


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """Something to think about; the same as long as it is there, so that nights can be compared."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Tonight's findings. `new` and `gone` are None where no earlier night is remembered."""

    all: tuple[Found, ...]
    new: tuple[Found, ...] | None = None
    gone: tuple[Found, ...] | None = None
    problems: tuple[str, ...] = ()


def find(address: Address) -> Findings:
    """Look at the schema; changes nothing, and what cannot be asked is among the problems."""
    problems: list[str] = []
    found: set[Found] = set()
    try:
        with session(address, "maintenance-report") as connection:
            for ask in (_of_checks, _unused, _duplicates):
                try:
                    found.update(ask(connection))
                except psycopg.Error as error:
                    problems.append(f"the schema was not looked at in full: SQLSTATE {error.sqlstate}")
    except WedsyncError as error:
        problems.append(f"the schema was not looked at: {error.message}")
    return Findings(tuple(sorted(found)), problems=tuple(problems))


def compared(tonight: Findings, last_night: Iterable[Found] | None) -> Findings:
    """With what is new and what is gone since; None: nothing is remembered of an earlier night."""
    if last_night is None:
        return tonight
    before = set(last_night)
    new = tuple(one for one in tonight.all if one not in before)
    # what was not looked at is not gone
    gone = () if tonight.problems else tuple(sorted(before - set(tonight.all)))
    return Findings(tonight.all, new, gone, tonight.problems)


def _of_checks(connection: psycopg.Connection) -> Iterator[Found]:
    found = check_schema(connection)
    return (Found(one.rule, one.message[:1000]) for one in found if one.rule not in _ASKED_HERE)


def _unused(connection: psycopg.Connection) -> Iterator[Found]:
    for index, is_certain in connection.execute(query("maintenance", "unused_indexes"), {}).fetchall():
        if is_certain:
            yield Found("unused-index", f"{index} was not used for a month or longer")


def _duplicates(connection: psycopg.Connection) -> Iterator[Found]:
    for (names,) in connection.execute(query("maintenance", "duplicate_indexes"), {}).fetchall():
        yield Found("duplicate-index", f"{names} are the same"[:1000])
