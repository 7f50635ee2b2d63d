"""What would come of the deployment that is under way, if its runner ended at this moment. Only reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from wedsync_db.migrate import debris, journal, ledger
from wedsync_db.migrate.explain import place
from wedsync_db.model import Deployment, Licence, Migration, MigrationProof, Step


@dataclass(frozen=True, slots=True)
class HalfDone:
    """A non-transactional file that is not finished: how far it is, and what of it only a person can take back."""

    migration: str
    statements: int  # that ran or are running
    for_a_person: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A deployment as the journal has it at this moment; without a plan it is a person's revert or repair."""

    planned: Sequence[str]
    applied: Sequence[str]
    proofs: Mapping[str, MigrationProof]
    half_done: Sequence[HalfDone] = ()
    rolling_back: bool = False
    reverted: Sequence[str] = ()


def what_if_cancelled(connection: psycopg.Connection, migrations: Sequence[Migration] = ()) -> str:
    """What `recover` would make of it, in a line. `migrations`: the files, to tell what statements leave."""
    found = journal.unfinished(connection)
    if not found:
        return "no deployment is under way: there is nothing to cancel"
    deployment = found[0]
    steps = journal.steps(connection, deployment.id)
    now = UnderWay(
        journal.migrations(connection, deployment.id),
        tuple(e.id for e in ledger.entries(connection) if e.deployment_id == deployment.id),
        {p.migration: p for p in journal.proofs(connection, deployment.id)},
        half_done(connection, deployment, migrations),
        journal.is_rolling_back(connection, deployment),
        _reverted(steps),
    )
    return f"deployment {deployment.id}: {foretell(now)}"


def half_done(
    connection: psycopg.Connection, deployment: Deployment, migrations: Sequence[Migration]
) -> tuple[HalfDone, ...]:
    """The non-transactional files of a deployment that are begun and not finished."""
    steps = journal.steps(connection, deployment.id)
    whole = {*(e.id for e in ledger.entries(connection)), *_reverted(steps)}
    return tuple(_half_done(steps, whole, {m.id: m for m in migrations}))


def foretell(now: UnderWay) -> str:
    """The end of it if it is interrupted now, from its plan, what is committed of it, and what was proven."""
    if not now.planned:
        return "a person's revert or repair; what it has committed stays, and recover only closes it"
    return _rolling_back(now) + "; ".join((*_outside(now), *_committed(now)))


def _rolling_back(now: UnderWay) -> str:
    if not now.rolling_back:
        return ""
    done = f" ({', '.join(now.reverted)} reverted)" if now.reverted else ""
    return f"its roll back is under way{done}; a cancel leaves it to recover; "


def _outside(now: UnderWay) -> Iterator[str]:
    """About statements that no abort takes back."""
    for file in now.half_done:
        count = f"{file.statements} statement{'s' if file.statements > 1 else ''} of {file.migration}"
        if file.for_a_person:
            yield f"{count} ran outside a transaction, and a person would have to decide about {file.for_a_person[0]}"
        else:
            yield f"{count} ran outside a transaction; recover would take away what is left of them"


def _committed(now: UnderWay) -> Iterator[str]:
    if not now.applied:
        if not now.half_done:
            yield "nothing is committed" + (
                "" if now.rolling_back else " yet; a cancel takes the open transaction back and loses nothing"
            )
        return
    if set(now.planned) <= set(now.applied):
        yield "everything is committed; recover would verify and finish it"
        return
    count = f"{len(now.applied)} of {len(now.planned)} migrations are committed"
    unproven = [m for m in now.applied if m not in now.proofs or now.proofs[m].licence is not Licence.EXACT]
    if unproven:
        yield f"{count}, and a person would have to decide about {', '.join(unproven)}: no exact revert is proven"
    else:
        yield f"{count}; recover would revert them, unless something written since would be lost"


def _reverted(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(s.migration for s in steps if s.direction == "revert" and s.statement is None)


def _half_done(steps: Sequence[Step], whole: set[str], migrations: Mapping[str, Migration]) -> Iterator[HalfDone]:
    """The files of which statements ran and that are neither applied nor reverted, in order."""
    ran = [s for s in steps if s.direction == "deploy" and s.statement is not None and s.migration not in whole]
    for name in dict.fromkeys(step.migration for step in ran):
        ours = [step for step in ran if step.migration == name]
        yield HalfDone(name, len(ours), tuple(_for_a_person(ours, migrations.get(name))))


def _for_a_person(steps: Sequence[Step], migration: Migration | None) -> Iterator[str]:
    for step in steps:
        statements = migration.deploy.statements if migration else ()
        if migration is None or step.statement is None or step.statement >= len(statements):
            yield f"{step.migration}, whose file is not there"
        elif debris.needs_person(statements[step.statement], step.status):
            statement = statements[step.statement]
            yield f"{place(migration.deploy, statement)} ({statement.kind})"
