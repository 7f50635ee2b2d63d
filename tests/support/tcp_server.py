"""A server that listens on TCP, on the loopback only: ours listen on a socket, where a network cannot fail."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from wedsync_db.postgres import pg_ctl
from wedsync_db.postgres.account import owner
from wedsync_db.postgres.cluster import Cluster, scratch, stop
from wedsync_db.postgres.session import Address


@contextmanager
def listening(major: int) -> Iterator[Cluster]:
    """A fresh server that keeps what it acknowledged; its `address()` still leads over the socket."""
    with scratch(major, settings={"synchronous_commit": "on"}) as quiet:
        stop(quiet)
        cluster = replace(quiet, port=_free_port())
        rules = cluster.data.parent / "pg_hba.conf"
        rules.write_text(rules.read_text() + "host all all 127.0.0.1/32 scram-sha-256\n")
        start_on_tcp(cluster)
        try:
            yield cluster
        finally:
            stop(cluster, "immediate")


def start_on_tcp(cluster: Cluster) -> None:
    """Start the server of `listening` again."""
    options = f"{pg_ctl._options(cluster, {'fsync': 'off', 'listen_addresses': ''})} -c listen_addresses=127.0.0.1"
    log = cluster.data.parent / "server.log"
    pg_ctl.run([cluster.binaries / "pg_ctl", "-D", cluster.data, "-w", "-l", log, "-o", options, "start"],
               owner(cluster.data))  # fmt: skip


def by_tcp(address: Address) -> Address:
    """The same database over TCP."""
    return replace(address, host="127.0.0.1")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
