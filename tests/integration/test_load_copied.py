"""A load test on copies of a backup: the rows are there, the migrations differ, the target does not notice."""

from datetime import UTC, datetime

import pytest

from tests.support.case import write_settings
from tests.support.majors import every_major
from wedsync_db.backup.dump import create_backup
from wedsync_db.errors import UsageError
from wedsync_db.load.beside import fill
from wedsync_db.load.copied import copies_of
from wedsync_db.load.options import Options
from wedsync_db.load.run import load_test
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Phase
from wedsync_db.load.scripts import Script
from wedsync_db.migrate import ledger
from wedsync_db.migrate.plan import plan_of
from wedsync_db.postgres.session import session

FILL = "insert into public.items select 1000 + n, 0 from generate_series(1, 5) n;"
SCENARIO = Scenario(
    "own", "Own", "", FILL, "", (Script("one", 1, "select 1;", {}),), (Phase("steady", 1, 10, 10),), (), 10, 1, 4
)


@pytest.fixture
def backup(case, home):
    """Of a table of 300 rows; the migrations are an index that it has, one that it has not, and a column."""
    case.migration("0001_first", "create index items_first on public.items (value);")
    case.migration("0002_second", "create index items_second on public.items (value);", requires="0001_first")
    case.migration("0003_third", "alter table public.items add column third int;", requires="0002_second")
    with session(case.address, "test") as connection:
        connection.execute("create table public.items (id int primary key, value bigint)")
        connection.execute("insert into public.items select g, g from generate_series(1, 300) g")
        connection.execute("create index items_first on public.items (value)")
        ledger.install(connection)
        with connection.transaction():
            ledger.record(connection, plan_of(case.folder / "migrations", ()).pending[:1], "1")
    return create_backup(case.address, home.backups("case"), environment="case")


def looked_at(address):
    with session(address, "test") as connection:
        rows = connection.execute("select count(*), max(id) from public.items").fetchall()
        names = connection.execute(
            "select indexrelid::regclass::text from pg_index where indrelid = 'public.items'::regclass union all select"
            " attname from pg_attribute where attrelid = 'public.items'::regclass and attname = 'third' order by 1"
        )
        return rows, [name.removeprefix("public.") for (name,) in names.fetchall()]


@every_major
def test_both_have_the_rows_and_only_one_the_migration(case, home, backup):
    migrations = plan_of(case.folder / "migrations", ()).pending
    with copies_of(backup, home.scratch, migrations, migrations[:2], SCENARIO, print) as (after, before):
        assert looked_at(after) == ([(305, 1005)], ["items_first", "items_pkey", "items_second", "third"])
        assert looked_at(before) == ([(305, 1005)], ["items_first", "items_pkey", "items_second"])
        assert case.rows("select count(*) from public.items") == [(300,)], "the target is as it was"
    assert list(home.scratch.iterdir()) == []
    with copies_of(backup, home.scratch, migrations, None, SCENARIO, print) as (alone, nobody):
        assert (looked_at(alone)[1][-1], nobody) == ("third", None)


def test_a_backup_that_has_it_already_is_none_of_before(case, home, backup):
    migrations = plan_of(case.folder / "migrations", ()).pending
    with pytest.raises(UsageError, match="has 0001_first already: there is no before"):
        with copies_of(backup, home.scratch, migrations, (), SCENARIO, print):
            pass
    assert list(home.scratch.iterdir()) == []


TOLD = """
create table public.told (what text);
create function public.tell() returns trigger language plpgsql as
$$ begin insert into public.told values (tg_name); return null; end $$;
create trigger off after insert on public.items execute function public.tell();
create trigger always after insert on public.items execute function public.tell();
create trigger usual after insert on public.items execute function public.tell();
alter table public.items disable trigger off, enable always trigger always;
"""


@every_major
def test_made_up_rows_are_not_told_of_and_triggers_stay_as_they_were(address, db):
    db.execute("create table public.items (id int primary key, value bigint)")
    db.execute(TOLD)
    with session(address, "test", statement_timeout_ms=0) as connection:
        fill(connection, SCENARIO)
        connection.execute("insert into public.items values (1, 1)")
    assert db.execute("select what from public.told order by 1").fetchall() == [("always",), ("usual",)]
    found = db.execute("select tgname, tgenabled::text from pg_trigger where not tgisinternal order by 1").fetchall()
    assert found == [("always", "A"), ("off", "D"), ("usual", "O")]


def test_it_is_the_copy_s_standbys_that_it_may_leave_behind(case, backup, monkeypatch):
    """Those of the target do not even notice."""
    write_settings(case.folder, "load_test = true")
    looked = []
    seen = "wedsync_db.load.run.warn_of_hidden_standbys"
    monkeypatch.setattr(seen, lambda connection, _: looked.append(connection.info.host))
    environment, options = case.installation.environment("case"), Options(copy=backup.id)
    clock = lambda: datetime.now(UTC)  # noqa: E731
    done = load_test(case.installation, environment, SCENARIO, options=options, clock=clock, backup=backup)
    assert done.backup == backup.id
    assert str(case.installation.home.scratch) in looked[0]
    assert case.address.host != looked[0]
