"""What a backup decides without a server: manifest as text, error lines, progress, expected differences, statements."""

import dataclasses
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.backup.client import complaint
from wedsync_db.backup.manifest import dump_manifest, load_manifest
from wedsync_db.backup.roles import apply_setting, create_role, grant_membership
from wedsync_db.backup.server_globals import Membership, Role, Setting, load_globals
from wedsync_db.backup.verify import content_differences, is_expected, only_reordered
from wedsync_db.backup.watch import Copied, Weight, share_copied
from wedsync_db.errors import BackupError
from wedsync_db.model import Manifest, RelationContent, ServerFacts

words = st.text(max_size=12)
numbers = st.integers(0, 2**62)
relations = st.builds(RelationContent, words, numbers, words, words)
manifests = st.builds(
    Manifest,
    id=words,
    environment=words,
    created_at=st.datetimes(timezones=st.just(UTC)),
    server=st.builds(
        ServerFacts, numbers, words, words, numbers, st.integers(1, 9), words, st.booleans(), st.booleans()
    ),
    snapshot=words,
    pg_dump_version=words,
    files=st.dictionaries(words, st.tuples(numbers, words), max_size=4),
    relations=st.lists(relations, max_size=4).map(tuple),
    sequences=st.dictionaries(words, st.integers(-(2**63), 2**63 - 1), max_size=4),
    fingerprint=words,
    database_bytes=numbers,
    seconds=st.floats(0, 1e6),
    large_objects=numbers,
)
MANIFEST = Manifest(
    "id",
    "demo",
    datetime(2026, 6, 6, tzinfo=UTC),
    ServerFacts(180004, "7", "app", 5, 1, "wedsync", True, False),
    "00000003-1",
    "18",
    {"data/toc.dat": (7, "ab")},
    (RelationContent("public.t", 3, "12", "m"),),
    {"public.s": 4},
    "ff",
    1000,
    1.5,
)


@given(manifests)
def test_a_manifest_survives_being_written_and_read(manifest):
    assert load_manifest(dump_manifest(manifest)) == manifest


@given(st.integers(0, len(dump_manifest(MANIFEST).encode()) - 2), st.integers(0, 7))
def test_any_flipped_bit_of_a_manifest_is_found(position, bit):
    content = bytearray(dump_manifest(MANIFEST).encode())
    content[position] ^= 1 << bit
    try:
        read = load_manifest(content.decode())
    except (BackupError, UnicodeDecodeError):
        return
    assert read == MANIFEST  # white space


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": 1}', "{"])
def test_what_is_no_manifest_is_said(text):
    with pytest.raises(BackupError, match="cannot be read"):
        load_manifest(text)


def test_a_manifest_of_another_format_asks_for_a_newer_program(monkeypatch):
    monkeypatch.setattr("wedsync_db.backup.manifest.FORMAT", 3)
    text = dump_manifest(MANIFEST)
    monkeypatch.undo()
    with pytest.raises(BackupError, match="format 3"):
        load_manifest(text)


def test_a_manifest_without_all_its_fields_is_said(monkeypatch):
    monkeypatch.setattr("wedsync_db.backup.manifest.asdict", lambda m: {**dataclasses.asdict(m), "server": {}})
    text = dump_manifest(MANIFEST)
    with pytest.raises(BackupError, match="lacks something"):
        load_manifest(text)


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"database": {}})])
def test_globals_that_cannot_be_read_are_said(text):
    with pytest.raises(BackupError):
        load_globals(text)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("", "no output"),
        ("killed", "killed"),
        (
            (
                "pg_dump: error: query failed: ERROR:  x\npg_dump: detail: Query was: SELECT 1\n"
                "pg_dump: error: a worker process died unexpectedly\n"
            ),
            "query failed: ERROR:  x",
        ),
        (
            (
                'pg_restore: error: COPY failed for table "t": ERROR:  invalid input syntax for type integer: "sec"\n'
                'CONTEXT:  COPY t, line 1, column x: "secret"\n'
            ),
            'COPY failed for table "t": ERROR:  invalid input syntax for type integer',
        ),
        ("pg_dump: error: connection: password=abcdefgh", "connection: password=***"),
    ],
)
def test_one_line_of_what_a_program_said_without_values(said, line):
    assert complaint(said) == line


def test_progress_counts_finished_tables_whole_and_the_current_one_by_rows():
    weights = (Weight("a", 1, 600, 100.0), Weight("b", 2, 300, -1.0), Weight("c", 3, 100, 0.0))
    looks = Copied({})
    assert share_copied(weights, looks) == 0
    looks = looks.then({1: 50})
    assert share_copied(weights, looks) == pytest.approx(0.3)
    looks = looks.then({1: 500, 2: 7})
    assert share_copied(weights, looks) == pytest.approx(0.6 + 0.15)
    looks = looks.then({3: 1}).then({})
    assert share_copied(weights, looks) == 1
    assert share_copied((), looks) == 0


def test_content_that_is_as_recorded_has_no_differences():
    one = RelationContent("public.t", 3, "12", "m")
    assert list(content_differences([one], {"public.t": one})) == []


@pytest.mark.parametrize(
    ("identity", "before", "after", "expected"),
    [
        ("role:boss", None, "{}", True),
        ('role:"The Boss"', None, "{}", True),
        ("role:bossy", None, "{}", False),
        ("role:boss", "{}", None, False),
        ("membership:boss in staff", None, "{}", True),
        ("setting:boss work_mem", None, "{}", True),
        ("setting:in this database session_preload_libraries", "{}", None, True),
        ("setting:in this database work_mem", "{}", None, False),
        ("user mapping:s for u", "{}", None, True),
        ("user mapping:s for u", None, "{}", False),
        ("table:public.boss", None, "{}", False),
    ],
)
def test_differences_that_we_make_ourselves_are_expected(identity, before, after, expected):
    assert is_expected(identity, before, after, {"boss", "The Boss"}) is expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"columns": ["b", "a"], "inherits": ["p"]}, {"columns": ["a", "b"], "inherits": ["p"]}, True),
        ({"columns": ["b", "a"]}, {"columns": ["a", "b"]}, False),
        ({"columns": ["b", "a"], "inherits": ["p"]}, {"columns": ["a"], "inherits": ["p"]}, False),
        ({"columns": ["b", "a"], "inherits": ["p"]}, {"columns": ["a", "b"], "inherits": ["q"]}, False),
        ({"x": 1}, {"x": 2}, False),
    ],
)
def test_only_inherited_columns_may_change_places(before, after, expected):
    assert only_reordered(json.dumps(before), json.dumps(after)) is expected


ROLE = Role('O\'Neil "x"', True, True, False, True, True, False, True, 3, "2030-01-01 00:00:00+00")


def test_a_role_is_created_without_superuser_and_without_login_unless_asked():
    text = create_role(ROLE, superuser=False, login=False).as_string(None)
    assert text.startswith('CREATE ROLE "O\'Neil ""x""" WITH INHERIT NOCREATEROLE CREATEDB NOREPLICATION BYPASSRLS')
    assert "NOSUPERUSER NOLOGIN CONNECTION LIMIT 3 VALID UNTIL '2030-01-01 00:00:00+00'" in text
    assert " LOGIN" in create_role(ROLE, superuser=False, login=True).as_string(None)
    absent = dataclasses.replace(ROLE, login=False, valid_until=None)
    assert "NOLOGIN" in create_role(absent, superuser=False, login=True).as_string(None)


@pytest.mark.parametrize(
    ("membership", "major", "end"),
    [
        (Membership("g", "m", True, None, None), 15, '"g" TO "m" WITH ADMIN OPTION'),
        (Membership("g", "m", False, None, None), 15, '"g" TO "m"'),
        (Membership("g", "m", False, None, None), 18, '"g" TO "m" WITH ADMIN FALSE'),
        (Membership("g", "m", True, False, True), 18, '"g" TO "m" WITH ADMIN TRUE, INHERIT FALSE, SET TRUE'),
    ],
)
def test_memberships_in_the_words_of_each_major(membership, major, end):
    assert grant_membership(membership, major).as_string(None) == f"GRANT {end}"


@pytest.mark.parametrize(
    ("setting", "statement"),
    [
        (Setting(None, True, "TimeZone", "UTC"), """ALTER DATABASE "d" SET "TimeZone" TO 'UTC'"""),
        (Setting(None, False, "work_mem", "1MB"), """ALTER ROLE ALL SET "work_mem" TO '1MB'"""),
        (Setting("r", False, "a.b", "it's"), """ALTER ROLE "r" SET "a.b" TO 'it''s'"""),
        (
            Setting("r", True, "search_path", '"$user", public, "A ""b"' ),
            """ALTER ROLE "r" IN DATABASE "d" SET "search_path" TO '$user', 'public', 'A "b'""",
        ),
        (Setting("r", False, "search_path", '""'), """ALTER ROLE "r" SET "search_path" TO ''"""),
    ],
)  # fmt: skip
def test_settings_are_set_as_they_were(setting, statement):
    assert apply_setting(setting, "d").as_string(None) == statement
