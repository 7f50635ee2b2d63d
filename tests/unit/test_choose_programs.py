"""Which pg_dump is chosen."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.errors import Refused
from wedsync_db.postgres.programs import Programs, choose


def build(major, *codecs, ssl=True, name=""):
    folder = Path(f"/{name or major}")
    return Programs(
        folder / "pg_dump", folder / "pg_restore", folder / "pg_dumpall", major, ssl=ssl, codecs=frozenset(codecs)
    )


def test_the_servers_own_major_comes_before_a_newer_one():
    assert choose([build(18), build(16), build(15)], 16, need_ssl=False).major == 16


def test_the_nearest_newer_one_otherwise():
    assert choose([build(18), build(16), build(15)], 17, need_ssl=False).major == 18


def test_more_codecs_win_within_a_major():
    embedded, package = build(18, "gzip", name="ours"), build(18, "gzip", "zstd", "lz4", name="package")
    assert choose([embedded, package], 18, need_ssl=False) is package


def test_the_first_wins_among_equals():
    first, second = build(18, name="a"), build(18, name="b")
    assert choose([first, second], 18, need_ssl=False) is first


def test_without_tls_a_build_is_no_use_for_a_server_that_needs_it():
    assert choose([build(16, ssl=False), build(18)], 16, need_ssl=True).major == 18
    with pytest.raises(Refused, match="no pg_dump with TLS for PostgreSQL 16") as caught:
        choose([build(16, ssl=False)], 16, need_ssl=True)
    assert "postgresql-client-16" in caught.value.hint


def test_nothing_fits():
    with pytest.raises(Refused, match="no pg_dump for PostgreSQL 18"):
        choose([build(15), build(16)], 18, need_ssl=False)


@given(st.lists(st.tuples(st.integers(13, 20), st.booleans())), st.integers(13, 20), st.booleans())
def test_the_choice_always_fits_and_none_nearer_does(found, server, need_ssl):
    candidates = [build(major, ssl=ssl) for major, ssl in found]
    fitting = [c.major for c in candidates if c.major >= server and (c.ssl or not need_ssl)]
    if not fitting:
        with pytest.raises(Refused):
            choose(candidates, server, need_ssl=need_ssl)
    else:
        assert choose(candidates, server, need_ssl=need_ssl).major == min(fitting)
