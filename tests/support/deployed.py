"""A target with migrations deployed the way a deployment does it, and with proofs as a rehearsal would make them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from wedsync_db.errors import MigrationFailed
from wedsync_db.migrate import journal, ledger
from wedsync_db.migrate.apply import apply
from wedsync_db.migrate.execute import NO_WATCH
from wedsync_db.migrate.files import read_migrations
from wedsync_db.migrate.run import Run
from wedsync_db.model import Change, Deployment, Fingerprint, Licence, Migration, MigrationProof, Plan, Rehearsal
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.content import measure, tables
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import LockSettings

QUICK = LockSettings(
    poll_seconds=0.2, lock_timeout_ms=100, attempts=2, statement_timeout_ms=20_000, roll_back_seconds=0
)


@dataclass
class Deployed:
    """`add` writes migrations; `deploy` commits the first `only` of them in a deployment that is not finished."""

    address: Address
    folder: Path
    said: list[str] = field(default_factory=list)
    before: Fingerprint | None = None
    deployment: Deployment | None = None
    proofs: dict[str, MigrationProof] = field(default_factory=dict)

    def add(self, name: str, deploy: str, revert: str | None = "select 1;", **more: str) -> Migration:
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        for kind, text in {"deploy": deploy, "revert": revert, **more}.items():
            if text is not None:
                (path / f"{kind}.sql").write_text(text + "\n")
        return next(m for m in self.migrations if m.id == name)

    @property
    def migrations(self) -> tuple[Migration, ...]:
        found, findings = read_migrations(self.folder)
        assert not findings, findings
        return found

    def deploy(
        self, *, only: int | None = None, atomic: str = "migration", prove: bool = True, **proof: object
    ) -> Deployment:
        pending = self.migrations
        with session(self.address, "test") as connection:
            ledger.install(connection)
            self.before = fingerprint.take(connection)
            proofs = self._prove(connection, pending) if prove else []
            self.proofs = {p.migration: replace(p, **proof) for p in proofs}
            rehearsed = Rehearsal("", None, 0, "", Change({}), tuple(self.proofs.values()), (), 0.0)
            self.deployment = journal.begin(
                connection, plan=Plan(pending, ()), atomic=atomic, fingerprint_before=self.before.digest,
                backup_id=None, runner="test", rehearsal=rehearsed,
            )  # fmt: skip
        if only != 0:
            self.apply(pending[:only])
        return self.deployment

    def deploy_failing(self) -> None:
        """A deployment that a statement stops; what fails cannot be rehearsed either."""
        with pytest.raises(MigrationFailed):
            self.deploy(prove=False)

    def apply(self, pending: tuple[Migration, ...]) -> None:
        apply(
            self.address, Plan(pending, ()), self.deployment, proofs=(), atomic=self.deployment.atomic, locks=QUICK,
            lock_pid=None, between=lambda: None, say=self.said.append,
        )  # fmt: skip

    def run(self, *, lock_pid: int | None = None, locks: LockSettings = QUICK) -> Run:
        return Run(
            self.address, self.deployment, self.proofs, locks, lock_pid, lambda: None, NO_WATCH, self.said.append, (),
            random.Random(1),
        )  # fmt: skip

    def applied(self) -> list[str]:
        with session(self.address, "test") as connection:
            return [e.id for e in ledger.entries(connection)]

    def catalog(self) -> Fingerprint:
        with session(self.address, "test") as connection:
            return fingerprint.take(connection)

    def sql(self, statement: str) -> list[tuple]:
        with session(self.address, "test") as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def status(self) -> str:
        return self.sql(f"select status from wedsync_db.deployment where id = '{self.deployment.id}'")[0][0]

    @staticmethod
    def _prove(connection, pending) -> list[MigrationProof]:
        """What each does to the catalog and leaves in new tables, found out in a transaction that is taken back."""
        with connection.transaction(force_rollback=True):
            return [_prove_one(connection, m) for m in pending]


def _prove_one(connection, migration: Migration) -> MigrationProof:
    before, there = fingerprint.take(connection), tables(connection)
    for statement in migration.deploy.statements:
        connection.execute(statement.sql.replace(" concurrently", "").encode())
    content = [measure(connection, name) for name in tables(connection) if name not in there]
    return MigrationProof(
        migration.id, Licence.EXACT, (), 0.0, 0.0, 0, (), {c.relation: (c.rows, c.hash) for c in content},
        before.change_to(fingerprint.take(connection)), migration.revert.sha256 if migration.revert else None,
    )  # fmt: skip
