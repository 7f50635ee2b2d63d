"""What other migration tools were tried on, 2, 3, 8 and 9: edited, broken, late and missing files.

The cases and what the others do: docs/comparison.md.
"""

from __future__ import annotations

import pytest

from tests.support.broken import BASE, good, once_backed_up, planted, switch_on
from tests.support.case import Case
from tests.support.majors import every_major
from tests.support.peers import applied, switch_off
from wedsync_db.migrate.deployment import take_fingerprint

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


def edit_base(case: Case) -> None:
    path = case.folder / "migrations" / BASE / "deploy.sql"
    path.write_text(path.read_text().replace("500", "501"))


def refused(tool, case: Case, *words: str) -> None:
    """Deploying ends with exit code 1 and these words; neither the target nor the backups were touched."""
    before = take_fingerprint(case.address).digest, applied(case)
    ended = tool("deploy", "case")
    assert ended.code == 1, ended.text
    for word in words:
        assert word in ended.text
    assert (take_fingerprint(case.address).digest, applied(case)) == before
    assert not list(case.installation.home.path.glob("backups/*/*")), "it was known before anything began"


@every_major
@pytest.mark.parametrize("pending", [False, True], ids=["alone", "with a new one pending"])
def test_case_2_edited_after_applying(based, tool, pending):
    """2: a file is edited after it was applied."""
    edit_base(based)
    if pending:
        good(based, 2)
    refused(tool, based, BASE, "edited")
    for verb in ("status", "plan"):
        ended = tool(verb, "case")
        assert ended.code == 1, ended.text
        assert "edited" in ended.text
    assert based.rows("select count(*) from public.items") == [(500,)]


@every_major
def test_case_3_fails_half_way(based, tool):
    """3: the second of three files fails half way; the first was committed. Corrected, all are applied."""
    good(based, 2, 4)
    planted(based, 3)
    before = take_fingerprint(based.address).digest
    with once_backed_up(based, switch_on):
        ended = tool("deploy", "case_each")
    assert ended.code == 1, ended.text
    assert "0003_planted/deploy.sql" in ended.text
    assert take_fingerprint(based.address).digest == before
    assert applied(based) == [BASE]
    switch_off(based)
    assert tool("deploy", "case_each").code == 0
    assert applied(based) == [BASE, "0002_good_2", "0003_planted", "0004_good_4"]


@every_major
def test_case_8_syntax_error_in_the_last(based, tool):
    """8: the last of three files does not parse."""
    good(based, 2, 3)
    based.migration("0004_wrong", "create table public.x (\n  id bigint,\n  oops oops oops\n);", "select 1;")
    refused(tool, based, "0004_wrong/deploy.sql:3", "syntax error")


@every_major
def test_case_9a_older_number_arrives_later(based, tool):
    """9a: a file whose number is below the newest applied one."""
    based.migration("0000_late", "create table public.late (id int);", "drop table public.late;")
    refused(tool, based, "0000_late", "late")


@every_major
def test_case_9b_declared_dependency_is_missing(based, tool):
    """9b: a file requires one that is nowhere."""
    good(based, 2)
    based.migration("0003_needs", "-- requires: 0007_nowhere\ncreate table public.needs (id int);", "select 1;")
    refused(tool, based, "0003_needs", "0007_nowhere")


@every_major
def test_case_9c_applied_file_is_gone(based, tool):
    """9c: the file of an applied migration is not on disk any more."""
    based.remove(BASE)
    good(based, 2)
    refused(tool, based, BASE, "missing")
