"""Whether an interrupted deployment is complete, and what is foretold of one, decided without a database."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.migrate.recover import foretell, unwound
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
    assert "loses nothing" in foretell(["1", "2"], [], exact)
    assert "finish" in foretell(["1"], ["1"], weaker)
    assert "1 of 2 migrations are committed; recover would revert" in foretell(["1", "2"], ["1"], exact)
    assert "a person would have to decide about 1" in foretell(["1", "2"], ["1"], weaker)
    assert "a person would have to decide about 1" in foretell(["1", "2"], ["1"], {})
