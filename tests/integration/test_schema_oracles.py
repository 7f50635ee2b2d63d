"""No constraint tells one tenant what another has: for every foreign key and unique key the catalog knows."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.support.pairs import COUPLE, OWNER, key
from tests.support.schema import acting_as

errors = psycopg.errors
TENANT = ("organization_id", "wedding_id", "profile_id")


# -- foreign keys ------------------------------------------------------------------------------------------------------
FOREIGN_KEYS = """
select c.conname, h.relname, t.relname, array_agg(a.attname order by k.n), array_agg(b.attname order by k.n)
from pg_constraint c
join pg_class h on h.oid = c.conrelid
join pg_class t on t.oid = c.confrelid
cross join unnest(c.conkey, c.confkey) with ordinality as k (here, there, n)
join pg_attribute a on a.attrelid = h.oid and a.attnum = k.here
join pg_attribute b on b.attrelid = t.oid and b.attnum = k.there
where c.contype = 'f' and h.relnamespace = 'public'::regnamespace
group by 1, 2, 3
"""


@dataclass(frozen=True)
class ForeignKey:
    name: str
    table: str
    parent: str
    columns: tuple[str, ...]
    parents: tuple[str, ...]

    def ways(self):
        """The columns to change so that it points into another tenant: what else there is besides each tenant."""
        others = [set(self.columns) - {tenant} for tenant in TENANT if tenant in self.columns]
        return [columns or set(self.columns) for columns in others or [set(self.columns)]]

    def pointing_at(self, row, columns):
        """These columns with the values by which a row refers to this row of the parent."""
        return {here: row[there] for here, there in zip(self.columns, self.parents, strict=True) if here in columns}


def _row(api, table, n):
    query = sql.SQL("select to_jsonb(t) from {} as t where id = %s").format(sql.Identifier(table))
    return api.execute(query, [key(table, n)]).fetchone()[0]


def _writable(api, table, privilege):
    query = (
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
        " and has_column_privilege('authenticated', attrelid, attnum, %s)"
    )
    return {name for (name,) in api.execute(query, [table, privilege])}


def _statement(api, fk, change):
    """A new row like row 1, or row 1 changed, that points elsewhere; None where neither is anybody's to write."""
    table = sql.Identifier(fk.table)
    insertable = _writable(api, fk.table, "insert")
    if change.keys() <= insertable:
        row = _unlike({name: value for name, value in _row(api, fk.table, 1).items() if name in insertable}) | change
        columns = sql.SQL(", ").join(map(sql.Identifier, row))
        insert = sql.SQL("insert into {} ({}) select {} from jsonb_populate_record(null::{}, %s)")
        return insert.format(table, columns, columns, table), [Jsonb(row)]
    updatable = {name: value for name, value in change.items() if name in _writable(api, fk.table, "update")}
    if not updatable:
        return None
    sets = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in updatable)
    return sql.SQL("update {} set {} where id = %s").format(table, sets), [*updatable.values(), key(fk.table, 1)]


def _unlike(row):
    """So that no unique key and no booked time comes first."""
    new = {"slug": "other", "number": "other", "storage_path": "other", "version": 2, "position": 2, "seat": 2}
    new["during"] = "[2100-01-01, 2100-01-02)"
    return row | {name: value for name, value in new.items() if name in row}


def _answer(api, user, statement):
    """Everything of the refusal that an API passes on."""
    try:
        with acting_as(api, user):
            api.execute(*statement)
            api.execute("set constraints all immediate")
    except psycopg.Error as error:
        said = error.diag
        return said.sqlstate, said.message_primary, said.message_detail, said.message_hint, said.constraint_name
    return ("accepted",)


def _answers(api, fk):
    """By way and user, what comes of pointing at a row that does not exist, and at one of somebody else."""
    rows = dict.fromkeys(fk.parents, str(uuid4())), _row(api, fk.parent, 2)
    for columns in fk.ways():
        statements = [_statement(api, fk, fk.pointing_at(row, columns)) for row in rows]
        if None not in statements:  # where there is none, the server's side alone writes it
            for name, user in {"owner": OWNER, "couple": COUPLE}.items():
                yield (fk.name, *sorted(columns), name), [_answer(api, user, statement) for statement in statements]


# Couples name a supplier by its key, which is no secret therefore. Nobody else can try the key of a tenant.
KNOWN = ("wedding_vendors_organization_id_fkey", "organization_id", "couple")


def test_every_foreign_key_refuses_the_unknown_and_the_foreign_alike(api):
    keys = [ForeignKey(n, t, p, tuple(h), tuple(r)) for n, t, p, h, r in api.execute(FOREIGN_KEYS)]
    asked = dict(answer for fk in keys for answer in _answers(api, fk))
    assert {case for case, (unknown, foreign) in asked.items() if unknown != foreign} == {KNOWN}
    reached = {case[0] for case, (_, foreign) in asked.items() if foreign[0] == "23503"}
    assert len(reached) > 30  # elsewhere the policy asks about the very column, or a unique key would come first
    assert {foreign[0] for _, foreign in asked.values()} == {"23503", "42501", "accepted"}


def test_one_without_the_tenant_would_tell(planted):
    planted.execute("alter table tasks drop constraint tasks_organization_id_client_id_fkey")
    planted.execute("alter table tasks add constraint careless foreign key (client_id) references clients")
    careless = ForeignKey("careless", "tasks", "clients", ("client_id",), ("id",))
    unknown, foreign = dict(_answers(planted, careless))["careless", "client_id", "owner"]
    assert (unknown[0], foreign[0]) == ("23503", "accepted")


# -- unique and exclusion keys -----------------------------------------------------------------------------------------
# those that an API role can put a value of its own into, without the tenant
GLOBAL_KEYS = """
select distinct i.indexrelid::regclass::text
from pg_index i
join pg_class c on c.oid = i.indrelid and c.relnamespace = 'public'::regnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
cross join pg_get_indexdef(i.indexrelid) as definition
where (i.indisunique or i.indisexclusion)
  and definition ~ ('\\m' || a.attname || '\\M')
  and has_column_privilege('authenticated', c.oid, a.attnum, 'insert, update')
  and not definition ~ '\\m(organization_id|wedding_id|profile_id)\\M'
"""


def test_no_key_is_shared_between_tenants(api):
    assert api.execute(GLOBAL_KEYS).fetchall() == []


def _inserted(api, statement):
    with acting_as(api, OWNER):
        return api.execute(statement).rowcount


def test_one_that_were_would_tell(planted):
    invite = (
        "insert into clients (organization_id, name, email)"
        f" values ('{key('organizations', 1)}', 'x', 'alien@example.com')"
    )
    planted.execute(f"update clients set email = 'alien@example.com' where id = '{key('clients', 2)}'")
    assert _inserted(planted, f"{invite} on conflict do nothing") == 1
    planted.execute("create unique index careless on clients (email)")
    assert _inserted(planted, f"{invite} on conflict do nothing") == 0
    with pytest.raises(errors.UniqueViolation):
        _inserted(planted, invite)
    assert planted.execute(GLOBAL_KEYS).fetchall() == [("careless",)]


BOOK = "insert into bookings (organization_id, resource_id, during) values ('{}', '{}', '[2099-{}, 2099-{})')"


def _tries(api):
    """What comes of booking another supplier's resource while it is taken, and while it is free."""
    alien = key("organizations", 1), key("resources", 2)
    days = ("06-12", "06-13"), ("07-12", "07-13")
    return [_answer(api, OWNER, (BOOK.format(*alien, *day),))[0] for day in days]


def test_when_another_suppliers_resource_is_taken_shows_in_no_refusal(planted):
    assert _tries(planted) == ["23503", "23503"]
    planted.execute("alter table bookings drop constraint bookings_do_not_overlap")
    planted.execute(
        "alter table bookings add constraint careless exclude using gist"
        " (app.uuid_range(resource_id, resource_id, '[]') with =, during with &&)"
    )
    assert _tries(planted) == ["23P01", "23503"]
    assert planted.execute(GLOBAL_KEYS).fetchall() == [("careless",)]
