"""WedSync's migrations up, down and up again, in each world, all of them and one by one: the catalog comes back."""

from __future__ import annotations

import re

import psycopg
import pytest

from tests.support.majors import MAJORS, every_major
from tests.support.schema import MIGRATIONS, catalog, closure, deploy, owned_database, run, tables_of
from tests.support.worlds import WORLDS, supabase, superuser
from wedsync_db.postgres.session import session


def _name(folder):
    return folder.name


def test_every_migration_has_its_scripts_and_builds_on_earlier_ones():
    numbers = [folder.name[:4] for folder in MIGRATIONS]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    for folder in MIGRATIONS:
        assert {path.name for path in folder.iterdir()} >= {"deploy.sql", "revert.sql", "verify.sql"}, folder.name
        assert list(closure(folder)) == sorted(closure(folder)), folder.name


# -- all of them -------------------------------------------------------------------------------------------------------
@every_major
@pytest.mark.parametrize("world", WORLDS)
def test_there_and_back_and_there(cluster, world):
    with WORLDS[world](cluster) as connection:
        is_super = connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
        assert is_super == (world == "superuser",)
        states = [catalog(connection)]
        for folder in MIGRATIONS:
            deploy(connection, folder)
            states.append(catalog(connection))
        for folder, before in zip(reversed(MIGRATIONS), reversed(states[:-1]), strict=True):
            run(connection, folder, "revert")
            assert not catalog(connection).change_to(before), folder.name
        for folder, after in zip(MIGRATIONS, states[1:], strict=True):
            deploy(connection, folder)
            assert not catalog(connection).change_to(after), folder.name
    changed = {f.name for f, old, new in zip(MIGRATIONS, states, states[1:], strict=False) if old.digest != new.digest}
    # Supabase has brought along what the first one makes, and nobody else what the one for Realtime looks for
    idle = "0001_compat" if world == "supabase" else "0015_realtime"
    assert changed == {folder.name for folder in MIGRATIONS} - {idle}


# the shim, what Realtime needs, and a range type's constructors, which the server gives to its first superuser
OTHERS = ("schema:auth", "function:auth.", "function:app.published_tables", "function:app.uuid_range(",
          "function:app.uuid_multirange(")  # fmt: skip


@every_major
def test_the_schema_is_the_same_whoever_deploys(cluster):
    found = {}
    for world, empty in WORLDS.items():
        with empty(cluster) as connection:
            before = catalog(connection)
            deploy(connection, *MIGRATIONS)
            deployer = re.compile(rf'(?<=["/+]){connection.info.user}(?=["=])')  # as owner, grantor or grantee
            found[world] = {
                name: deployer.sub("deployer", text)
                for name, text in catalog(connection).objects.items()
                if name not in before.objects and not name.startswith(OTHERS)
            }
    assert found["superuser"] == found["owner"]
    assert found["owner"] == found["supabase"]


# -- one by one --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", params=MAJORS)
def empty(clusters, request):
    with owned_database(clusters(request.param)) as address, session(address, "test") as connection:
        yield connection


CALLS = {
    "0001_compat": ["auth.uid()"],
    "0002_helpers": ["app.uuid_v7()", "app.tz_ok('UTC')", "app.currency_ok('GBP')"],
    "0005_access": ["app.org_ids('viewer')", "app.wedding_ids('people')"],
    "0011_communication": ["app.conversation_ids('viewer')"],
}


def _uses(folder):
    tables = [f"select * from public.{name}" for name in tables_of(folder)]
    return tables + [f"select {call} as x" for call in CALLS.get(folder.name, [])]


@pytest.mark.parametrize("folder", MIGRATIONS, ids=_name)
def test_alone_over_what_it_requires(empty, folder):
    with empty.transaction(force_rollback=True):
        for required in closure(folder)[:-1]:
            run(empty, required, "deploy")
        before = catalog(empty)
        deploy(empty, folder)
        for use in _uses(folder):  # built on top: the revert stops at it
            with empty.transaction(force_rollback=True):
                empty.execute(f"create view public.mine with (security_invoker) as {use}")
                with pytest.raises(psycopg.errors.DependentObjectsStillExist):
                    run(empty, folder, "revert")
        run(empty, folder, "revert")
        assert not catalog(empty).change_to(before)


# -- Realtime ----------------------------------------------------------------------------------------------------------
REALTIME = next(folder for folder in MIGRATIONS if folder.name == "0015_realtime")
LIVE = {"wedding_events", "timeline_items", "rsvps", "messages", "notifications"}


def _published(connection):
    found = connection.execute("select tablename from pg_publication_tables where pubname = 'supabase_realtime'")
    return {name for (name,) in found}


def test_what_was_published_before_stays_published(cluster):
    with supabase(cluster) as connection:
        deploy(connection, *closure(REALTIME)[:-1])
        connection.execute("alter publication supabase_realtime add table messages where (body <> ''), guests")
        before = catalog(connection)
        deploy(connection, REALTIME)
        assert _published(connection) == LIVE | {"guests"}
        run(connection, REALTIME, "revert")
        assert _published(connection) == {"messages", "guests"}
        assert not catalog(connection).change_to(before)


def test_what_somebody_took_out_since_does_not_stop_the_revert(cluster):
    with supabase(cluster) as connection:
        deploy(connection, *closure(REALTIME))
        connection.execute("alter publication supabase_realtime drop table rsvps")
        run(connection, REALTIME, "revert")
        assert _published(connection) == set()
        deploy(connection, REALTIME)
        connection.execute("drop publication supabase_realtime")
        run(connection, REALTIME, "revert")
        assert connection.execute("select to_regprocedure('app.published_tables()')").fetchone() == (None,)


@pytest.mark.parametrize("scope", ["for all tables", "for tables in schema public"])
def test_a_publication_of_everything_is_left_alone(cluster, scope):
    with superuser(cluster) as connection:
        connection.execute(f"set client_min_messages = error; create publication supabase_realtime {scope}")
        deploy(connection, *closure(REALTIME)[:-1])
        before = catalog(connection)
        deploy(connection, REALTIME)
        assert not before.change_to(catalog(connection))


def test_a_publication_of_somebody_else_is_left_alone_and_said(cluster):
    said = []
    with supabase(cluster) as connection, session(cluster.address(connection.info.dbname), "test-admin") as admin:
        admin.execute("alter publication supabase_realtime owner to current_user")
        connection.add_notice_handler(lambda notice: said.append((notice.message_primary, notice.message_hint)))
        deploy(connection, *closure(REALTIME))
        assert _published(connection) == set()
        run(connection, REALTIME, "revert")
    assert {message for message, _ in said} == {f"public.{table} is not sent to those who listen" for table in LIVE}
    assert all("alter publication supabase_realtime add table public." in hint for _, hint in said)
