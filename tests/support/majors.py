"""The PostgreSQL majors that are on this machine."""

import pytest

from wedsync_db.postgres.cluster import binaries_of

MAJORS = tuple(major for major in (15, 16, 18) if binaries_of(major))

# a test so marked runs once on each; its fixtures `cluster`, `address`, `db` and `case` are on that major
every_major = pytest.mark.parametrize("major", MAJORS, indirect=True)
