"""What the page of a failed run says first: whether the target was touched."""

import pytest

from wedsync_db.errors import (
    BackupError,
    Displaced,
    Inconclusive,
    PersonNeeded,
    PlanError,
    Refused,
    RehearsalFailed,
    TargetHeld,
    WedsyncError,
)
from wedsync_db.report.failure import failure_markdown


@pytest.mark.parametrize("kind", [PlanError, Refused, TargetHeld, RehearsalFailed, BackupError])
def test_before_the_target_was_touched_that_is_the_headline(kind):
    headline = failure_markdown("staging", kind("it is so", hint="Do this.")).splitlines()[0]
    assert headline.startswith("# ")
    assert headline.endswith("the target was not touched")


@pytest.mark.parametrize("kind", [Inconclusive, Displaced, PersonNeeded, WedsyncError])
def test_nothing_is_promised_where_it_is_not_known(kind):
    assert "not touched" not in failure_markdown("staging", kind("it is so"))


def test_reason_hint_and_where_to_look_are_there():
    text = failure_markdown("staging", Refused("it is Saturday", hint="Wait."))
    assert "error: it is Saturday" in text
    assert "hint: Wait." in text
    assert "`status staging`" in text
