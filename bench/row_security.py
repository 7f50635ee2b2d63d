"""What row-level security costs: pages read under a policy against the same query with the tenant written into it.

1,000 suppliers with 1,000 clients each, 5,000 memberships, the schema as the migrations make it. Pages (8 KiB, found in
memory or not) do not depend on what else the machine does. A query under a policy first asks who is signed in: that is
a constant of some pages, told apart from reading the rows. Budget: the rows cost at most 1.02 of the filter by hand.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from wedsync_db.installation import CHECKOUT
from wedsync_db.schema.built import built

TENANTS, CLIENTS, MEMBERSHIPS = 1000, 1000, 5000
UPDATED, ROUNDS = 20_000, 5
_LOAD = f"""
set session_replication_role = replica;
insert into public.organizations (id, name, slug, category, time_zone)
  select md5('o' || n)::uuid, 'Supplier ' || n, 'supplier-' || n, 'venue', 'Europe/London'
  from generate_series(1, {TENANTS}) as n;
insert into public.profiles (id, email, display_name)
  select md5('p' || n)::uuid, 'p' || n || '@example.com', 'Person ' || n from generate_series(1, {MEMBERSHIPS}) as n;
insert into public.memberships (id, organization_id, profile_id, role)
  select md5('m' || n)::uuid, md5('o' || 1 + n %% {TENANTS})::uuid, md5('p' || n)::uuid,
         (array['owner', 'admin', 'member', 'viewer', 'viewer'])[1 + n / {TENANTS} %% 5]
  from generate_series(1, {MEMBERSHIPS}) as n;
insert into public.clients (id, organization_id, name, stage, wedding_date, budget_minor, currency)
  select md5('c' || n)::uuid, md5('o' || 1 + n %% {TENANTS})::uuid, 'Client ' || n,
         (array['lead', 'quoted', 'booked', 'completed', 'lost'])[1 + n / {TENANTS} %% 5],
         date '2027-01-01' + (n / {TENANTS} * 7 %% 700)::int, 100000 + n %% 900000, 'GBP'
  from generate_series(1, {TENANTS * CLIENTS}) as n;
set session_replication_role = origin;
""".replace("%%", "%")
_TENANT, _PERSON = "md5('o7')::uuid", "md5('p6')::uuid"
_MINE = f"organization_id = {_TENANT}"
QUERIES = {
    "money by stage, of all clients": "select stage, count(*), sum(budget_minor) from public.clients{} group by stage",
    "the next 20 weddings": "select id, name, wedding_date from public.clients{} order by wedding_date limit 20",
    "the next 20 booked ones, by an index that sorts": (
        "select id, name, wedding_date from public.clients{} order by wedding_date limit 20"
    ),
    # what an application asks that works in one organization; without it a person of several gets all of theirs
    "the same, the organization named in the query, too": (
        "select id, name, wedding_date from public.clients{} order by wedding_date limit 20"
    ),
    "how many": "select count(*) from public.clients{}",
    "one client by its key": "select * from public.clients{}",
}
_MORE = {
    "the next 20 booked ones, by an index that sorts": "stage = 'booked'",
    "the same, the organization named in the query, too": f"stage = 'booked' and {_MINE}",
    "one client by its key": "id = md5('c1006')::uuid",
}
_MEMBERS = "public.memberships as m where m.profile_id = "
FORMS = {
    "**as shipped**: `= any ((select app.org_ids(…))::uuid[])`": (
        "organization_id = any ((select app.org_ids('viewer'))::uuid[])"
    ),
    "`= any (app.org_ids(…))`, bare": "organization_id = any (app.org_ids('viewer'))",
    "`exists (… auth.uid())`": (
        f"exists (select from {_MEMBERS} auth.uid() and m.organization_id = clients.organization_id)"
    ),
    "`in (select … (select auth.uid()))`": (
        f"organization_id in (select m.organization_id from {_MEMBERS} (select auth.uid()))"
    ),
    "`in (select unnest(app.org_ids(…)))`": "organization_id in (select unnest(app.org_ids('viewer')))",
    "`app.is_member(organization_id)`, for every row": "app.is_member(organization_id)",
}
_IS_MEMBER = """
create function app.is_member(org uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
  as 'select exists (select from public.memberships as m where m.organization_id = org and m.profile_id = auth.uid())';
grant execute on function app.is_member(uuid) to authenticated
"""


@dataclass(frozen=True)
class Pages:
    """Pages a query read, those of asking who is signed in apart, and the plan as text."""

    rows: int
    asking: int
    plan: str


def measure() -> str:
    with TemporaryDirectory(prefix="wedsync-bench-") as folder, _built(Path(folder)) as connection:
        connection.execute("set statement_timeout = 0")
        connection.execute(_LOAD)
        connection.execute("vacuum (analyze) public.clients, public.memberships, public.organizations")
        by_hand = {name: _pages(connection, _filtered(name, _MINE)) for name in QUERIES}
        with _signed_in(connection):
            shipped = {name: _pages(connection, _filtered(name)) for name in QUERIES}
        forms = {name: _with_form(connection, form) for name, form in FORMS.items()}
        guards = tuple(_guards(connection))
    first = next(iter(QUERIES))
    return "\n".join(
        [
            "## Row-level security",
            "",
            f"{TENANTS:,} suppliers, {TENANTS * CLIENTS:,} clients, {MEMBERSHIPS:,} memberships, PostgreSQL 18.",
            "Pages read, in memory or not. Under a policy some go into asking who is signed in, whatever the query;",
            "budget for the others, the rows: at most 1.02 of those read with the tenant written into the query.",
            "",
            "| | by hand | under the policy | of these asking | rows, against by hand |",
            "|---|---|---|---|---|",
            *(_row(name, by_hand[name], shipped[name]) for name in QUERIES),
            "",
            f"The same for other forms of the policy, {first}:",
            "",
            "| policy | pages | against by hand |",
            "|---|---|---|",
            *(_form_row(name, pages, by_hand[first]) for name, pages in forms.items()),
            "",
            f"Plans of {first}, as shipped and with `exists`:",
            "",
            *("```", shipped[first].plan, "", forms["`exists (… auth.uid())`"].plan, "```"),
            "",
            f"What triggers add to an UPDATE of clients by service_role (median of {ROUNDS}, in turn, rolled back):",
            "",
            *guards,
        ]
    )


@contextmanager
def _built(folder: Path) -> Iterator[psycopg.Connection]:
    folder.chmod(0o711)  # the server's account goes through it
    with built(CHECKOUT / "migrations", 18, folder) as connection:
        yield connection


def _filtered(name: str, tenant: str = "") -> str:
    conditions = [c for c in (tenant, _MORE.get(name, "")) if c]
    return QUERIES[name].format(f" where {' and '.join(conditions)}" if conditions else "")


@contextmanager
def _signed_in(connection: psycopg.Connection) -> Iterator[None]:
    with connection.transaction(force_rollback=True):
        connection.execute(f"select set_config('request.jwt.claims', json_build_object('sub', {_PERSON})::text, true)")
        connection.execute("set local role authenticated")
        yield


def _with_form(connection: psycopg.Connection, form: str) -> Pages:
    with connection.transaction(force_rollback=True):
        connection.execute(_IS_MEMBER)
        connection.execute(f"alter policy colleagues_read on public.clients using ({form})")
        with _signed_in(connection):
            return _pages(connection, _filtered(next(iter(QUERIES))), times=2)


def _pages(connection: psycopg.Connection, query: str, times: int = 8) -> Pages:
    """What the last of some runs read: from its seventh call on a function has a plan to keep, which costs no pages."""
    connection.execute("set local max_parallel_workers_per_gather = 0")
    explain = "explain (analyze, buffers, timing off, format json)"
    for _ in range(times):
        (found,) = connection.execute(f"{explain} {query}").fetchone()
    root = found[0]["Plan"]
    asking = sum(_read(node) for node in _below(root) if node.get("Parent Relationship") == "InitPlan")
    lines = connection.execute(f"explain (analyze, buffers, timing off, summary off, costs off) {query}").fetchall()
    plan = "\n".join(line for (line,) in lines if not line.startswith("Planning"))
    return Pages(_read(root) - asking, asking, plan)


def _below(node: dict) -> Iterator[dict]:
    for child in node.get("Plans", ()):
        yield child
        yield from _below(child)


def _read(node: dict) -> int:
    return node["Shared Hit Blocks"] + node["Shared Read Blocks"]


def _guards(connection: psycopg.Connection) -> Iterator[str]:
    kept = {
        "no trigger": (),
        "the tenant stays, updated_at": ("keep_tenant", "touch"),
        "and the platform's switch": ("keep_tenant", "touch", "write_gate"),
        "and the audit log": None,
    }
    yield f"| | {UPDATED:,} rows, ms | against none | one row, ms | more than none, ms |"
    yield "|---|---|---|---|---|"
    took: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS + 1):
        for rows in (UPDATED, *[1] * 10):
            for name, triggers in kept.items():
                took.setdefault((name, rows), []).append(_update(connection, triggers, rows))
    medians = {key: statistics.median(times[1:]) for key, times in took.items()}  # the first warms up
    none = "no trigger"
    for name in kept:
        many, one = medians[name, UPDATED], medians[name, 1]
        ratio, more = many / medians[none, UPDATED], one - medians[none, 1]
        yield f"| {name} | {many:.0f} | {ratio:.1f} | {one:.2f} | {more:+.2f} |"


def _update(connection: psycopg.Connection, kept: tuple[str, ...] | None, rows: int) -> float:
    """The time of an UPDATE with only these triggers, ms; None keeps them all."""
    keys = f"select md5('c' || n)::uuid from generate_series(1, {rows}) as n"
    with connection.transaction(force_rollback=True):
        if kept is not None:
            connection.execute("alter table public.clients disable trigger user")
        for name in kept or ():
            connection.execute(f"alter table public.clients enable trigger {name}")
        connection.execute("set local role service_role")
        begin = time.perf_counter()
        connection.execute(f"update public.clients set phone = '1' where id in ({keys})")
        return (time.perf_counter() - begin) * 1000


def _row(name: str, hand: Pages, policy: Pages) -> str:
    total = policy.rows + policy.asking
    return f"| {name} | {hand.rows:,} | {total:,} | {policy.asking} | {policy.rows / hand.rows:.2f} |"


def _form_row(name: str, pages: Pages, hand: Pages) -> str:
    total = pages.rows + pages.asking
    return f"| {name} | {total:,} | {total / hand.rows:.2f} |"
