"""What real servers say about themselves, also to an ordinary role."""

from dataclasses import replace

import pytest
from psycopg import sql

from wedsync_db.errors import Refused
from wedsync_db.postgres.cluster import binaries_of
from wedsync_db.postgres.server import is_pooled, lost_settings, require_supported, server_facts
from wedsync_db.postgres.session import session

MAJORS = [m for m in (15, 16, 18) if binaries_of(m)]


@pytest.fixture
def ordinary(address, db):
    """The same database for a role without any privilege."""
    name = f"ordinary_{address.dbname}"
    db.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
    yield replace(address, session_authorization=name)
    db.execute(sql.SQL("drop owned by {0}; drop role {0}").format(sql.Identifier(name)))


@pytest.mark.parametrize("major", MAJORS, indirect=True)
def test_an_ordinary_role_learns_the_same_as_the_superuser(db, ordinary, major):
    facts = server_facts(db)
    assert facts.major == major
    assert facts.version_num == db.info.server_version
    assert facts.is_superuser
    assert not facts.in_recovery
    assert int(facts.system_identifier) > 2**32
    assert facts.database == db.info.dbname
    with session(ordinary, "test") as other:
        assert server_facts(other) == replace(facts, user=ordinary.session_authorization, is_superuser=False)


def test_a_copy_by_template_differs_in_its_oid(db, address):
    copy = f"{address.dbname}_copy"
    name = sql.Identifier(copy)
    with session(address.with_database("postgres"), "test") as other:
        facts = server_facts(db)
        other.execute(
            sql.SQL("select pg_terminate_backend(pid) from pg_stat_activity where datname = {}").format(address.dbname)
        )
        other.execute(sql.SQL("create database {} template {}").format(name, sql.Identifier(address.dbname)))
        with session(address.with_database(copy), "test") as copied:
            theirs = server_facts(copied)
        other.execute(sql.SQL("drop database {}").format(name))
    assert theirs.system_identifier == facts.system_identifier
    assert theirs.database_oid != facts.database_oid


@pytest.mark.parametrize("major", MAJORS, indirect=True)
def test_a_denied_identity_is_refused_with_the_grant_that_helps(db, ordinary):
    db.execute("revoke execute on function pg_control_system() from public")
    try:
        with session(ordinary, "test") as other, pytest.raises(Refused) as caught:
            server_facts(other)
    finally:
        db.execute("grant execute on function pg_control_system() to public")
    assert "pg_control_system" in caught.value.message
    assert "grant execute" in caught.value.hint


@pytest.mark.parametrize(
    ("version", "hint"), [(140012, "Upgrade the server"), (96000, "Upgrade the server"), (190000, "Upgrade wedsync-db")]
)
def test_versions_we_were_not_tested_with_are_refused(db, version, hint):
    facts = server_facts(db)
    require_supported(facts)
    with pytest.raises(Refused) as caught:
        require_supported(replace(facts, version_num=version))
    assert hint in caught.value.hint


@pytest.mark.parametrize("major", MAJORS, indirect=True)
def test_a_direct_session_is_not_pooled_and_has_its_settings(db, ordinary):
    assert not is_pooled(db)
    assert lost_settings(db) == ()
    with session(ordinary, "test") as other:
        other.execute("set lock_timeout = '1s'")
        assert not is_pooled(other)
        assert lost_settings(other) == ()
