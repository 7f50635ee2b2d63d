"""The table that load tests of tests read and write, and a server that stalls: somebody has it locked."""

from tests.support.waiting import meanwhile, until
from wedsync_db.postgres.session import session

TABLE = "create table t (id int primary key, v bigint); insert into t select n, 0 from generate_series(1, 8) n"
_ARRIVED = "select from pg_stat_activity where application_name = 'wedsync-db/load' and query ~ '\\mt\\M'"
_SESSIONS = "select count(*) from pg_stat_activity where application_name = 'wedsync-db/load'"


def sessions(connection):
    """How many the generator has."""
    return connection.execute(_SESSIONS).fetchone()[0]


def stalled(address, seconds):
    """The table is locked for so long, from the first arrival on: a session may be there long before the others."""

    def hold(is_over):
        with session(address, "test") as connection:
            until(lambda: is_over.is_set() or connection.execute(_ARRIVED).fetchone() is not None)
            with connection.transaction():
                connection.execute("lock table t")
                is_over.wait(seconds)

    return meanwhile(hold)
