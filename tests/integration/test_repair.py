"""A destructive migration was deployed by mistake: what it took comes back, what people wrote since stays."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from flows.__main__ import main
from tests.support.case import Case
from tests.support.majors import every_major
from tests.support.mistake import (
    BASE,
    FIX,
    GUEST_COLUMNS,
    MISTAKE,
    VENUE_COLUMNS,
    Hour,
    Rows,
    back_up,
    deploy,
    rows,
)
from wedsync_db.postgres.content import measure, tables
from wedsync_db.postgres.session import session

pytestmark = pytest.mark.faults  # each restores a backup into a server of its own

TABLES = {"venues": (("id",), VENUE_COLUMNS), "guests": (("nr", "wedding"), GUEST_COLUMNS)}


@pytest.fixture
def repair(case, capsys):
    """Run the verb: exit code and the document."""

    def run(*more: str) -> tuple[int, dict]:
        code = main(["repair", "case", "--from", "newest", *more, "--json"])
        out, _ = capsys.readouterr()
        return code, json.loads(out)

    return run


def all_rows(case: Case) -> dict[str, Rows]:
    return {name: rows(case, name, *shape) for name, shape in TABLES.items()}


def contents(case: Case) -> list:
    with session(case.admin, "test") as connection:
        return [measure(connection, name) for name in tables(connection)]


def lines(document: dict, what: str) -> set[tuple]:
    found = [json.loads(line) for line in Path(document["file"]).read_text().splitlines()]
    assert all(set(line) <= {"table", "key", "what", "columns", "why"} for line in found)
    return {
        (line["table"], tuple(line["key"]), tuple(line.get("columns", ()))) for line in found if line["what"] == what
    }


def counts(document: dict) -> dict[str, dict[str, int]]:
    found = {table: {k: n for k, n in kinds.items() if n} for table, kinds in document["tables"].items()}
    return {table: kinds for table, kinds in found.items() if kinds}


@every_major
def test_every_lost_value_is_back_and_every_newer_value_kept(case, repair):
    deploy(case, "0001_base", BASE)
    back_up(case)
    before = all_rows(case)
    deploy(case, "0002_mistake", MISTAKE)
    deploy(case, "0003_fix", FIX)
    hour = Hour(case, random.Random(7))
    hour.pass_()
    as_found, found = contents(case), all_rows(case)

    code, shown = repair()
    assert code == 4, shown
    assert contents(case) == as_found  # nothing was written
    assert shown["person"] == ["public.scribbles: it has no primary key, so that rows cannot be matched"]
    assert "public.untouched" not in shown["tables"]

    code, done = repair("--apply", "case")
    assert code == 4  # conflicts, and a table without a key, are left to a person
    assert counts(done) == counts(shown) | {"public.staff": {"restored": 3}}
    after = all_rows(case)
    conflicts = set()
    for name in TABLES:
        for key, old in before[name].items():
            written = hour.written.get((name, key), {})
            if written is None:
                assert key not in after[name]  # somebody deleted it
                continue
            lost = {c for c, v in old.items() if v is not None and found[name].get(key, {}).get(c) != v}
            assert after[name][key] == {**old, **written}
            if newer := tuple(sorted(set(written) & lost & taken(name, key))):
                conflicts.add((f"public.{name}", key, newer))
        for key in after[name].keys() - before[name].keys():
            assert after[name][key] == hour.written[name, key]
    assert conflicts
    assert lines(done, "conflict") == conflicts
    assert case.rows("select id, boss, name from public.staff order by id") == [
        (1, 2, "first"), (2, 3, "second"), (3, None, "the boss"),
    ]  # fmt: skip
    assert case.rows("select count(*) from public.venues where label <> upper(name)") == [(0,)]
    assert case.rows("select status, backup_id is not null from wedsync_db.deployment order by started_at")[-1] == (
        "done", True,
    )  # fmt: skip

    as_left = contents(case)
    code, again = repair("--apply", "case")
    assert code == 4
    assert contents(case) == as_left
    assert lines(again, "restored") == lines(again, "values") == set()
    assert lines(again, "conflict") == conflicts


def taken(name: str, key: tuple[str, ...]) -> set[str]:
    """The columns that the mistake took from a row it left there."""
    if name == "guests":
        return {"phone"}
    return {"name", "tags", "info"} if int(key[0]) % 3 == 0 else set()
