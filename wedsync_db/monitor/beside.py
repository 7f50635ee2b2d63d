"""What is known of a database besides what its server says: how long a session takes, and how its pooler does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wedsync_db.monitor.connecting import connect_time
from wedsync_db.monitor.metrics import Metric, Sample
from wedsync_db.monitor.pooler import judged, look_at_pooler
from wedsync_db.monitor.states import Checked
from wedsync_db.monitor.thresholds import limits
from wedsync_db.postgres.session import Address
from wedsync_db.settings import Environment


@dataclass(frozen=True, slots=True)
class Beside:
    """Series with their problems, and checks; those of a pooler only where the environment names one."""

    values: Mapping[Metric, float | None] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    found: tuple[Checked, ...] = ()

    def added_to(self, sample: Sample) -> Sample:
        """The sample with this in it; it belongs to the fast ones."""
        if sample.tier != "fast":
            return sample
        return replace(sample, values={**sample.values, **self.values}, problems=(*sample.problems, *self.problems))


def beside(environment: Environment, environ: Mapping[str, str], address: Address | None = None) -> Beside:
    """Look at the environment's pooler, and time a session where an address is given. Never raises."""
    values, problems = connect_time(address) if address else ({}, ())
    pooler = look_at_pooler(environment, environ)
    if pooler is None:
        return Beside(values, problems)
    found = judged(pooler, limits(environment.health))
    return Beside({**values, **pooler.values}, (*problems, *pooler.problems), found)
