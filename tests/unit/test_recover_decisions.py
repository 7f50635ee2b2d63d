"""Whether an interrupted deployment is complete, and what is foretold of one, decided without a database."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.migrate.foretell import HalfDone, UnderWay, foretell
from wedsync_db.migrate.recover import unwound
from wedsync_db.model import Fingerprint, Licence, MigrationProof

catalogs = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["1", "2"]))


@given(st.lists(catalogs, min_size=1, max_size=5))
def test_changes_are_taken_back_in_their_order(states):
    prints = [Fingerprint(state) for state in states]
    changes = [a.change_to(b) for a, b in pairwise(prints)]
    before = unwound(prints[-1], changes)
    assert before is not None
    assert before.digest == prints[0].digest


@given(catalogs, catalogs, catalogs)
def test_a_catalog_the_changes_did_not_leave_is_not_taken_back_to_the_one_before(before, after, other):
    change = Fingerprint(before).change_to(Fingerprint(after))
    found = unwound(Fingerprint(other), [change])
    assert (found is not None and found.objects == before) == (other == after)


def proof(licence: Licence) -> MigrationProof:
    return MigrationProof("1", licence, (), 0.0, None, 0, (), {})


def test_what_is_foretold():
    exact, weaker = {"1": proof(Licence.EXACT)}, {"1": proof(Licence.WEAKER)}
    assert "loses nothing" in foretell(UnderWay(["1", "2"], [], exact))
    assert "finish" in foretell(UnderWay(["1"], ["1"], weaker))
    assert "1 of 2 migrations are committed; recover would revert" in foretell(UnderWay(["1", "2"], ["1"], exact))
    assert "a person would have to decide about 1" in foretell(UnderWay(["1", "2"], ["1"], weaker))
    assert "a person would have to decide about 1" in foretell(UnderWay(["1", "2"], ["1"], {}))


def test_what_ran_outside_a_transaction_is_never_called_nothing():
    index = UnderWay(["1", "2"], ["1"], {"1": proof(Licence.EXACT)}, (HalfDone("2", 1),))
    assert foretell(index) == (
        "1 statement of 2 ran outside a transaction; recover would take away what is left of them; "
        "1 of 2 migrations are committed; recover would revert them, unless something written since would be lost"
    )
    alone = UnderWay(["1"], [], {}, (HalfDone("1", 2, ("1/deploy.sql:3:1",)),))
    assert foretell(alone) == (
        "2 statements of 1 ran outside a transaction, and a person would have to decide about 1/deploy.sql:3:1"
    )
    assert "loses nothing" not in foretell(alone)


def test_a_roll_back_under_way_is_said_first():
    assert foretell(UnderWay(["1"], [], {}, rolling_back=True, reverted=["1"])) == (
        "its roll back is under way (1 reverted); a cancel leaves it to recover; nothing is committed"
    )
