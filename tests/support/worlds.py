"""Who deploys, and what is there before: a superuser, an ordinary owner, and the owner that Supabase gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.support.case import ROLE
from tests.support.schema import make_api_roles, owned_database
from wedsync_db.postgres.cluster import Cluster
from wedsync_db.postgres.session import session

# schema auth is not ours, the default privileges give everything to everybody, and Realtime is there
_SUPABASE = f"""
set client_min_messages = error;  -- the publication's server would need another wal_level to send anything
create schema auth;
create function auth.uid() returns uuid language sql stable
  as $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
grant usage on schema auth to public;
alter default privileges for role {ROLE} in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges for role {ROLE} in schema public grant all on sequences to anon, authenticated, service_role;
alter default privileges for role {ROLE} in schema public grant all on functions to anon, authenticated, service_role;
create publication supabase_realtime;
alter publication supabase_realtime owner to {ROLE};
"""


@contextmanager
def superuser(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """An empty database, as the server's superuser."""
    with owned_database(cluster) as address, session(cluster.address(address.dbname), "test") as connection:
        yield connection


@contextmanager
def owner(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """An empty database, as the ordinary role that owns it."""
    with owned_database(cluster) as address, session(address, "test") as connection:
        yield connection


@contextmanager
def supabase(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """What a new project of Supabase has, as the ordinary role that owns the database there."""
    make_api_roles(cluster)
    with owned_database(cluster) as address:
        with session(cluster.address(address.dbname), "test-admin") as admin:
            admin.execute(_SUPABASE)
        with session(address, "test") as connection:
            yield connection


WORLDS = {"superuser": superuser, "owner": owner, "supabase": supabase}
