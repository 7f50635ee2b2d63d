"""Made-up load tests, one for each verdict, and what their page says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser

import numpy as np

from tests.support.load_runs import SCENARIO, at, measured, summed, took
from wedsync_db.load.calibration import Calibration
from wedsync_db.load.compare import against_earlier
from wedsync_db.load.observed import COUNTERS, Counted, Observed, Pooled, Second, Statement
from wedsync_db.load.rounds import judged
from wedsync_db.load.run import LoadTest

SLOW = replace(SCENARIO, name="users_1000", title="1,000 users", description="1,000 people at work on two connections.")
OBSERVED = Observed(
    tuple(
        Second(float(n), 10, 10, {"CPU": 1.0, "Lock:transactionid": 3.0, "IO:WALSync": 0.5, "idle": 2.0}, n % 3)
        for n in range(20)
    ),
    tuple(
        Counted(
            float(n),
            tuple({"blocks_hit": 99.0, "blocks_read": 1.0, "wal_bytes": 1e6}.get(c, 1.0) * n for c in COUNTERS),
        )
        for n in range(21)
    ),
    tuple(Pooled(float(n), 4.0, 2.0, 0.1) for n in range(20)),
    (Statement("select * from app.guest where note < ?", 0.75, 1200, 3.4), Statement("insert into app.form", 0.25)),
    notes=("what 2 sessions do is not shown to load",),
)


def told(*runs, scenario=SLOW, comparison=None, ended="", **more):
    """A load test with these runs."""
    result = judged(scenario, runs, comparison, ended)
    started = datetime(2026, 11, 21, 12, tzinfo=UTC)
    migrations = (("0001_one", "a" * 64), ("0002_two", "b" * 64))
    return LoadTest("staging", scenario, "PostgreSQL 18.4", 7, started, migrations, runs, result, **more)


def waiting(milliseconds, **changes):
    """A run in which the second half has to wait so long for a connection."""
    waited = at(slice(100, 200), milliseconds * 1000)
    changes = {"waited": waited, "late": at(slice(0, 100), True, kind=np.bool_), **changes}
    return summed(SLOW, **changes)


@cache
def of_each_verdict():
    """By name, a load test of each verdict: made once, as judging takes most of a second."""
    failed = at([150, 160, 170], 1, kind=np.int16) + at([180], 2, kind=np.int16) + at([190], -1, kind=np.int16)
    bad = {"code": failed, "errors": ("57014", "XX000"), "service": measured().service + at([190], -10_001)}
    slow = [replace(waiting(ms, **bad), observed=OBSERVED) for ms in (590, 600, 620)]
    quick = [summed(SLOW, service=took(ms)) for ms in (10, 11, 10)]
    against = against_earlier(SLOW, slow, quick, "3 runs of earlier tests since 2026-11-01")
    return {
        "PASS": told(*quick, calibration=Calibration(10.0, 1.1, 1.2)),
        "FAIL": told(*slow, comparison=replace(against, differing=("0002_two",))),
        "INCONCLUSIVE": told(waiting(20), waiting(80)),
        "INVALID": told(*(summed(SLOW, cpu_seconds=40.0) for _ in range(2))),
    }


class _Words(HTMLParser):
    """What can be read of a page: a line for each block, a bar between cells."""

    _BLOCKS = frozenset({"p", "h1", "h2", "h3", "li", "tr", "pre", "summary", "title"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.lines, self._hidden, self._line = [], 0, ""
        self.feed(page)

    def handle_starttag(self, tag, _attributes):
        self._hidden += tag in ("style", "svg")

    def handle_endtag(self, tag):
        self._hidden -= tag in ("style", "svg")
        if tag in ("td", "th"):
            self._line += " | "
        elif tag == "b" and not self._line.endswith(" "):
            self._line += " "
        elif tag in self._BLOCKS:
            if self._line.strip(" |\n"):
                self.lines.append(" ".join(self._line.split()).removesuffix(" |"))
            self._line = ""

    def handle_data(self, data):
        self._line += "" if self._hidden else data


def words_of(page: str) -> str:
    """The text of a page, without its pictures."""
    return "\n".join(_Words(page).lines)
