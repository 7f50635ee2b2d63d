"""The history store's schema: made once, whoever is first, and never used by an older program."""

from __future__ import annotations

import threading

import pytest

from wedsync_db.errors import Refused
from wedsync_db.history.store import open_history
from wedsync_db.postgres.queries import numbered_scripts


def test_several_processes_may_make_it_at_once(address):
    failed = []

    def open_it():
        try:
            with open_history(address) as connection:
                connection.execute("select count(*) from history.version")
        except Exception as error:  # noqa: BLE001 told below
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with open_history(address) as connection:
        installed = [number for (number,) in connection.execute("select number from history.version order by 1")]
    assert installed == [number for number, _ in numbered_scripts("history")]


def test_a_newer_program_has_been_here(address):
    with open_history(address) as connection:
        connection.execute("insert into history.version (number) values (9999)")
    with pytest.raises(Refused, match="newer than this program"), open_history(address):
        pass


def test_a_lower_number_may_come_later(address):
    first, *_ = numbered_scripts("history")
    with open_history(address) as connection:
        connection.execute("drop table history.deployment")
        connection.execute("delete from history.version where number = %s", [first[0]])
    with open_history(address) as connection:
        assert connection.execute("select count(*) from history.deployment").fetchone() == (0,)
