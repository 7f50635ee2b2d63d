"""Made-up runs of a load test."""

import numpy as np

from wedsync_db.load.criteria import read_criteria
from wedsync_db.load.engine import Measured
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import Phase, Schedule
from wedsync_db.load.scripts import Script
from wedsync_db.load.summary import summary_of

SCRIPTS = (Script("read", 1, "select 1;", {}), Script("write", 1, "select 2;", {}))
PHASES = (Phase("warm-up", 10, 10, 10, measured=False), Phase("steady", 10, 10, 10))
CRITERIA = read_criteria(
    {"response_ms": ["p(95)<50"], "errors": ["rate<0.01"], "dropped": ["count==0"]},
    scripts=("read", "write"),
    phases=("steady",),
).criteria
SCENARIO = Scenario("s", "S", "", "", "", SCRIPTS, PHASES, CRITERIA, users=10, tenants=2, pool=2, repeats=2)


def summed(scenario=SCENARIO, **changes):
    """What `measured` comes to."""
    return summary_of(measured(scenario, **changes))


def measured(scenario=SCENARIO, **changes):
    """200 arrivals, ten a second, each answered in 10 ms after none of waiting; the first half is warming up."""
    many = 200
    due = np.arange(many) / 10
    script = np.arange(many) % 2
    given = {
        "waited": np.zeros(many, dtype=np.int64),
        "service": took(10),
        "late": np.ones(many, dtype=np.bool_),
        "code": np.zeros(many, dtype=np.int16),
        "errors": (),
        "leaks": 0,
        "cpu_seconds": 1.0,
        "seconds": 21.0,
        "processes": 2,
        "share": 1.0,
        "began": 1_767_000_000.0,
        "heartbeats": np.full(100, 100, dtype=np.int64),
        **changes,
    }
    return Measured(scenario, Schedule(due, script.astype(np.int16), np.zeros(many, dtype=np.int32)), **given)


def took(milliseconds):
    """So long for each of the 200 arrivals, in the microseconds of a measurement."""
    return np.full(200, round(1000 * milliseconds), dtype=np.int64)


def at(places, value, kind=np.int64, fill=0):
    """This value for the arrivals at these places, `fill` for the others."""
    made = np.full(200, fill, dtype=kind)
    made[places] = value
    return made
