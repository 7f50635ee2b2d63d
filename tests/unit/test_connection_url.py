"""From a URL to an address: every form libpq knows, nothing shown of a wrong one, TLS where it is required."""

import getpass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.errors import Refused, UsageError
from wedsync_db.postgres.url import address_from_url, require_tls

NAME = "WEDSYNC_X_URL"


def address(url, environ=None):
    return address_from_url(url, NAME, environ or {})


def test_a_plain_url():
    found = address("postgresql://ann:p%40ss@db.example:5433/shop?sslmode=require")
    assert (found.host, found.port, found.dbname, found.user, found.password) == (
        "db.example",
        5433,
        "shop",
        "ann",
        "p@ss",
    )
    assert found.parameters == {"sslmode": "require"}


def test_key_value_form_and_defaults():
    found = address("host=db.example dbname=shop", {"PGUSER": "eve"})
    assert (found.port, found.user, found.password) == (5432, "eve", None)
    assert address("host=db.example dbname=shop").user == getpass.getuser()


def test_a_socket_given_as_host_parameter():
    assert address("postgresql:///shop?host=/run/postgresql").host == "/run/postgresql"


def test_an_address_without_a_name():
    found = address("hostaddr=192.0.2.1 dbname=shop")
    assert found.host == "192.0.2.1"
    assert found.parameters == {"hostaddr": "192.0.2.1"}


def test_several_hosts_mean_the_one_that_accepts_writes():
    found = address("postgresql://ann@a.example:5432,b.example:5433/shop")
    assert found.host == "a.example,b.example"
    assert found.parameters == {"port": "5432,5433", "target_session_attrs": "read-write"}
    assert "port=5432,5433" in found.conninfo()


def test_several_hosts_with_a_choice_of_their_own():
    found = address("postgresql://ann@a.example,b.example/shop?target_session_attrs=primary")
    assert found.parameters == {"target_session_attrs": "primary"}
    assert found.port == 5432


@pytest.mark.parametrize(
    "url",
    ["postgresql://ann:s3cret@[::1/shop", "postgres//s3cret", "s3cret", "host='s3cret", "postgresql://a@h/d?s3cret=1"],
)
def test_a_wrong_url_is_not_shown(url):
    with pytest.raises(UsageError) as caught:
        address(url)
    assert NAME in caught.value.message
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_a_port_that_is_no_number_is_a_usage_error():
    with pytest.raises(UsageError, match=NAME):
        address("postgresql://ann@h:s3cret/shop")
    with pytest.raises(UsageError, match="port"):
        address("host=h port=s3cret dbname=shop")


@pytest.mark.parametrize(
    ("url", "lacks"), [("postgresql://ann@h", "database"), ("dbname=shop", "host"), ("postgresql:///shop", "host")]
)
def test_what_is_not_named_is_not_guessed(url, lacks):
    with pytest.raises(UsageError, match=f"{NAME} names no {lacks}"):
        address(url)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_password_comes_through(password):
    from psycopg.conninfo import make_conninfo

    assert address(make_conninfo("", host="h", dbname="d", user="u", password=password)).password == password


@pytest.fixture
def services(tmp_path):
    (tmp_path / "pg_service.conf").write_text(
        "# ours\n[shop]\nhost=db.example\nport=5440\ndbname=shop\nuser=ann\npassword=50%off\nsslmode=verify-full\n"
    )
    return tmp_path


@pytest.mark.parametrize("variable", ["PGSERVICEFILE", "PGSYSCONFDIR"])
def test_a_service_file(services, variable, tmp_path):
    file = services / "pg_service.conf"
    environ = {
        "PGSERVICEFILE": str(file if variable == "PGSERVICEFILE" else tmp_path / "none"),
        "PGSYSCONFDIR": str(services),
    }
    found = address("postgresql:///other?service=shop", environ)
    assert (found.host, found.port, found.dbname, found.user, found.password) == (
        "db.example",
        5440,
        "other",
        "ann",
        "50%off",
    )
    assert found.parameters == {"sslmode": "verify-full"}


def test_an_unknown_service_is_named(services):
    with pytest.raises(UsageError, match="no service file knows the service mall"):
        address("service=mall", {"PGSERVICEFILE": str(services / "pg_service.conf")})


@pytest.mark.parametrize("text", ["[shop", "no section\n", "\xff\xfe"])
def test_a_broken_service_file_knows_nothing(tmp_path, text):
    (tmp_path / "f").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match="no service file"):
        address("service=shop", {"PGSERVICEFILE": str(tmp_path / "f")})


@pytest.mark.parametrize("mode", ["disable", "prefer", "require", "verify-ca"])
def test_less_than_verify_full_is_refused(mode):
    with pytest.raises(Refused, match=f"sslmode={mode}; .* requires verify-full"):
        require_tls(address(f"postgresql://ann@h/shop?sslmode={mode}"), NAME)


def test_no_word_on_tls_is_refused():
    with pytest.raises(Refused, match="requires verify-full"):
        require_tls(address("postgresql://ann@h/shop"), NAME)


@pytest.mark.parametrize("host", ["/run/postgresql", "@abstract", "db.example,/run/postgresql"])
def test_a_socket_has_no_tls_whatever_the_url_says(host):
    with pytest.raises(Refused, match="Unix socket"):
        require_tls(address(f"host={host} dbname=shop sslmode=verify-full"), NAME)


def test_verify_full_passes_and_kerberos_does_not_go_around_it():
    found = require_tls(address("postgresql://ann@h/shop?sslmode=verify-full"), NAME)
    assert found.parameters == {"sslmode": "verify-full", "gssencmode": "disable"}
