"""Whether a run lasted: what gets slower is said, and noise is not."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.support.load_runs import SCENARIO, summed
from wedsync_db.load.schedule import Phase
from wedsync_db.load.steady import drift

STEADY = replace(SCENARIO, phases=(Phase("steady", 20, 10, 10),))
SECONDS = np.arange(200) // 10


def said(milliseconds, scenario=STEADY):
    """What is said of a run of 20 seconds with these medians."""
    noise = 1 + 0.03 * np.sin(SECONDS * 7.0)
    return drift(scenario, summed(scenario, service=(1000 * milliseconds * noise).astype(np.int64)))


def test_a_steady_run_has_nothing_said_of_it():
    assert said(np.full(200, 10.0)) == ()


def test_what_gets_slower_is_said_with_both_medians():
    (line,) = said(np.where(SECONDS < 10, 10.0, 15.0))
    assert line == "The phase steady was not steady: the median went from 10 to 15 ms."


def test_warming_up_within_a_judged_phase_is_said():
    (line,) = said(np.where(SECONDS < 5, 60.0, 10.0))
    assert re.fullmatch(r"The first (5|10) seconds of the phase steady look like warming up: let it .*", line)


@pytest.mark.parametrize(
    "phase", [Phase("steady", 20, 10, 12), Phase("steady", 19, 10, 10), Phase("steady", 20, 10, 10, measured=False)]
)
def test_ramps_and_short_phases_and_what_is_not_judged_are_left_alone(phase):
    assert said(np.where(SECONDS < 10, 10.0, 15.0), replace(STEADY, phases=(phase,))) == ()
