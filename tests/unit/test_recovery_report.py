"""What the page of a cancelled or crashed run says about its end."""

import pytest

from wedsync_db.errors import PersonNeeded, Unreachable
from wedsync_db.migrate.recover import Recovery
from wedsync_db.model import DeploymentStatus
from wedsync_db.report.recovery import recovery_line, recovery_markdown, unrecovered_markdown

UNDONE = Recovery("d1", DeploymentStatus.ROLLED_BACK, "deployment d1 was undone: reverted 0007_<b>")
FINISHED = Recovery("d1", DeploymentStatus.DONE, "deployment d1 was finished by recover")


@pytest.mark.parametrize(
    ("done", "headline"),
    [
        ((), "# Interrupted: nothing had been begun"),
        ((UNDONE,), "# Interrupted: undone"),
        ((FINISHED,), "# Interrupted: finished all the same"),
    ],
)
def test_the_end_stands_first(done, headline):
    assert recovery_markdown("staging", done).splitlines()[0] == headline


def test_what_was_done_is_told_without_tags():
    assert "reverted 0007_&lt;b>" in recovery_markdown("staging", (UNDONE,))
    assert recovery_line("staging", (UNDONE, FINISHED)).count("deployment d1") == 2
    assert "staging: nothing had been begun" in recovery_line("staging", ())


def test_a_person_is_told_what_is_at_risk_and_what_to_do():
    text = unrecovered_markdown("staging", PersonNeeded("stopped", hint="Decide.", at_risk=("12 rows of app.notes",)))
    assert text.startswith("# Interrupted: a person is needed\n")
    assert "12 rows of app.notes" in text
    assert "Decide." in text
    assert "`recover staging`" in text


def test_what_could_not_be_tried_is_not_called_undone():
    text = unrecovered_markdown("staging", Unreachable("the server does not answer"))
    assert text.startswith("# Interrupted: not undone yet\n")
    assert "does not answer" in text
