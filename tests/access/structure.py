"""What the matrix has to know of the deployed tables: their columns and what these refer to, never their policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

_COLUMNS = """
select coalesce(nullif(n.nspname, 'public') || '.', '') || c.relname, array_agg(a.attname::text order by a.attnum),
  array_agg(a.attname::text) filter (where a.attgenerated <> '')
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace join pg_attribute as a on a.attrelid = c.oid
where c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped
  and n.nspname = any (array['public', 'app', 'audit', 'ops', 'api'])
group by n.nspname, c.relname order by 1"""
_REFERENCES = """
select f.conrelid::regclass::text,
  array(select attname::text from unnest(f.conkey) with ordinality as k (n, i)
    join pg_attribute on attrelid = f.conrelid and attnum = n order by i),
  f.confrelid::regclass::text,
  array(select attname::text from unnest(f.confkey) with ordinality as k (n, i)
    join pg_attribute on attrelid = f.confrelid and attnum = n order by i)
from pg_constraint as f
where f.contype = 'f' and f.connamespace = 'public'::regnamespace and cardinality(f.conkey) > 1
order by 1, 2"""


@dataclass(frozen=True)
class Reference:
    """A foreign key of several columns, the tenant's among them."""

    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True)
class Structure:
    """The columns of each table and view, the generated ones among them, and the foreign keys."""

    columns: Mapping[str, tuple[str, ...]]
    generated: Mapping[str, frozenset[str]]
    references: tuple[Reference, ...]

    def written(self, table: str) -> frozenset[str]:
        """The columns that a statement can give a value."""
        return frozenset(self.columns[table]) - self.generated[table]


def read_structure(connection: psycopg.Connection) -> Structure:
    """Read it from the catalog."""
    tables = connection.execute(_COLUMNS).fetchall()
    return Structure(
        {table: tuple(columns) for table, columns, _ in tables},
        {table: frozenset(generated or ()) for table, _, generated in tables},
        tuple(
            Reference(table, tuple(columns), parent, tuple(parents))
            for table, columns, parent, parents in connection.execute(_REFERENCES)
        ),
    )
