"""Targets for a served Prefect: an environment each, which a deployment can be held on, and what is true after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.case import PASSWORD, ROLE, Case, database, url
from tests.support.served import until
from tests.support.writer import Acknowledged, writing
from wedsync_db.errors import WedsyncError
from wedsync_db.home import Home
from wedsync_db.installation import CHECKOUT, Installation
from wedsync_db.migrate.deployment import take_fingerprint
from wedsync_db.model import Fingerprint
from wedsync_db.postgres.cluster import Cluster, cluster_in
from wedsync_db.postgres.session import Address, session

_ASKING = "row-asking"  # its deployments wait for an approval
_NAMES = (*(f"row-{n}" for n in range(1, 30)), _ASKING)
# A gate is shut on the target alone, or on its copies alone: a copy of the row is on a server that started otherwise.
_LAID = """
create table public.writes (id bigint primary key, value text not null);
create table public.items (id bigint primary key, name text not null);
insert into public.items select n, 'item ' || n from generate_series(1, 500) n;
create table public.shut (place text primary key, server timestamptz not null default pg_postmaster_start_time());
create function public.gate(wanted text) returns boolean language plpgsql as $$ begin
  while exists (
    select from public.shut where place = wanted and (server = pg_postmaster_start_time()) = (wanted <> 'rehearse')
  ) loop
    if wanted = 'fail' then raise exception 'planted'; end if;
    perform pg_sleep(0.1);
  end loop;
  return true;
end $$;
"""
_MIGRATIONS = {
    "0001_first": (
        """create table public.first (id bigint primary key);
        alter table public.items add column note text;""",
        """do $$ begin perform public.gate('revert'); end $$;
        alter table public.items drop column note;
        drop table public.first;""",
    ),
    "0002_held": (
        """create table public.second (id bigint primary key);
        do $$ begin perform public.gate('rehearse'), public.gate('migrate'), public.gate('fail'); end $$;""",
        "drop table public.second;",
    ),
    "0003_last": ("create table public.last (id bigint primary key);", "drop table public.last;"),
}
_OTHERS = """
select application_name || ', ' || state from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
_WAITS = """
select exists (
  select from pg_locks where not granted
  and database = (select oid from pg_database where datname = current_database())
)
"""
_SOMEBODY_SLEEPS = "select exists (select from pg_stat_activity where wait_event = 'PgSleep')"
_SLEEPS = "select exists (select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep')"


@dataclass(frozen=True)
class Target(Case):
    """A case that is an environment of its own in a settings file that is shared."""

    name: str
    before: dict[str, str]
    after: dict[str, str]
    written: Acknowledged
    writer: ExitStack

    def shut(self, *places: str) -> None:
        """Hold whoever comes to a place: in the rehearsal, in the migration, in a revert; or fail there."""
        for place in places:
            self.rows(f"insert into public.shut values ('{place}') returning 1")

    def open(self, *places: str) -> None:
        for place in places:
            self.rows(f"delete from public.shut where place = '{place}' returning 1")

    def is_held(self) -> bool:
        return self.rows(_SLEEPS)[0][0]

    def is_held_in_rehearsal(self) -> bool:
        return any(_sleeps_in(folder) for folder in self.installation.home.scratch.glob("wedsync-scratch-*"))

    def is_waited_for(self) -> bool:
        """Whether somebody waits for a lock here."""
        return self.rows(_WAITS)[0][0]

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Keep everybody else from reading a table."""
        with session(self.admin, "test", autocommit=False) as one:
            one.execute(f"lock table {table} in access exclusive mode")
            yield

    def sessions(self) -> list[str]:
        """Everybody's but ours and the writer's."""
        ours = ("wedsync-db/writer", "wedsync-db/test")
        return [who for (who,) in self.rows(_OTHERS) if not who.startswith(ours)]

    def journal(self) -> str | None:
        """How the newest deployment stands."""
        if self.rows("select to_regclass('wedsync_db.deployment') is null")[0][0]:
            return None
        found = self.rows("select status from wedsync_db.deployment order by started_at desc limit 1")
        return found[0][0] if found else None

    def pid(self) -> int:
        """The process that the journal says to be at work."""
        ((runner,),) = self.rows("select runner from wedsync_db.deployment where status = 'running'")
        return int(runner.rsplit("pid ", 1)[1])

    def assert_ended(self, how: str | None) -> None:
        """Exactly before or exactly after, as the journal says; nothing acknowledged is lost and nobody is left."""
        until(lambda: not self.sessions(), 10)
        assert self.journal() == how, (self.name, self.journal(), how)
        taken = take_fingerprint(self.address)
        assert _of_the_database(taken) == (self.after if how == "done" else self.before)
        if how is not None:
            recorded = "select fingerprint_after from wedsync_db.deployment order by started_at desc limit 1"
            assert self.rows(recorded) == [(taken.digest,)]
        self.writer.close()
        with session(self.admin, "test") as connection:
            assert self.written.lost(connection) == []
        assert len(self.written.values) > 10


def _of_the_database(taken: Fingerprint) -> dict[str, str]:
    """Without the roles, which are the server's, and which other tests make meanwhile."""
    return {name: text for name, text in taken.objects.items() if not name.startswith(("role:", "membership:"))}


def _sleeps_in(folder: Path) -> bool:
    if not (folder / "data" / "postmaster.pid").exists():
        return False
    try:
        with session(cluster_in(folder, folder).address(), "test") as connection:
            return connection.execute(_SOMEBODY_SLEEPS).fetchone()[0]
    except WedsyncError:  # it is started again for each copy
        return False


class Targets:
    """Hands out environments that a served Prefect has known since it was started."""

    def __init__(self, cluster: Cluster, folder: Path, home: Home) -> None:
        self._cluster, self.folder, self.home = cluster, folder, home
        self._left = iter(_NAMES[:-1])
        self.environ = self._environ()
        self._write_files()
        self.before, self.after = self._digests()

    @contextmanager
    def take(self, *places: str, asking: bool = False) -> Iterator[Target]:
        """A target with a writer at work and some places shut."""
        name = _ASKING if asking else next(self._left)
        with database(self._cluster, _database(name)) as address:
            admin = self._cluster.address(address.dbname)
            with session(address, "test") as connection:
                connection.execute(_LAID)
            installation = Installation(CHECKOUT, {**os.environ, **self.environ})
            with ExitStack() as writer:
                written = writer.enter_context(writing(address))
                target = Target(
                    self.folder, address, admin, installation, name, self.before, self.after, written, writer
                )
                target.shut(*places)
                yield target

    def _environ(self) -> dict[str, str]:
        found = {"WEDSYNC_ENVIRONMENTS": str(self.folder / "environments.toml"), "WEDSYNC_HOME": str(self.home.path)}
        for name in _NAMES:
            socket, port = str(self._cluster.socket), self._cluster.port
            found[_variable(name)] = url(Address(socket, port, _database(name), ROLE, PASSWORD))
        return found

    def _write_files(self) -> None:
        text = ""
        for name in _NAMES:
            text += (
                f'[environments.{name}]\nurl_env = "{_variable(name)}"\nallow_data_copy = true\natomic = "migration"\n'
                f"approval = {str(name == _ASKING).lower()}\n"
                f'[environments.{name}.guard]\nfreeze = "off"\nfree_disk_factor = 0.1\n'
            )
        (self.folder / "environments.toml").write_text(text)
        for name, (deploy, revert) in _MIGRATIONS.items():
            folder = self.folder / "migrations" / name
            folder.mkdir(parents=True)
            (folder / "deploy.sql").write_text(deploy + "\n")
            (folder / "revert.sql").write_text(revert + "\n")

    def _digests(self) -> tuple[dict[str, str], dict[str, str]]:
        with database(self._cluster, _database("reference")) as address:
            with session(address, "test") as connection:
                connection.execute(_LAID)
                before = _of_the_database(take_fingerprint(address))
                for deploy, _ in _MIGRATIONS.values():
                    connection.execute(deploy)
            return before, _of_the_database(take_fingerprint(address))


def _database(name: str) -> str:
    return f"{name.replace('-', '_')}_{os.getpid()}"


def _variable(name: str) -> str:
    return f"WEDSYNC_{name.replace('-', '_').upper()}_URL"
