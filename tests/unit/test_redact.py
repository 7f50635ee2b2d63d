"""No secret gets into a log, an error or a report."""

import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wedsync_db import redact as module
from wedsync_db.redact import MASK, RedactionFilter, redact, register_secret

secrets = st.text(min_size=4).filter(lambda s: s.strip("*"))


@pytest.fixture(autouse=True)
def _no_secrets_left_behind(monkeypatch):
    monkeypatch.setattr(module, "_secrets", ())


@given(st.lists(secrets, min_size=1, max_size=4), st.lists(st.text(), max_size=5), st.randoms())
@example(["a***", "bbbb"], ["abbbb", ""], None)
@example(["bbbb", "a***", "c***d"], ["cabbbbd", ""], None)
@example(["x***", "***x"], ["xx***xx"], None)
def test_no_registered_secret_survives(values, around, random):
    module._secrets = ()
    for value in values:
        register_secret(value)
    pieces = [*values, *around, *values]
    if random:
        random.shuffle(pieces)
    said = redact("".join(pieces))
    assert not [value for value in values if value in said]
    assert redact(said) == said


@pytest.mark.parametrize(
    "shown",
    [
        "p@ss w%20rd'\\é",
        "p%40ss%20w%2520rd%27%5C%C3%A9",
        "p@ss w%20rd\\'\\\\é",
        "p@ss w%20rd''\\é",
        repr("p@ss w%20rd'\\é"),
        '"p@ss w%20rd\'\\\\\\u00e9"',
    ],
)
def test_a_registered_secret_is_known_in_every_spelling(shown):
    register_secret("p@ss w%20rd'\\é")
    assert redact(f"a {shown} z").strip("az \"'") == MASK


@pytest.mark.parametrize("value", ["", "abc", "****", "*" * 12])
def test_what_would_blank_out_everything_is_not_registered(value):
    register_secret(value)
    assert redact("abc **** x") == "abc **** x"


def test_a_secret_with_lone_surrogates_can_be_registered():
    register_secret("pw\udcff12")
    assert redact("it is pw\udcff12!") == "it is ***!"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://app:s3cret@db:5432/x?sslmode=require", "postgresql://app:***@db:5432/x?sslmode=require"),
        ("to postgres://app:s3/c@r:et@db/x now", "to postgres://app:***@db/x now"),
        ("redis://:s3cret@cache", "redis://:***@cache"),
        ("postgresql://app@db/x", "postgresql://app@db/x"),
        ("https://example.org:8080/path", "https://example.org:8080/path"),
        ("host=db password=s3cret user=app", "host=db password=*** user=app"),
        ("host=db password='s3 c\\'ret' user=app", "host=db password=*** user=app"),
        ("host=db password=s3\\ cret user=app", "host=db password=*** user=app"),
        ("host=db password = 's3 cret", "host=db password = ***"),
        ("postgresql://db/x?user=a&password=s3cret", "postgresql://db/x?user=a&password=***"),
        ("PGPASSWORD=s3cret pg_dump", "PGPASSWORD=*** pg_dump"),
        ("DB_PASSWORD: s3cret", "DB_PASSWORD: ***"),
        ('{"password": "s3 cret", "host": "db"}', '{"password": ***, "host": "db"}'),
        ("{'client_secret': 's3cret'}", "{'client_secret': ***}"),
        ("alter role app password 's3''cret' login", "alter role app password *** login"),
        ("alter role app encrypted password E's3\\'cret'", "alter role app encrypted password E***"),
        ("Authorization: Bearer s3cret", "Authorization: Bearer ***"),
        ("authorization=Basic czNjcmV0", "authorization=Basic ***"),
        ("sent bearer 0123456789abcdef", "sent bearer ***"),
        ("key eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZSJ9.abc-_1 end", "key *** end"),
        ("?access_token=s3cret&x=1", "?access_token=***&x=1"),
        ("SUPABASE_ACCESS_KEY=s3cret", "SUPABASE_ACCESS_KEY=***"),
        ("sbp_0123456789abcdef and sb_secret_0123456789", "*** and ***"),
        ('password authentication failed for user "app"', 'password authentication failed for user "app"'),
        ("alter table people add column password text", "alter table people add column password text"),
    ],
)
def test_places_where_a_secret_stands(text, said):
    assert redact(text) == said


@given(st.text())
def test_any_text_can_be_redacted_twice(text):
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text", ["://a:" * 40_000, "password" * 40_000, "eyJabcdef." * 40_000, "a" * 400_000, "'" * 99_999]
)
@pytest.mark.timeout(60)  # hours if a pattern were quadratic
def test_long_lines_do_not_take_for_ever(text):
    assert redact(redact(text)) == redact(text)


@pytest.fixture
def logged():
    """A logger with the filter on its handler, and the lines that came out."""
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(self.format(record))
            lines.append(repr(sorted(record.__dict__.items(), key=str)))

    handler = Keep()
    handler.addFilter(RedactionFilter())
    logger = logging.getLogger("test.redact")
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, lines
    logger.removeHandler(handler)


def test_the_filter_redacts_message_arguments_exception_stack_and_extras(logged):
    logger, lines = logged
    register_secret("s3cret-value")
    try:
        raise ValueError("it was s3cret-value")  # noqa: TRY301 - a traceback is wanted
    except ValueError:
        logger.exception("s3cret-value %s", "s3cret-value", extra={"url": "x://a:pw@b"}, stack_info="s3cret-value")
    logger.warning("%s and %d", "s3cret-value", 3)
    said = "\n".join(lines)
    assert "*** ***\nTraceback" in said
    assert "ValueError: it was ***" in said
    assert "*** and 3" in said
    assert "x://a:***@b" in said
    assert "s3cret-value" not in said


def test_a_wrong_format_string_costs_neither_the_program_nor_the_secret(logged):
    logger, lines = logged
    register_secret("s3cret-value")
    logger.error("%d", "s3cret-value")
    assert "cannot be formatted, from " in lines[0]
    assert "s3cret-value" not in "".join(lines)
