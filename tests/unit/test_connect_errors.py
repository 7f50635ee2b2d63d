"""What libpq and servers say when a login fails, and what an operator reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.errors import Refused, Unreachable
from wedsync_db.postgres.connect_errors import explain

OVER_TCP = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "sqlstate", "hint"),
    [
        (OVER_TCP + "FATAL:  the database system is starting up", "57P03", "try again in a moment"),
        (OVER_TCP + "FATAL:  the database system is shutting down", "57P03", "try again in a moment"),
        (OVER_TCP + 'FATAL:  permission denied for database "x"', "42501", "grant connect"),
        (OVER_TCP + "FATAL:  sorry, too many clients already", "53300", "raise the limit"),
        (OVER_TCP + "FATAL:  no more connections allowed (max_client_conn)", "53300", "raise the limit"),
        (OVER_TCP + 'FATAL:  Peer authentication failed for user "app"', "28000", "operating-system user"),
        (OVER_TCP + "SSL error: certificate verify failed", None, "sslrootcert"),
        ('server certificate for "a" does not match host name "b"', None, "sslrootcert"),
        (OVER_TCP + "Network is unreachable\n\tIs the server running?", "08001", "no way"),
        (OVER_TCP + "server closed the connection unexpectedly\n\tThis probably means", "08006", "log says why"),
        ("connection timeout expired", "08001", "firewall"),
        (OVER_TCP + "FATAL:  no such database: nope", "3D000", "create it"),
        ("", None, "Is the server running"),
        (OVER_TCP + "PANIQUE :  quelque chose", None, "Is the server running"),
    ],
)
def test_causes_that_need_no_server_of_ours(text, sqlstate, hint):
    error = explain(text, "app@db:5432/x")
    assert type(error) is Unreachable
    assert error.sqlstate == sqlstate
    assert hint in error.hint
    assert error.message.startswith("no session with app@db:5432/x: ")
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (OVER_TCP + "FATAL:  unsupported startup parameter: options", "pooler"),
        (OVER_TCP + "FATAL:  unsupported startup parameter in options: lock_timeout", "pooler"),
        (
            OVER_TCP + 'FATAL:  unrecognized configuration parameter "client_connection_check_interval"',
            "older than PostgreSQL 14",
        ),
    ],
)
def test_what_no_retry_can_heal_is_refused(text, hint):
    error = explain(text, "app@db:5432/x")
    assert type(error) is Refused
    assert hint in error.hint


def test_the_line_is_the_servers_own_without_libpqs_preamble():
    said = explain(OVER_TCP + 'FATAL:  database "x" does not exist', "w").message
    assert said == 'no session with w: database "x" does not exist'
    assert explain("a word\nanother", "w").message == "no session with w: a word"


@given(st.text(min_size=1).filter(lambda t: not t.isspace()))
def test_any_text_makes_one_line_without_a_password(text):
    error = explain(text + " password=s3cret", "w")
    assert len(error.message.splitlines()) == 1
    assert "s3cret" not in error.message
