"""From an environment's name to its database."""

import pytest

from wedsync_db.errors import Refused, UsageError
from wedsync_db.home import Home
from wedsync_db.postgres.cluster import embedded
from wedsync_db.postgres.session import session
from wedsync_db.postgres.target import open_target
from wedsync_db.settings import Environment

DEMO = Environment("demo", embedded_major=18, database="shop")
STAGING = Environment("staging", url_env="WEDSYNC_STAGING_URL")


def test_looking_at_what_does_not_exist_creates_and_starts_nothing(home):
    absent = Home(home.path / "absent")
    with pytest.raises(Refused, match="environment demo does not exist yet") as caught, open_target(DEMO, absent, {}):
        pass
    assert "./dev deploy demo" in caught.value.hint
    assert not absent.path.exists()
    with pytest.raises(Refused, match="does not exist yet"), open_target(DEMO, home, {}):
        pass
    assert list(home.pg.iterdir()) == []


def test_creating_then_looking(home):
    with open_target(DEMO, home, {}, create=True) as address, session(address, "test") as connection:
        connection.execute("create schema app; create table app.t as select 1 as one")
    with open_target(DEMO, home, {}, create=True) as address, session(address, "test") as connection:
        assert connection.execute("select one from app.t").fetchone() == (1,)
        row = connection.execute(
            "select session_user, rolsuper, rolbypassrls, rolcreaterole, rolpassword is null, pg_get_userbyid(datdba),"
            " pg_has_role('pg_read_all_data', 'member'), datname"
            " from pg_roles, pg_database where rolname = session_user and datname = current_database()"
        ).fetchone()
    assert row == ("wedsync_deployer", False, True, True, False, "wedsync_deployer", True, "shop")
    other = Environment("other", embedded_major=18, database="mall")
    with pytest.raises(Refused, match="environment other does not exist yet"), open_target(other, home, {}):
        pass
    with embedded(home, 18) as cluster, session(cluster.address(), "test") as connection:
        names = {name for (name,) in connection.execute("select datname from pg_database where not datistemplate")}
        passwords = connection.execute("select count(*) from pg_authid where rolpassword is not null").fetchone()
    assert names == {"postgres", "shop"}
    assert passwords == (0,)
    with open_target(other, home, {}, create=True) as address:
        assert address.dbname == "mall"


def test_the_url_comes_from_the_variable_and_the_role_from_the_environment(address):
    environ = {"WEDSYNC_STAGING_URL": address.conninfo()}
    staging = Environment("staging", url_env="WEDSYNC_STAGING_URL", role="pg_monitor")
    with open_target(staging, Home("/nonexistent"), environ) as found, session(found, "test") as connection:
        assert found.role == "pg_monitor"
        assert connection.execute("select current_user, current_database()").fetchone() == (
            "pg_monitor",
            address.dbname,
        )


@pytest.mark.parametrize("environ", [{}, {"WEDSYNC_STAGING_URL": ""}])
def test_a_missing_variable_is_named(home, environ):
    with pytest.raises(UsageError, match="WEDSYNC_STAGING_URL, which is not set"), open_target(STAGING, home, environ):
        pass


@pytest.mark.parametrize("port", ["6543", "5432,6543"])
def test_the_transaction_pooler_is_refused(home, port):
    environ = {"WEDSYNC_STAGING_URL": f"host=a,b port={port} dbname=shop user=ann"}
    with pytest.raises(Refused, match="transaction pooler"), open_target(STAGING, home, environ):
        pass


def test_tls_is_required_where_the_environment_says_so(home):
    production = Environment("production", url_env="URL", require_tls=True)
    url = "postgresql://ann:s3cret@h/shop?sslmode="
    with pytest.raises(Refused, match="requires verify-full"), open_target(production, home, {"URL": url + "require"}):
        pass
    with open_target(production, home, {"URL": url + "verify-full"}) as found:
        assert found.parameters["sslmode"] == "verify-full"
        assert "s3cret" not in f"{found}{found!r}"
