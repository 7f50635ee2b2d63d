"""A destructive migration deployed by mistake on the case, and what people write in the hour after it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.support.applying import Target
from tests.support.case import Case
from wedsync_db.backup.dump import create_backup
from wedsync_db.migrate import journal
from wedsync_db.model import Backup, DeploymentStatus
from wedsync_db.postgres.session import session

BASE = """
create schema app;
create function app.touch() returns trigger language plpgsql as $$
  begin new.updated_at := clock_timestamp(); return new; end $$;
create table public.venues (
  id bigint generated always as identity primary key,
  name text not null, tags text[], info jsonb, price numeric(12, 2),
  label text generated always as (upper(name)) stored,
  updated_at timestamptz not null default now());
create trigger touch before update on public.venues for each row execute function app.touch();
alter table public.venues enable row level security;
create policy nobody on public.venues using (false);
create table public.guests (
  wedding int, nr int, name text not null, phone text,
  venue_id bigint not null references public.venues (id) on delete cascade, primary key (nr, wedding));
create table public.staff (id int primary key, boss int references public.staff (id), name text);
create table public.scribbles (line text);
create table public.untouched (id int primary key, note text);
insert into public.venues (name, tags, info, price)
  select 'venue ' || n, array['a', 'b,"' || n, null], jsonb_build_object('n', n, 'é', '%s'), n / 3.0
  from generate_series(1, 400) n;
insert into public.guests select n % 7, n, 'guest ' || n, case when n % 5 > 0 then '+44 ' || n end, 1 + n % 400
  from generate_series(1, 2000) n;
insert into public.staff values (3, null, 'the boss'), (2, 3, 'second'), (1, 2, 'first');
insert into public.scribbles values ('one'), ('two');
insert into public.untouched select n, 'note ' || n from generate_series(1, 10) n;
"""
MISTAKE = """
update public.venues set name = 'x', info = null, tags = '{}' where id % 3 = 0;
delete from public.venues where id % 20 = 0;
alter table public.guests drop column phone;
delete from public.staff;
update public.scribbles set line = '';
"""
FIX = "alter table public.guests add column phone text;"
VENUE_COLUMNS = ("name", "tags", "info", "price")
GUEST_COLUMNS = ("name", "phone", "venue_id")


def deploy(case: Case, name: str, sql: str, revert: str = "select 1;") -> None:
    """Apply one more migration as a deployment of its own."""
    target = Target(case.address, case.folder / "migrations")
    target.write(name, sql)
    (target.folder / name / "revert.sql").write_text(revert)
    target.begin()
    target.apply()
    with session(case.address, "test") as connection:
        journal.finish(connection, target.deployment, DeploymentStatus.DONE, "", None)


def back_up(case: Case) -> Backup:
    return create_backup(
        case.address, case.installation.home.backups("case"), environment="case", clock=lambda: datetime.now(UTC),
        jobs=1, say=lambda _: None, progress=lambda _: None,
    )  # fmt: skip


Rows = dict[tuple[str, ...], dict[str, str | None]]


def rows(case: Case, table: str, key: tuple[str, ...], columns: tuple[str, ...]) -> Rows:
    """A table's rows as text, by key."""
    listed = ", ".join(f"{c}::text" for c in (*key, *columns))
    found = case.rows(f"select {listed} from public.{table}")
    return {row[: len(key)]: dict(zip(columns, row[len(key) :], strict=True)) for row in found}


@dataclass
class Hour:
    """Simulated writes. `written` is what people wrote: (table, key) → column → value; None: deleted."""

    case: Case
    rng: random.Random
    written: dict[tuple[str, tuple[str, ...]], dict[str, str | None] | None] = field(default_factory=dict)

    def pass_(self) -> None:
        with session(self.case.address, "people") as connection:
            for _ in range(150):
                self._venue(connection)
                self._guest(connection)
            new = connection.execute("insert into public.venues (name) values ('new') returning id::text").fetchall()[
                0
            ][0]
            self.written["venues", (new,)] = dict.fromkeys(VENUE_COLUMNS) | {"name": "new"}

    def _venue(self, connection) -> None:
        key, column = (str(self.rng.randint(1, 400)),), self.rng.choice(("name", "tags", "info", "price"))
        value = {"name": "new name", "tags": "{new}", "info": '{"new": true}', "price": "7.50"}[column]
        done = connection.execute(f"update public.venues set {column} = %s where id = %s", (value, key[0]))
        self._note(done, "venues", key, {column: value})

    def _guest(self, connection) -> None:
        nr = self.rng.randint(1, 2000)
        key = (str(nr), str(nr % 7))
        if self.rng.random() < 0.2:
            done = connection.execute("delete from public.guests where nr = %s", (nr,))
            self._note(done, "guests", key, None)
            return
        column = self.rng.choice(("name", "phone"))
        done = connection.execute(f"update public.guests set {column} = 'new' where nr = %s", (nr,))
        self._note(done, "guests", key, {column: "new"})

    def _note(self, done, table, key, values) -> None:
        if done.rowcount:
            before = self.written.get((table, key)) or {}
            self.written[table, key] = None if values is None else {**before, **values}
