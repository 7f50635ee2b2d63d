"""How full the disk is, is known of the disk that holds the data, and of no other."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from wedsync_db.maintain.upkeep import free_bytes_of
from wedsync_db.monitor.health import look
from wedsync_db.monitor.states import State
from wedsync_db.postgres.disk import data_room


@pytest.fixture
def stranger(address, db):
    """A role that is told nothing about the server."""
    name = f"stranger_{address.dbname}"
    db.execute(f"create role {name}")
    yield replace(address, role=name)
    db.execute(f"drop role {name}")


def test_the_room_is_that_of_the_data_folder(address, db):
    found, why = data_room(db)
    (folder,) = db.execute("show data_directory").fetchone()
    assert (found.total, why) == (os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize, "")
    assert 0 < free_bytes_of(address) <= found.total


def test_who_is_not_told_where_the_data_is_knows_no_other_disk(stranger):
    assert free_bytes_of(stranger) is None
    (disk,) = [one for one in look(stranger, {}, now=lambda: datetime.now(UTC)) if one.name == "disk_free"]
    assert disk.state is State.UNKNOWN
    assert "pg_read_all_settings" in disk.evidence[0]


def test_the_disk_of_another_machine_is_unknown():
    found, why = data_room(SimpleNamespace(info=SimpleNamespace(host="db.example.org")))
    assert found is None
    assert "elsewhere" in why
