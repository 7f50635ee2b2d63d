"""A load test on copies of a backup: the rows are there, the migrations differ, the target does not notice."""

import pytest

from tests.support.majors import every_major
from wedsync_db.backup.dump import create_backup
from wedsync_db.errors import UsageError
from wedsync_db.load.copied import copies_of
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
