"""What two load tests must have in common to be compared: the same work, machine and settings."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import fields

import psycopg

from wedsync_db.load.scenario import Scenario
from wedsync_db.postgres.queries import query

_WORDS_ONLY = frozenset({"name", "title", "description", "repeats", "criteria", "comparisons", "safety"})


def fingerprint(connection: psycopg.Connection, scenario: Scenario, engine: str) -> str:
    """One hash of all that a time depends on, but the schema: whether that slows things down is the question.

    Args:
        connection: To the server that is tested.
        scenario: What is done. What it is called and what it asks for does not count.
        engine: Which of the engines does it.
    """
    (settings,) = connection.execute(query("load_fingerprint", "settings"), {}).fetchall()[0]
    work = [f"{one.name}={getattr(scenario, one.name)!r}" for one in fields(scenario) if one.name not in _WORDS_ONLY]
    machine = [platform.node(), platform.machine(), str(os.cpu_count())]
    version = connection.info.parameter_status("server_version") or ""
    whole = "\n".join([*work, engine, *machine, version, settings])
    return hashlib.sha256(whole.encode()).hexdigest()
