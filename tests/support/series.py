"""Which series there are, by the names that Prometheus has them under."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from wedsync_db.monitor.metrics import Metric, Sample
from wedsync_db.monitor.observed import all_series
from wedsync_db.monitor.openmetrics import about, series_name
from wedsync_db.monitor.series import GROUPS
from wedsync_db.monitor.statements import CALLS, EVICTED, STATEMENTS, TIME

_OF_POOLERS = (("pooler_wait", "seconds"), ("pooler_used", "ratio"), ("pooler_clients", "ratio"))


def exported():
    """Every name that `metrics` may print."""
    collected = [Metric(*one) for groups in GROUPS.values() for group in groups for one in group.series]
    pooler = [Metric(name, "gauge", unit) for name, unit in _OF_POOLERS]
    own = about(Sample(datetime.now(UTC), "fast", "", {}))
    return {series_name(one) for one in (*collected, *pooler, *all_series(), *own, STATEMENTS, EVICTED, CALLS, TIME)}


def asked_for(expression):
    """Our names in a PromQL expression; those in quotes are values of labels."""
    return set(re.findall(r"\bpgops_\w+", re.sub(r'"[^"]*"', "", expression)))
