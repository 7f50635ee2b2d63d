"""Running the pending migrations: group by group, each fenced, verified and recorded in its own transaction."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import psycopg

from wedsync_db.errors import Inconclusive, MigrationFailed, Unreachable
from wedsync_db.migrate import journal, ledger
from wedsync_db.migrate.acquire import Say, take_locks
from wedsync_db.migrate.alone import run_alone
from wedsync_db.migrate.batch import run_batch
from wedsync_db.migrate.closing import record, verify
from wedsync_db.migrate.execute import NO_WATCH, Watch, run_script
from wedsync_db.migrate.explain import label
from wedsync_db.migrate.groups import Group, groups
from wedsync_db.migrate.run import CommitLost, Invariant, Run, fenced, reset, retrying
from wedsync_db.model import Applied, Deployment, HeldLock, MigrationProof, Plan
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import LockSettings

__all__ = ["apply", "groups"]

_OUTCOME_SECONDS = 30.0  # how long a server may take to come back before a lost COMMIT is left open
_OUTCOME_PAUSE_SECONDS = 0.25
# bounded, so that a runner that hangs between two statements does not keep its locks for ever
_SESSION = {"idle_in_transaction_session_timeout": "60000"}


def apply(  # noqa: PLR0913 - what is applied where, and the policies of one environment, by keyword
    address: Address,
    plan: Plan,
    deployment: Deployment,
    *,
    proofs: Sequence[MigrationProof],
    atomic: str,
    locks: LockSettings,
    lock_pid: int | None,
    between: Callable[[], None],
    watch: Watch = NO_WATCH,
    say: Say,
    invariants: Sequence[Invariant] = (),
    settings: Mapping[str, str] | None = None,
    rng: random.Random | None = None,
) -> Applied:
    """Run the pending migrations of the plan in their groups, under the target lock the caller holds as `lock_pid`.

    `between` is called before each transaction and may raise to stop there. `invariants` are asked before each COMMIT
    and raise VerifyFailed. `settings` are those of the session. Called again for a deployment that was interrupted,
    with what is still pending, it goes on where a non-transactional file was left.

    Raises:
        MigrationFailed: a group failed and was rolled back; what was committed before it stands in the ledger.
        Displaced: another runner took over; nothing was committed after that.
        PersonNeeded: it cannot be known whether a non-transactional statement ran.
        Inconclusive: the server was lost in COMMIT and did not come back.
    """
    started = time.monotonic()
    jitter = rng or random.Random()  # noqa: S311 - jitter is no secret
    known = {p.migration: p for p in proofs}
    run = Run(address, deployment, known, locks, lock_pid, between, watch, say, tuple(invariants), jitter)
    waiting = deque(groups(plan, proofs, atomic, locks.hold_budget_seconds))
    rounds = 0
    while waiting:
        rounds += _session(run, waiting, {**_SESSION, **(settings or {})})
    ids = tuple(m.id for m in plan.pending)
    return Applied(deployment.id, ids, time.monotonic() - started, 1 + rounds)


def _session(run: Run, waiting: deque[Group], settings: Mapping[str, str]) -> int:
    """Commit groups, taking each off `waiting`, until all are or the session is lost in a COMMIT that did happen."""
    rounds = 0
    with session(
        run.address,
        "migrate",
        lock_timeout_ms=run.settings.lock_timeout_ms,
        statement_timeout_ms=run.settings.statement_timeout_ms,
        settings=settings,
    ) as connection:
        journal.attach(connection, run.deployment)
        while waiting:
            try:
                rounds += _run_group(connection, run, waiting[0])
            except CommitLost:
                if not _landed(run, waiting[0]):
                    raise MigrationFailed(
                        f"the session was lost in COMMIT, and {waiting[0][-1].id} is not in the ledger",
                        hint="The server's log says why it ended the session. Run `recover`.",
                    ) from None
                waiting.popleft()
                break
            waiting.popleft()
    return rounds


def _run_group(connection: psycopg.Connection, run: Run, group: Group) -> int:
    if not group[0].transactional:
        run.between()
        return run_alone(connection, run, group[0])
    return retrying(run, lambda: _try_group(connection, run, group))


def _try_group(connection: psycopg.Connection, run: Run, group: Group) -> int:
    run.between()
    with fenced(connection, run):
        rounds = take_locks(connection, _locks(run, group), run.settings, run.say, rng=run.rng)
        _run_scripts(connection, run, group)
        record(connection, run, group)
    return rounds


def _run_scripts(connection: psycopg.Connection, run: Run, group: Group) -> None:
    _refuse_transaction_control(group)
    if run.watch is NO_WATCH:
        run_batch(connection, group, run.address)
        return
    for migration in group:
        run_script(connection, migration.id, migration.deploy, run.watch)
        reset(connection, run.address)
        verify(connection, migration)


def _refuse_transaction_control(group: Group) -> None:
    """The plan refuses it already; here it would commit what is not verified. DO and CALL the server refuses itself."""
    for migration in group:
        for script in (migration.deploy, migration.verify):
            if script and any(s.kind == "TransactionStmt" for s in script.statements):
                raise MigrationFailed(f"{label(script)} begins or ends a transaction", hint="Take that out of it.")


def _locks(run: Run, group: Group) -> list[HeldLock]:
    return [lock for m in group if m.id in run.proofs for lock in run.proofs[m.id].locks]


def _landed(run: Run, group: Group) -> bool:
    """Whether a group whose COMMIT was never answered is in the ledger, after its backend is certainly gone."""
    deadline = time.monotonic() + _OUTCOME_SECONDS
    while True:
        try:
            with session(run.address, "outcome") as connection:
                journal.end_backend(connection, run.deployment)
                recorded = {e.id for e in ledger.entries(connection) if e.deployment_id == run.deployment.id}
            return recorded.issuperset(m.id for m in group)
        except (Unreachable, psycopg.OperationalError):
            if time.monotonic() > deadline:
                raise Inconclusive(
                    "the server was lost in COMMIT and did not come back: it is not known whether it committed",
                    hint="Run `recover` when the server is back.",
                ) from None
        time.sleep(_OUTCOME_PAUSE_SECONDS)
