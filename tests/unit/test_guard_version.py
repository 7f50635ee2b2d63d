"""Releases that are supported, but show in statistics what row-level security hides."""

from dataclasses import replace

import pytest

from tests.support.values import backup
from wedsync_db.guard.questions import outdated
from wedsync_db.model import Severity
from wedsync_db.settings import SUPPORTED_MAJORS

FACTS = backup().manifest.server


@pytest.mark.parametrize(
    ("version", "needed"), [(150013, "15.14"), (160009, "16.10"), (170000, "17.6"), (170005, "17.6")]
)
def test_an_older_release_is_warned_of_with_the_one_to_upgrade_to(version, needed):
    (found,) = outdated(replace(FACTS, version_num=version))
    assert (found.rule, found.severity) == ("version", Severity.WARNING)
    assert found.message.startswith(f"PostgreSQL {version // 10_000}.{version % 10_000} ")
    assert "CVE-2025-8713" in found.message
    assert f"to {needed} or later" in found.hint


@pytest.mark.parametrize("version", [150014, 150018, 160010, 170006, 180000, 180004])
def test_a_release_with_the_fix_is_not(version):
    assert version // 10_000 in SUPPORTED_MAJORS
    assert list(outdated(replace(FACTS, version_num=version))) == []
