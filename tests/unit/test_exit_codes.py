"""The exit code of a run that ended elsewhere, from nothing but its state's name."""

import pytest

from wedsync_db.errors import error_named


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("RolledBack", 1), ("MigrationFailed", 1), ("LockTimeout", 1), ("RehearsalFailed", 1),
        ("UsageError", 2), ("Refused", 3), ("TargetHeld", 3), ("PersonNeeded", 4), ("Inconclusive", 5),
        ("Displaced", 5), ("RollbackFailed", 5), ("Crashed", 5), ("Cancelled", 5), ("Failed", 5), ("", 5),
    ],
)  # fmt: skip
def test_every_end_has_its_code_and_what_is_unknown_does_not_pass(state, code):
    assert error_named(state, "it ended").exit_code == code
