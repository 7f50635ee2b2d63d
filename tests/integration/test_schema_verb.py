"""The verb `schema`: what it answers, and that it changes nothing."""

from __future__ import annotations

import json

import pytest

from flows.__main__ import main
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.session import session

LEAKING = "grant all on public.client to authenticated"
PREPARED = """
do $$ begin create role authenticated nologin; exception when duplicate_object or unique_violation then null; end $$;
create table public.client (id uuid primary key);
alter table public.client enable row level security;
comment on table public.client is 'who buys'
"""


@pytest.fixture
def answer(capsys):
    """Run the verb with --json: exit code and the document."""

    def run(*arguments):
        code = main(["schema", *arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def target(case):
    with session(case.admin, "test") as connection:
        connection.execute(PREPARED)
        yield connection


def test_clean_is_0_and_an_error_is_1(case, target, answer):
    code, told = answer("case")
    assert (code, [f["severity"] for f in told["findings"]]) == (0, ["note"])
    target.execute(LEAKING)
    code, told = answer("case")
    assert code == 1
    assert ("grant-beyond-rows", "error") in {(f["rule"], f["severity"]) for f in told["findings"]}


def test_as_text(case, target, capsys):
    target.execute(LEAKING)
    assert main(["schema", "case"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("error: public.client: granted what row-level security does not limit: ")
    assert out.endswith("1 error, 1 warning, 1 note\n")


def test_nothing_is_changed(case, target, answer):
    before = fingerprint.take(target)
    answer("case", "--document", str(case.folder / "schema.md"))
    assert not fingerprint.take(target).change_to(before)


def test_the_document_is_written(case, target, answer):
    file = case.folder / "schema.md"
    case.migration("0001_clients", "-- People who buy.\ncreate table public.client (id uuid primary key);")
    code, _ = answer("case", "--document", str(file))
    assert code == 0
    text = file.read_text()
    assert f"`./dev schema case --document {file}`" in text
    assert "## 0001 clients\n\nPeople who buy.\n\n### client\n\nWho buys.\n" in text


def test_a_folder_is_made_on_a_scratch_server(case, answer):
    case.migration("0001_open", "create role anon; create table public.open (id int primary key);")
    code, told = answer("--dir", str(case.folder / "migrations"))
    assert (code, [f["rule"] for f in told["findings"]]) == (1, ["rls-disabled"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "schema takes an environment or --dir DIR"),
        (["case", "--dir", "migrations"], 2, "schema takes an environment or --dir DIR"),
        (["nowhere"], 2, "nowhere"),
        (["--dir", "no/such/folder"], 1, "no/such/folder"),
        (["case", "--document", "no/such/folder/x.md"], 1, "no/such/folder/x.md cannot be written"),
    ],
)
def test_what_it_refuses(case, answer, arguments, code, said):
    found, told = answer(*arguments)
    assert found == code
    assert said in told["message"], told


def test_a_target_that_is_not_there_is_not_made(case, answer):
    settings = case.folder / "environments.toml"
    settings.write_text('[environments.none]\nembedded_major = 18\nmigrations = "migrations"\n')
    code, told = answer("none")
    assert (code, told["message"]) == (3, "environment none does not exist yet")
    assert not list(case.installation.home.pg.glob("18*"))
