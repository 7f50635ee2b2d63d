"""A destructive migration was deployed by mistake: what it took comes back, what people wrote since stays."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.__main__ import main
from tests.support.case import Case
from tests.support.majors import every_major
from tests.support.mistake import (
    BASE,
    FIX,
    GUEST_COLUMNS,
    MISTAKE,
    VENUE_COLUMNS,
    Hour,
    Rows,
    back_up,
    deploy,
    rows,
)
from wedsync_db.postgres.content import measure, tables
from wedsync_db.postgres.session import session

pytestmark = pytest.mark.faults  # each restores a backup into a server of its own

ROOT = Path(__file__).resolve().parents[2]
APPLY = ("--apply", "case", "--reason", "a mistake")
TABLES = {"venues": (("id",), VENUE_COLUMNS), "guests": (("nr", "wedding"), GUEST_COLUMNS)}


@pytest.fixture
def repair(case, capsys):
    """Run the verb: exit code and the document."""

    def run(*more: str) -> tuple[int, dict]:
        code = main(["repair", "case", "--from", "newest", *more, "--json"])
        out, _ = capsys.readouterr()
        return code, json.loads(out)

    return run


def all_rows(case: Case) -> dict[str, Rows]:
    return {name: rows(case, name, *shape) for name, shape in TABLES.items()}


def contents(case: Case) -> list:
    with session(case.admin, "test") as connection:
        return [measure(connection, name) for name in tables(connection)]


def lines(document: dict, what: str) -> set[tuple]:
    found = [json.loads(line) for line in Path(document["file"]).read_text().splitlines()]
    assert all(set(line) <= {"table", "key", "what", "columns", "why"} for line in found)
    return {
        (line["table"], tuple(line["key"]), tuple(line.get("columns", ()))) for line in found if line["what"] == what
    }


def counts(document: dict) -> dict[str, dict[str, int]]:
    found = {table: {k: n for k, n in kinds.items() if n} for table, kinds in document["tables"].items()}
    return {table: kinds for table, kinds in found.items() if kinds}


@every_major
def test_every_lost_value_is_back_and_every_newer_value_kept(case, repair):
    deploy(case, "0001_base", BASE)
    back_up(case)
    before = all_rows(case)
    deploy(case, "0002_mistake", MISTAKE)
    deploy(case, "0003_fix", FIX)
    hour = Hour(case, random.Random(7))
    hour.pass_()
    as_found, found = contents(case), all_rows(case)

    code, shown = repair()
    assert code == 4, shown
    assert contents(case) == as_found  # nothing was written
    assert shown["person"] == ["public.scribbles: it has no primary key, so that rows cannot be matched"]
    assert "public.untouched" not in shown["tables"]

    code, done = repair(*APPLY)
    assert code == 4  # conflicts, and a table without a key, are left to a person
    assert counts(done) == counts(shown) | {"public.staff": {"restored": 3}}
    after = all_rows(case)
    conflicts = set()
    for name in TABLES:
        for key, old in before[name].items():
            written = hour.written.get((name, key), {})
            if written is None:
                assert key not in after[name]  # somebody deleted it
                continue
            lost = {c for c, v in old.items() if v is not None and found[name].get(key, {}).get(c) != v}
            assert after[name][key] == {**old, **written}
            if newer := tuple(sorted(set(written) & lost & taken(name, key))):
                conflicts.add((f"public.{name}", key, newer))
        for key in after[name].keys() - before[name].keys():
            assert after[name][key] == hour.written[name, key]
    assert conflicts
    assert lines(done, "conflict") == conflicts
    assert "+44" not in Path(done["file"]).read_text() + json.dumps(done)  # keys, and never values
    assert case.rows("select id, boss, name from public.staff order by id") == [
        (1, 2, "first"), (2, 3, "second"), (3, None, "the boss"),
    ]  # fmt: skip
    assert case.rows("select count(*) from public.venues where label <> upper(name)") == [(0,)]
    assert case.rows("select status, backup_id is not null from wedsync_db.deployment order by started_at")[-1] == (
        "done", True,
    )  # fmt: skip

    as_left = contents(case)
    code, again = repair(*APPLY)
    assert code == 4
    assert contents(case) == as_left
    assert lines(again, "restored") == lines(again, "values") == set()
    assert lines(again, "conflict") == conflicts


def taken(name: str, key: tuple[str, ...]) -> set[str]:
    """The columns that the mistake took from a row it left there."""
    if name == "guests":
        return {"phone"}
    return {"name", "tags", "info"} if int(key[0]) % 3 == 0 else set()


GUARDED = """
create schema audit;
create table audit.log (relation text, operation text, row_key uuid, happened_at timestamptz not null default now());
create function audit.write() returns trigger language plpgsql as $$
  begin insert into audit.log values ('public.notes', tg_op, old.id); return null; end $$;
create table public.notes (id uuid primary key, body text, state text);
create trigger log after delete on public.notes for each row execute function audit.write();
create function public.keep() returns trigger language plpgsql as $$
  begin
    if new.state = 'locked' then raise exception 'locked' using errcode = 'WS001'; end if;
    return new;
  end $$;
create trigger keep before insert or update on public.notes for each row execute function public.keep();
create function public.checked() returns trigger language plpgsql as $$
  begin if new.state = 'late' then raise exception 'late' using errcode = 'WS005'; end if; return null; end $$;
create constraint trigger checked after insert or update on public.notes deferrable initially deferred
  for each row execute function public.checked();
create table public.numbered (id serial primary key, line text);
create table public.ring_a (id int primary key, b int);
create table public.ring_b (id int primary key, a int references public.ring_a (id));
alter table public.ring_a add foreign key (b) references public.ring_b (id);
insert into public.numbered (line) select 'line ' || n from generate_series(1, 5) n;
insert into public.ring_a values (1, null), (2, null);
insert into public.ring_b values (1, 1);
update public.ring_a set b = 1 where id = 2;
alter table public.notes disable trigger user;
insert into public.notes
  select ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'body ' || n,
         case n when 3 then 'locked' when 4 then 'late' when 8 then null else 'open' end
  from generate_series(1, 10) n;
alter table public.notes enable trigger user;
"""
DESTROYS = """
alter table public.notes drop column body;
delete from public.notes where right(id::text, 2)::int between 3 and 7;
update public.notes set state = 'filled' where state is null;
drop table public.numbered;
create table public.numbered (id serial primary key, line text);
delete from public.ring_a where id = 2;
delete from public.ring_b;
delete from public.ring_a;
"""


def note(n: int) -> str:
    return f"00000000-0000-0000-0000-{n:012}"


def test_after_a_revert_refusals_are_told_row_by_row_and_nothing_deleted_by_people_returns(case, repair, capsys):
    deploy(case, "0001_base", GUARDED)
    back_up(case)
    with session(case.address, "people") as people:
        people.execute("delete from public.notes where id = %s", (note(5),))  # after the backup, before the mistake
    deploy(case, "0002_mistake", DESTROYS, revert="alter table public.notes add column body text default 'lost';")
    assert main(["revert", "case", "--to", "0001_base", "--accept-loss", "case", "--reason", "it was a mistake"]) == 0
    with session(case.address, "people") as people:
        people.execute("update public.notes set body = 'newer' where id = %s", (note(1),))
        people.execute("delete from public.notes where id = %s", (note(2),))
        people.execute("insert into public.numbered (line) values ('newer')")
    capsys.readouterr()

    code, done = repair(*APPLY, "--tables", "notes,public.numbered")
    assert code == 4
    assert done["migrations"] == ["0002_mistake", "0002_mistake (reverted)"]
    assert counts(done) == {
        "public.notes": {"restored": 2, "values": 3, "conflict": 1, "deleted": 2, "refused": 2},
        "public.numbered": {"restored": 4, "conflict": 1},
    }
    assert case.rows("select right(id::text, 2)::int, body, state from public.notes order by 1") == [
        (1, "newer", "open"), (6, "body 6", "open"), (7, "body 7", "open"), (8, "body 8", "filled"),
        (9, "body 9", "open"), (10, "body 10", "open"),
    ]  # fmt: skip
    assert lines(done, "conflict") == {("public.notes", (note(1),), ("body",)), ("public.numbered", ("1",), ("line",))}
    assert lines(done, "deleted") == {("public.notes", (note(2),), ()), ("public.notes", (note(5),), ())}
    refusals = [line for line in Path(done["file"]).read_text().splitlines() if "refused" in line]
    assert ["WS001" in refusals[0], "WS005" in refusals[1]] == [True, True]
    assert case.rows("insert into public.numbered (line) values ('next') returning id") == [(6,)]

    code, done = repair(*APPLY, "--tables", "ring_a,ring_b")
    assert (code, counts(done)) == (0, {"public.ring_a": {"restored": 2}, "public.ring_b": {"restored": 1}})
    assert case.rows("select * from public.ring_a order by 1") == [(1, None), (2, 1)]
    assert repair("--tables", "ring_a,ring_b")[0] == 0


def test_what_has_no_place_any_more_is_for_a_person_and_bad_input_is_refused(case, repair):
    deploy(case, "0001_base", BASE)
    assert repair()[0] == 2  # no backup
    made = back_up(case)
    assert repair()[1]["migrations"] == []
    deploy(
        case,
        "0002_mistake",
        "drop table public.staff; alter table public.guests drop column phone; alter table public.venues"
        " drop column label, alter price type text using 'x';",
    )
    for arguments in (["--apply", "other"], ["--tables", "elsewhere"], ["--from", "20260101T000000Z-0000"]):
        assert repair(*arguments)[0] == 2
    code, shown = repair()
    assert (code, counts(shown)) == (4, {})
    assert sorted(shown["person"]) == [
        "public.guests.phone is not there any more: bring it back with a new migration (1,600 in the backup)",
        "public.staff: the table is not there any more: bring it back with a new migration, then repair again",
        "public.venues.price has another type now (400 in the backup)",
    ]
    (case.folder / "migrations" / "0002_mistake" / "deploy.sql").write_text("select 1;")
    code, refused = repair()
    assert (code, refused["message"]) == (2, "the file of 0002_mistake is not the one that ran")
    case.rows("update wedsync_db.deployment set status = 'running', finished_at = null where backup_id is null"
              " and started_at = (select max(started_at) from wedsync_db.deployment) returning 1")  # fmt: skip
    assert repair()[0] == 3
    case.rows(
        "update wedsync_db.deployment set status = 'done', finished_at = now() where status = 'running' returning 1"
    )
    case.rows("delete from wedsync_db.step where migration = '0001_base' returning 1")
    code, refused = repair()
    assert (code, "of another database" in refused["message"]) == (3, True)
    assert made.id == shown["backup"]


GATED = """
create table public.gate (shut boolean);
create function public.wait() returns trigger language plpgsql as $$
  begin if exists (select from public.gate) then perform pg_sleep(60); end if; return new; end $$;
create table public.a (id int primary key, note text);
create table public.b (id int primary key, note text);
create trigger wait before update on public.b for each row execute function public.wait();
insert into public.a values (1, 'a'), (2, 'b');
insert into public.b values (1, 'a'), (2, 'b');
"""
ASLEEP = "select 1 from pg_stat_activity where application_name = 'wedsync-db/repair' and wait_event = 'PgSleep'"


def test_killed_in_the_middle_it_goes_on_where_it_was(case, repair, capsys):
    deploy(case, "0001_base", GATED)
    back_up(case)
    deploy(case, "0002_mistake", "update public.a set note = ''; update public.b set note = '';")
    with session(case.address, "people") as people:
        people.execute("insert into public.gate values (true)")
    command = [sys.executable, "-m", "flows", "repair", "case", "--from", "newest", *APPLY]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 90
        while not case.rows(ASLEEP):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
    assert case.rows("select a.note, b.note from public.a join public.b using (id) order by id") == [
        ("a", ""), ("b", ""),
    ]  # fmt: skip
    assert repair(*APPLY)[0] == 3
    assert main(["recover", "case"]) == 0
    capsys.readouterr()
    with session(case.address, "people") as people:
        people.execute("delete from public.gate")
    code, done = repair(*APPLY)
    assert (code, counts(done)) == (0, {"public.b": {"values": 2}})
    assert case.rows("select note from public.b order by id") == [("a",), ("b",)]
