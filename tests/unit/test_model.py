from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.model import Fingerprint

catalogs = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=6).map(Fingerprint)


@given(catalogs, catalogs)
def test_digests_are_equal_exactly_when_nothing_changed(before, after):
    assert (before.digest == after.digest) == (not before.change_to(after))
