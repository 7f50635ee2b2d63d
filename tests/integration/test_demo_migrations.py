"""The demo's migrations do what their README says they do."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.schema import MIGRATIONS, catalog, deploy, owned_database, run
from wedsync_db.installation import CHECKOUT
from wedsync_db.postgres.session import session
from wedsync_db.seed import seed

FOLDER = CHECKOUT / "docs" / "demo-migrations"
MERGE = FOLDER / "inexact" / "9001_merge_names"
RATING, CONTACT = FOLDER / "pair" / "9001_vendor_rating", FOLDER / "pair" / "9002_unique_vendor_contact"
NAMES = "select id, given_name, family_name, updated_at from wedding_people order by id"


@pytest.fixture(scope="module")
def filled(clusters):
    with owned_database(clusters(18)) as address, session(address, "test") as connection:
        deploy(connection, *MIGRATIONS)
        seed(address, organizations=5, say=lambda _: None, progress=lambda _: None)
        yield connection


def test_the_merge_comes_back_wrong_in_content_alone(filled):
    with filled.transaction(force_rollback=True):
        before, names = catalog(filled), filled.execute(NAMES).fetchall()
        deploy(filled, MERGE)
        run(filled, MERGE, "revert")
        assert not before.change_to(catalog(filled))
        wrong = set(filled.execute(NAMES).fetchall()) - set(names)
        assert 0 < len(wrong) < len(names)


@pytest.mark.parametrize("folder", [RATING, CONTACT], ids=lambda f: f.name)
def test_the_pair_passes_and_comes_back_exactly(filled, folder):
    with filled.transaction(force_rollback=True):
        before = catalog(filled)
        deploy(filled, folder)
        run(filled, folder, "revert")
        assert not before.change_to(catalog(filled))


def test_the_late_row_breaks_the_second_of_the_pair(filled):
    with filled.transaction(force_rollback=True):
        assert filled.execute((FOLDER / "pair" / "late_row.sql").read_bytes()).rowcount == 1
        deploy(filled, RATING)
        with pytest.raises(psycopg.errors.UniqueViolation):
            run(filled, CONTACT, "deploy")
