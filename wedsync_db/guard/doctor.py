"""Is everything ready for a first deployment? The guard's questions, and what only a deployment would need later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

import psycopg

from wedsync_db.backup.client import programs_for
from wedsync_db.backup.keys import newest_key
from wedsync_db.errors import Refused, WedsyncError
from wedsync_db.guard.checks import QUESTIONS, ask
from wedsync_db.guard.decide import RULES
from wedsync_db.guard.promotion import Promotion
from wedsync_db.guard.questions import Context
from wedsync_db.home import Home
from wedsync_db.model import Finding, Severity
from wedsync_db.postgres.binaries import binaries_of
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import Environment

_PASSING = frozenset(
    {"freeze", "weddings", "held", "blockers"}
)  # true today only: said, and no reason to call it not ready


def doctor(
    address: Address,
    environment: Environment,
    home: Home,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    promotion: Promotion | None = None,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Finding, ...]:
    """One finding or more for each thing a deployment needs: an error with its remedy, or a note that it is there.

    `promotion` is what the environment that comes first says: asked without migrations, only whether it answers.
    `environ` has the variable with the key of the backups.

    Raises:
        Unreachable: no session with the target could be opened.
        Refused: a pooler answers that takes no settings, or the server is far too old.
    """
    with session(address, "doctor") as connection:
        asked = ask(connection, Context(environment, home.path, clock, promotion=promotion), frozenset(QUESTIONS))
        rights = tuple(_rights(connection))
        major = connection.info.server_version // 10_000
    return (
        *_with_the_good(tuple(_softened(f) for f in asked), _assured(environment)),
        *rights,
        *_needs("client-programs", lambda: _programs(address, major)),
        *_needs("scratch", lambda: _scratch(major)),
        *_needs("backup-key", lambda: _backup_key(environment, environ)),
        *_environment(environment),
    )


def _softened(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.WARNING) if _passes(finding) else finding


def _passes(finding: Finding) -> bool:
    return finding.rule in _PASSING and finding.severity is Severity.ERROR


def _assured(environment: Environment) -> Mapping[str, str]:
    """What a rule without a finding says: nothing is claimed that this environment does not ask."""
    not_asked = {
        "freeze": environment.guard.freeze == "off" and "the freeze calendar is off in this environment",
        "weddings": environment.guard.weddings == "off" and "weddings are not asked about in this environment",
        "promotion": not environment.promoted_from and "this environment does not ask for a trial elsewhere",
        "load-test": not environment.require_load_test and "this environment does not ask for a load test",
        "tls": not environment.require_tls and "this environment does not require an encrypted connection",
    }
    return {rule: not_asked.get(rule) or what for rule, what in RULES.items()}


def _with_the_good(found: tuple[Finding, ...], assured: Mapping[str, str]) -> Iterator[Finding]:
    """What was found, in the order of the rules, and a note for each rule that nothing speaks against."""
    for rule, what in assured.items():
        yield from [f for f in found if f.rule == rule] or [Finding(rule, Severity.NOTE, what)]


def _rights(connection: psycopg.Connection) -> Iterator[Finding]:
    """What docs/grants.sql grants to the one who deploys: it may do without today, and not when more is there."""
    role, database, is_superuser, sees_all_rows, creates, sees_all_sessions = _row_of_rights(connection)
    missing = [
        (creates, "may create no schema here", f"grant create on database {database} to {role}"),
        (sees_all_sessions, "does not see what others do", f"grant pg_read_all_stats to {role}"),
        (
            sees_all_rows,
            "is bound by row-level security: its backups lack what policies hide",
            f"alter role {role} bypassrls",
        ),
        (
            not is_superuser,
            "is a superuser, and a deployment needs none",
            "docs/grants.sql makes a role with what it needs",
        ),
    ]
    found = [
        Finding("rights", Severity.WARNING, f"role {role} {what}", hint) for good, what, hint in missing if not good
    ]
    yield from found or [
        Finding("rights", Severity.NOTE, f"role {role} has what docs/grants.sql grants, and is no superuser")
    ]


def _row_of_rights(connection: psycopg.Connection) -> tuple[str, str, bool, bool, bool, bool]:
    name, database, *flags = connection.execute(query("guard", "rights")).fetchall()[0]
    is_superuser, sees_all_rows, creates, sees_all_sessions = flags
    return name, database, is_superuser, sees_all_rows, creates, sees_all_sessions


def _needs(rule: str, find: Callable[[], str]) -> Iterator[Finding]:
    try:
        yield Finding(rule, Severity.NOTE, find())
    except (WedsyncError, OSError) as error:
        yield Finding(rule, Severity.ERROR, str(error), getattr(error, "hint", ""))


def _programs(address: Address, major: int) -> str:
    programs = programs_for(address, major)
    codecs = ", ".join(sorted(programs.codecs, reverse=True))
    return f"pg_dump {programs.major} of {programs.pg_dump.parent} dumps this server (compresses with {codecs})"


def _scratch(major: int) -> str:
    binaries = binaries_of(major)
    if binaries is None:
        raise Refused(
            f"no PostgreSQL {major} server is installed here to rehearse on",
            hint=f"apt-get install postgresql-{major}, from apt.postgresql.org if Debian lacks it",
        )
    return f"a scratch server of PostgreSQL {major} can run here, from {binaries}"


def _backup_key(environment: Environment, environ: Mapping[str, str]) -> str:
    key = newest_key(environment, environ)
    return f"backups are encrypted with key {key.id}" if key else "backups are not encrypted: no backup_key_env"


def _environment(environment: Environment) -> Iterator[Finding]:
    if not environment.allow_data_copy:
        yield Finding(
            "data-copy",
            Severity.ERROR,
            "this environment does not allow its data to be copied into a scratch server: no rehearsal",
            "Where this machine may hold its data, set allow_data_copy = true",
        )
    if not environment.migrations.is_dir():
        yield Finding("migrations", Severity.ERROR, f"there is no folder {environment.migrations}", "Set migrations")
