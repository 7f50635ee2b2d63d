"""What a machine has a limited number of: file handles, one for each connection, and ports to connect from.

Without handles a process lets its clients wait, with no error; without ports connecting fails, and it would look as if
the server had refused.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Callable
from pathlib import Path

from wedsync_db.errors import Refused
from wedsync_db.load.scenario import Scenario
from wedsync_db.load.schedule import highest_rate
from wedsync_db.postgres.session import Address

SPARE = 200  # files, libraries, pipes, and connections that are closing
_PORT_SECONDS = 60  # after a connection was closed its port is not used again for so long
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_ALWAYS_REUSED, _REUSED_HERE = "1", "2"


def raise_handles() -> None:
    """Let this process have as many as it is ever allowed to; for children, which end with their work."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def require_handles(scenario: Scenario, processes: int) -> None:
    """Make sure that this machine lets us have the scenario's connections, each process of the generator its part.

    Raises:
        Refused: it does not, and no process of ours may change that.
    """
    each = math.ceil(scenario.held / processes) + SPARE
    pooler = scenario.held + scenario.pool + SPARE if scenario.connections == "pgbouncer" else 0
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = max(each, pooler)
    if hard != resource.RLIM_INFINITY and hard < need:
        what = "pgbouncer" if pooler > each else "a process of the generator"
        raise Refused(
            f"{scenario.held:,} connections need {need:,} file handles in {what}, {hard:,} are allowed",
            hint=f"ulimit -Hn {need} as root, LimitNOFILE={need} in a systemd unit, or fewer clients.",
        )


def _kernel(name: str) -> str:
    return Path("/proc/sys/net/ipv4", name).read_text(encoding="ascii")


def require_ports(scenario: Scenario, address: Address, read: Callable[[str], str] = _kernel) -> None:
    """Make sure that a connection for each arrival finds a port to come from, where it comes by network.

    Raises:
        Refused: there are too few for the minute in which those of closed connections are kept.
    """
    if scenario.connect == "once" or scenario.connections == "pgbouncer" or address.host.startswith(("/", "@")):
        return
    try:
        first, last = map(int, read("ip_local_port_range").split())
        reused = read("tcp_tw_reuse").strip()
    except (OSError, ValueError):
        return  # not Linux
    rate = highest_rate(scenario.phases)
    need = min(rate * _PORT_SECONDS, math.fsum(phase.arrivals for phase in scenario.phases))
    kept = reused != _ALWAYS_REUSED and not (reused == _REUSED_HERE and address.host in _HERE)
    if kept and need > last - first:
        raise Refused(
            f"{rate:,.0f} connections a second need {need:,.0f} ports, of which there are {last - first:,}",
            hint='sysctl -w net.ipv4.tcp_tw_reuse=1, or connections = "pgbouncer", which is reached by a socket.',
        )
