"""The documentation of the schema: as the catalog is now, in words a reader understands."""

from __future__ import annotations

import pytest

from tests.support.schema import MIGRATIONS, deploy
from wedsync_db.installation import CHECKOUT
from wedsync_db.migrate.files import read_migrations
from wedsync_db.schema.catalog import read_catalog
from wedsync_db.schema.document import document
from wedsync_db.schema.modules import modules_of
from wedsync_db.schema.words import condition, who

COMMAND = "./dev schema --dir migrations --document docs/schema.md"


@pytest.fixture
def deployed(db):
    deploy(db, *MIGRATIONS)
    return db


def _written(connection):
    migrations, _ = read_migrations(CHECKOUT / "migrations")
    return document(read_catalog(connection), modules_of(migrations), command=COMMAND)


def _part(text, heading):
    """From a heading to the next one."""
    return text.partition(f"\n{heading}\n")[2].partition("\n#")[0]


def test_the_document_is_as_the_catalog(deployed):
    now = _written(deployed)
    assert (CHECKOUT / "docs" / "schema.md").read_text() == now, f"docs/schema.md is out of date; run: {COMMAND}"


def test_every_table_and_function_has_a_module_and_a_comment(deployed):
    text = _written(deployed)
    assert "from elsewhere" not in text
    assert "No comment" not in text
    assert "|  |" not in _part(text, "## 0002 helpers"), "a function without a comment"


def test_a_change_of_the_schema_shows(deployed):
    before = _written(deployed)
    deployed.execute("drop policy admins_delete on public.clients")
    deployed.execute("alter table public.clients add budget text check (budget in ('low', 'high'))")
    deployed.execute("create table public.later (id int primary key)")
    lines = set(_written(deployed).splitlines()) - set(before.splitlines())
    assert "| delete | nobody: no policy lets in |  |" in lines
    assert "| budget | text, optional | one of `low`, `high` |" in lines
    assert "### later" in lines
    assert any(line.startswith("| [from elsewhere]") for line in lines)


def test_triggers_are_told_by_function(deployed):
    part = _part(_written(deployed), "### invoice_lines")
    told = next(line for line in part.splitlines() if line.startswith("Triggers: "))
    assert "after insert or update or delete `audit.write()`" in told
    assert "before update of organization_id `app.keep_tenant()`" in told


def test_a_table_as_a_reader_sees_it(deployed):
    part = _part(_written(deployed), "### timeline_items")
    assert "The running order of the day, minute by minute." in part
    assert "| event_id | uuid | → [wedding_events](#wedding_events) of the same `wedding_id` |" in part
    assert "null once that is gone" in part
    assert "| read | the couple, and everybody in a supplier with the scope `timeline` | all |" in part
    assert "`service_role` may read, insert, update, delete." in part


ORGANIZATION = "(organization_id = ANY (( SELECT app.org_ids('admin'::text) AS org_ids)::uuid[]))"
COUPLE = "(wedding_id = ANY (( SELECT app.wedding_ids('couple'::text) AS wedding_ids)::uuid[]))"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (ORGANIZATION, "the organization's admins and owners"),
        (f"({COUPLE} OR {ORGANIZATION})", "the couple; or the organization's admins and owners"),
        (f"({ORGANIZATION} AND (status = 'draft'::text))",
         "the organization's admins and owners, where `status = 'draft'`"),
        (f"({ORGANIZATION} AND ((role <> 'owner'::text) OR {COUPLE}))",
         "the organization's admins and owners, where (`role <> 'owner'`; or the couple)"),
        ("(profile_id = ( SELECT auth.uid() AS uid))", "the person themselves"),
        ("(name = ' OR ('::text)", "`name = ' OR ('`"),
        ("(id = ANY (( SELECT app.other_ids('x'::text) AS other_ids)::uuid[]))",
         "`id = ANY (( SELECT app.other_ids('x') AS other_ids))`"),
    ],
)  # fmt: skip
def test_policies_in_words(expression, words):
    assert who(expression) == words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("((length(name) >= 1) AND (length(name) <= 200))", "1 to 200 characters"),
        ("(status = ANY (ARRAY['draft'::text, 'sent'::text]))", "one of `draft`, `sent`"),
        ("((a)::text ~ '^(x|y)$'::text)", "`(a) ~ '^(x\\|y)$'`"),
        ("(ends_at > starts_at)", "`ends_at > starts_at`"),
        ("((due_on >= '1900-01-01'::date) AND (due_on <= '2200-01-01'::date))", "1900-01-01 to 2200-01-01"),
        (
            (
                "((done_at >= '1900-01-01 00:00:00+00'::timestamp with time zone)"
                " AND (done_at <= '2200-01-01 00:00:00+00'::timestamp with time zone))"
            ),
            "1900-01-01 to 2200-01-01",
        ),
        (
            "((length(email) <= 254) AND (email = lower(email)) AND (email ~ '^[^@[:space:]]+@[^@[:space:]]+$'::text))",
            "an e-mail address in lower case, up to 254 characters",
        ),
        (
            "((jsonb_typeof(answers) = 'object'::text) AND (octet_length((answers)::text) <= 262144))",
            "an object, up to 262144 bytes as text",
        ),
    ],
)
def test_checks_in_words(expression, words):
    assert condition(expression) == words
