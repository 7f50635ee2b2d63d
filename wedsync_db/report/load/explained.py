"""What each picture of a load test is called, and how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Explained(NamedTuple):
    """A title, and how to read what is below it."""

    title: str
    says: str


_TENFOLD = "Each line across is ten times the one below it."
EXPLAINED: Mapping[str, Explained] = {
    "runs": Explained(
        "Each run against the limits",
        "A point is a run; the bar is where the true value lies with 95 % confidence. A bar that is all left of "
        "the limit passes, one that is all right of it fails, and one across the limit cannot tell.",
    ),
    "against": Explained(
        "Each run beside the others",
        "A point is a run. Where the points of both lie among each other, nothing was shown to have changed; the "
        "dashed line is what these runs may be at most.",
    ),
    "arrivals": Explained(
        "Requests, and answers to them",
        "The dashed line is what the scenario asks, the area what was answered at that time. Requests come by chance, "
        "as people do, so the area trembles around the line. Where it stays below, that is all the database could do "
        "on these connections: what was not answered had to wait, and may have been answered later.",
    ),
    "response": Explained(
        "What people waited",
        "The response is the time from when a request was due until its answer was there. The 95th percentile "
        "is what 95 of 100 requests do not exceed: five waited longer. A limit is for a phase as a whole, so "
        f"that a single second may be above it. {_TENFOLD}",
    ),
    "queue": Explained(
        "Was it the database, or the wait for a connection?",
        "The solid line is how long the database worked on a request (95th percentile), the dashed one is what "
        "people waited for it. Between them lies what passed before it was sent. The dotted line is the wait for a "
        "free connection of the pool: where it is high, the database is slower than requests come in, or the pool "
        "too small. Without it, what lies between is the generator's own lateness, which is small, or the test is "
        f"INVALID. {_TENFOLD}",
    ),
    "connect": Explained(
        "How long it took to connect",
        "Each request opens a connection of its own, as functions without a pool do; this is a part of what people "
        f"waited. {_TENFOLD}",
    ),
    "pool": Explained(
        "How busy the connections were",
        "The share of the pool that was at work. Near 100 % every further request has to wait.",
    ),
    "errors": Explained(
        "Errors, and requests that were never answered",
        "By kind, at the second in which they were due. What was never answered counts in the response with "
        "what it had waited until it was given up.",
    ),
    "heat": Explained(
        "How the responses were spread",
        "The stronger the colour, the more requests took so long at that time. One band is a healthy server. A "
        "second band higher up is a group of requests that wait for something; a slope is a queue that grows. "
        f"{_TENFOLD}",
    ),
    "spectrum": Explained(
        "The slowest ones",
        "To the right are ever fewer requests: above 99 % is what one of a hundred took at least. A line that "
        "stays low until far right is a server without surprises; a step is something that stops a few "
        f"requests. {_TENFOLD}",
    ),
    "waits": Explained(
        "What the server was busy with",
        "How many of its sessions were at work, and on what: CPU is computing, IO the disk, Lock a row or table "
        "that another session holds, LWLock the server's own bookkeeping, Client the network. The widest area "
        "is where the time went.",
    ),
    "locks": Explained(
        "Sessions that waited for a lock",
        "The most at one moment of each second. Such a session waits for another one to end its transaction.",
    ),
    "wal": Explained(
        "What the server wrote ahead",
        "Each change goes to the write-ahead log (WAL) first. Where a checkpoint began the server also writes "
        "out its changed pages, and whole pages to the log: responses that are slower there are its doing.",
    ),
    "pooler": Explained(
        "Clients that pgbouncer let wait",
        "Connections of the application that had no connection to the server at that moment.",
    ),
}
