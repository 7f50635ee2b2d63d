"""Which licence a revert gets, proven up, down and up again on data, with an ordinary deployer's rights."""

import itertools

import pytest
from psycopg import sql

from tests.support.majors import every_major
from wedsync_db.errors import RehearsalFailed
from wedsync_db.migrate.copies import Copy
from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.updown import prove_each
from wedsync_db.model import Licence
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import LockSettings

DEPLOYER = "licence_deployer"

BASE = """
create schema app;
create type app.mood as enum ('sad', 'ok');
create table app.org (id bigint generated always as identity primary key, name text not null unique);
create table app.guest (
  id uuid primary key default gen_random_uuid(),
  org_id bigint not null references app.org,
  email text not null,
  seats int not null default 1 check (seats > 0)
);
create index guest_org on app.guest (org_id);
create sequence app.number;
select nextval('app.number') from generate_series(1, 7);
create view app.seats as select org_id, sum(seats) as seats from app.guest group by org_id;
insert into app.org (name) select 'org ' || g from generate_series(1, 10) g;
insert into app.guest (org_id, email, seats)
select 1 + g % 10, 'g' || g || '@example.org', 1 + g % 3 from generate_series(1, 500) g;
"""

EXACT = {
    "add column": ("alter table app.guest add phone text", "alter table app.guest drop phone"),
    "add column with default": (
        "alter table app.guest add vip boolean not null default false",
        "alter table app.guest drop vip",
    ),
    "add table": (
        "create table app.note (id int generated always as identity primary key, guest_id uuid references app.guest)",
        "drop table app.note",
    ),
    "add index": ("create index guest_email on app.guest (email)", "drop index app.guest_email"),
    "add check": (
        "alter table app.guest add check (seats < 100)",
        "alter table app.guest drop constraint guest_seats_check1",
    ),
    "set not null and back": (
        "alter table app.guest alter email drop not null",
        "alter table app.guest alter email set not null",
    ),
    "rename column": ("alter table app.guest rename email to mail", "alter table app.guest rename mail to email"),
    "wider type": (
        "drop view app.seats; alter table app.guest alter seats type bigint",
        """alter table app.guest alter seats type int;
        create view app.seats as select org_id, sum(seats) as seats from app.guest group by org_id""",
    ),
    "row security": (
        "alter table app.guest enable row level security; create policy p on app.guest using (org_id = 1)",
        "drop policy p on app.guest; alter table app.guest disable row level security",
    ),
    "grant": ("grant select on app.guest to public", "revoke select on app.guest from public"),
    "backfill put back": ("update app.guest set seats = seats + 1", "update app.guest set seats = seats - 1"),
    "concurrently, with other statements": (
        "-- transaction: none\nalter table app.org add x int;\ncreate index concurrently org_x on app.org (x)",
        "alter table app.org drop x",
    ),
    "trigger": (
        """create function app.t() returns trigger language plpgsql as 'begin return new; end';
        create trigger t before insert on app.guest for each row execute function app.t()""",
        "drop trigger t on app.guest; drop function app.t()",
    ),
    "nothing but data of a new table": (
        "create table app.size (id int primary key, name text); insert into app.size values (1, 's'), (2, 'l')",
        "drop table app.size",
    ),
    "rename table": ("alter table app.guest rename to visitor", "alter table app.visitor rename to guest"),
}

INEXACT = {
    "forgotten index": (
        "create index a on app.guest (email); create index b on app.guest (seats)",
        "drop index app.a",
        Licence.WEAKER,
        "index app.b is left over",
    ),
    "index of another kind": (
        "drop index app.guest_org",
        "create index guest_org on app.guest using hash (org_id)",
        Licence.WEAKER,
        "index app.guest_org is not as before (definition)",
    ),
    "grant left wider": (
        "revoke all on app.guest from public",
        "grant select on app.guest to public",
        Licence.WEAKER,
        "table app.guest is not as before (grants)",
    ),
    "view forgotten": ("drop view app.seats", "select 1", Licence.WEAKER, "view app.seats does not come back"),
    "lost column": (
        "alter table app.guest drop email",
        "alter table app.guest add email text not null default ''; alter table app.guest alter email drop default",
        Licence.NONE,
        "values in app.guest are not as before",
    ),
    "values changed for good": (
        "update app.guest set email = lower(email) || '!'",
        "select 1",
        Licence.NONE,
        "values in app.guest are not as before",
    ),
    "rows deleted": (
        "delete from app.guest where seats = 1",
        "select 1",
        Licence.NONE,
        "app.guest had 500 rows and has",
    ),
    "revert deletes rows elsewhere": (
        "alter table app.org add x int",
        "alter table app.org drop x; delete from app.guest where seats = 1",
        Licence.NONE,
        "app.guest had 500 rows and has",
    ),
    "truncated cascade": ("truncate app.org cascade", "select 1", Licence.NONE, "app.guest had 500 rows and has 0"),
    "dropped table": (
        "create table app.keep as select * from app.org; drop table app.guest cascade",
        "drop table app.keep",
        Licence.NONE,
        "the rows of app.guest cannot be compared",
    ),
    "sequence made anew": (
        "drop sequence app.number",
        "create sequence app.number",
        Licence.NONE,
        "sequence app.number goes back",
    ),
    "missing": ("create table app.more (id int)", None, Licence.NONE, "there is no revert.sql"),
    "fails": (
        "create table app.more (id int)",
        "drop table app.more;\ndrop table app.other",
        Licence.NONE,
        "the revert fails: 0001_it/revert.sql:2:1: table",
    ),
    "fails at commit": (
        "create table app.c (id int primary key, o bigint references app.org deferrable initially deferred)",
        "drop table app.c; create table app.d (id int references app.org2)",
        Licence.NONE,
        "the revert fails",
    ),
    "cannot take rows of the new release": (
        """alter type app.mood add value 'new';
        alter table app.guest alter seats drop not null, drop constraint guest_seats_check""",
        "alter table app.guest alter seats set not null, add constraint guest_seats_check check (seats > 0)",
        Licence.WEAKER,
        "enum app.mood is not as before (labels)",
    ),
    "new rows violate the old rule": (
        """alter table app.guest add code text not null default 'none';
        alter table app.guest drop constraint guest_org_id_fkey""",
        """alter table app.guest add constraint only_default check (code = 'none'); alter table app.guest drop code;
        alter table app.guest add constraint guest_org_id_fkey foreign key (org_id) references app.org""",
        Licence.NONE,
        "the revert fails: 0001_it/revert.sql:1:1: check constraint",
    ),
    "outside of a transaction": (
        "-- transaction: none\ncreate index concurrently c on app.guest (email)",
        "drop index concurrently app.c",
        Licence.NONE,
        "DROP INDEX CONCURRENTLY cannot run inside a transaction block",
    ),
    "works only once": (
        "do $$ begin if nextval('app.number') > 8 then raise 'not again'; end if; end $$",
        "select 1",
        Licence.NONE,
        "after the revert, deploy.sql fails: 0001_it/deploy.sql:1:1: not again",
    ),
    "not repeatable": (
        "do $$ begin execute 'create table app.t' || nextval('app.number') || ' (id int)'; end $$",
        """do $$ declare n name; begin for n in select tablename from pg_tables
        where schemaname = 'app' and tablename ~ '^t[0-9]'
        loop execute 'drop table app.' || n; end loop; end $$""",
        Licence.NONE,
        "after the revert, deploy.sql makes something else of column:app.t",
    ),
}

_numbers = itertools.count(1)


@pytest.fixture
def proving(cluster, tmp_path):
    """Prove migrations on copies made by template: as quick as copies of whole servers are true."""
    with session(cluster.address(), "test-admin", statement_timeout_ms=0) as admin:
        name = f"licence_{next(_numbers)}"
        copies = []
        deployer = sql.Identifier(DEPLOYER)
        admin.execute(
            sql.SQL("do $$ begin create role {} nologin; exception when duplicate_object then end $$").format(deployer)
        )
        admin.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(name), deployer))
        with session(_as_deployer(cluster.address(name)), "test") as connection:
            connection.execute(BASE)

        def renew(*, last=False) -> Copy:
            copy = f"{name}_{len(copies)}"
            copies.append(copy)
            admin.execute(
                sql.SQL("create database {} template {} owner {}").format(
                    sql.Identifier(copy), sql.Identifier(name), deployer
                )
            )
            return Copy(cluster.address(copy), _as_deployer(cluster.address(copy)))

        def prove(*scripts):
            for number, (deploy, revert) in enumerate(scripts, 1):
                folder = tmp_path / f"{number:04d}_it"
                folder.mkdir()
                (folder / "deploy.sql").write_text(deploy)
                if revert is not None:
                    (folder / "revert.sql").write_text(revert)
            migrations, _ = read_migrations(tmp_path)
            said = []
            proven = prove_each(
                renew, migrations, known=(), locks=LockSettings(), say=said.append, progress=lambda _: None
            )
            return tuple(proven)

        yield prove
        for one in [*copies, name]:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(one)))


def _as_deployer(address: Address) -> Address:
    return Address(address.host, address.port, address.dbname, address.user, session_authorization=DEPLOYER)


@every_major
def test_reverts_that_bring_everything_back_are_exact(proving):
    proven = proving(*EXACT.values())
    assert {name: (p.proof.licence, p.proof.reasons) for name, p in zip(EXACT, proven, strict=True)} == dict.fromkeys(
        EXACT, (Licence.EXACT, ())
    )
    assert [note for p in proven for note in p.notes] == []
    assert all(p.proof.seconds_down is not None and p.proof.revert_sha256 for p in proven)
    assert proven[2].proof.created_content == {"app.note": (0, "0")}
    assert proven[-2].proof.created_content["app.size"][0] == 2
    assert set(proven[0].proof.change.objects) == {"table:app.guest", "column:app.guest.phone"}


@pytest.mark.parametrize("kind", INEXACT)
def test_reverts_that_do_not_are_refused_with_the_reason(proving, kind):
    deploy, revert, licence, reason = INEXACT[kind]
    (proven,) = proving((deploy, revert))
    assert proven.proof.licence is licence
    assert reason in "; ".join(proven.proof.reasons)


@every_major
def test_an_inexact_revert_does_not_spoil_the_next_migration(proving):
    lost = INEXACT["lost column"][:2]
    anew = INEXACT["not repeatable"][:2]
    proven = proving(EXACT["add column"], anew, lost, EXACT["add table"], EXACT["grant"])
    assert [p.proof.licence for p in proven] == [
        Licence.EXACT,
        Licence.NONE,
        Licence.NONE,
        Licence.EXACT,
        Licence.EXACT,
    ]


KEEPING = """do $$ begin
  if {} then raise exception 'these rows are kept' using errcode = '{}'; end if;
end $$;
drop table app.note"""
HOLDS_ROWS = "exists (select from app.note)"


def test_a_revert_that_keeps_rows_is_proven_without_them(proving):
    (proven,) = proving((EXACT["add table"][0], KEEPING.format(HOLDS_ROWS, "WS006")))
    assert (proven.proof.licence, proven.proof.reasons) == (Licence.EXACT, ())
    assert [note for note in proven.notes if "rows that have to be kept" in note]


@pytest.mark.parametrize(("condition", "code"), [(HOLDS_ROWS, "P0001"), ("true", "WS006")])
def test_a_revert_that_fails_for_another_reason_is_not(proving, condition, code):
    (proven,) = proving((EXACT["add table"][0], KEEPING.format(condition, code)))
    assert proven.proof.licence is Licence.NONE
    assert "these rows are kept" in proven.proof.reasons[0]


def test_what_the_author_declares_lost_is_weaker(proving):
    (proven,) = proving(("-- loses: emails of guests\nalter table app.guest drop email", INEXACT["lost column"][1]))
    assert proven.proof.licence is Licence.WEAKER
    assert proven.proof.reasons[-1] == "its author says that it loses emails of guests"


def test_a_migration_that_fails_on_the_data_stops_with_its_place(proving):
    with pytest.raises(RehearsalFailed, match=r"^0002_it/deploy.sql:2:1: .*23505.*guest_one") as failure:
        proving(EXACT["add column"], ("select 1;\ncreate unique index guest_one on app.guest (org_id)", "select 1"))
    assert failure.value.sqlstate == "23505"
    assert "Key (" not in str(failure.value)


def test_a_deferred_constraint_speaks_before_commit(proving):
    deploy = """alter table app.guest alter constraint guest_org_id_fkey deferrable initially deferred;
                insert into app.guest (org_id, email) values (99, 'nobody')"""
    with pytest.raises(RehearsalFailed, match=r"^at the end of 0001_it/deploy.sql: .*guest_org_id_fkey"):
        proving((deploy, "select 1"))


def test_a_migration_beyond_the_deployers_rights_stops(proving):
    with pytest.raises(RehearsalFailed, match="permission denied"):
        proving(("create role licence_more superuser", "drop role licence_more"))


def test_a_failing_verify_stops(proving, tmp_path):
    folder = tmp_path / "0001_it"
    folder.mkdir()
    (folder / "deploy.sql").write_text("select 1")
    (folder / "verify.sql").write_text("select\n false")
    with pytest.raises(RehearsalFailed, match=r"0001_it/verify.sql:1"):
        proving()


def test_an_index_that_stays_invalid_stops(proving):
    with pytest.raises(RehearsalFailed, match=r"0001_it/deploy.sql:2:1: .*23505"):
        proving(
            ("-- transaction: none\ncreate unique index concurrently one on app.guest (org_id)", "drop index app.one")
        )
