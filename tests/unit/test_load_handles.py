"""What a machine must have for a load test's connections: said before there is any."""

from dataclasses import replace

import pytest

from tests.support.load_runs import SCENARIO
from wedsync_db.errors import Refused
from wedsync_db.load.handles import require_handles, require_ports
from wedsync_db.load.schedule import Phase
from wedsync_db.postgres.session import Address

MANY = replace(SCENARIO, pool=100, clients=5000, connections="pgbouncer")
STORM = replace(SCENARIO, connect="each", phases=(Phase("storm", 90, 500, 500),))
REMOTE = Address("db.example.org", 5432, "d", "u")


@pytest.mark.parametrize(
    ("scenario", "hard", "said"),
    [
        (MANY, 5299, "5,000 connections need 5,300 file handles in pgbouncer, 5,299 are allowed"),
        (MANY, 5300, ""),
        (MANY, -1, ""),  # no limit
        (replace(SCENARIO, pool=101), 250, "101 connections need 251 file handles in a process of the generator"),
        (replace(SCENARIO, pool=101), 251, ""),
    ],
)
def test_handles_are_counted_by_the_hard_limit(monkeypatch, scenario, hard, said):
    monkeypatch.setattr("resource.getrlimit", lambda _: (64, hard))
    if not said:
        return require_handles(scenario, 2)
    with pytest.raises(Refused, match=said) as caught:
        require_handles(scenario, 2)
    assert "ulimit -Hn" in caught.value.hint
    return None


def kernel(ports="32768 60999", reuse="2"):
    return {"ip_local_port_range": f"{ports}\n", "tcp_tw_reuse": f"{reuse}\n"}.__getitem__


def test_a_connection_for_each_needs_a_port_for_a_minute():
    with pytest.raises(Refused, match="500 connections a second need 30,000 ports, of which there are 28,231"):
        require_ports(STORM, REMOTE, kernel())


@pytest.mark.parametrize(
    ("scenario", "address", "read"),
    [
        (STORM, REMOTE, kernel("10000 60000")),
        (STORM, REMOTE, kernel(reuse="1")),
        (STORM, replace(REMOTE, host="localhost"), kernel()),
        (STORM, replace(REMOTE, host="/run/postgresql"), kernel(reuse="0")),
        (replace(STORM, connect="once"), REMOTE, kernel()),
        (replace(STORM, connections="pgbouncer"), REMOTE, kernel()),
        (replace(STORM, phases=(Phase("storm", 30, 500, 500),)), REMOTE, kernel()),
        (STORM, REMOTE, kernel("none")),  # another system
    ],
)
def test_ports_that_suffice_are_not_spoken_of(scenario, address, read):
    require_ports(scenario, address, read)
