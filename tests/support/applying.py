"""Migrations on disk and a deployment in the journal, to try `apply` and its parts on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from wedsync_db.migrate import apply as applying
from wedsync_db.migrate import journal, ledger
from wedsync_db.migrate.files import read_migrations
from wedsync_db.model import (
    Applied,
    Change,
    Deployment,
    HeldLock,
    Licence,
    Migration,
    MigrationProof,
    Plan,
    Rehearsal,
    Script,
)
from wedsync_db.postgres.parse import parse
from wedsync_db.postgres.session import Address, session
from wedsync_db.settings import LockSettings

# budgets that a test can wait for
QUICK = LockSettings(poll_seconds=0.3, lock_timeout_ms=50, attempts=2, statement_timeout_ms=20_000, roll_back_seconds=0)


@dataclass
class Target:
    """`write` puts migrations on disk, `begin` opens a deployment for what is pending, `apply` runs it."""

    address: Address
    folder: Path
    deployment: Deployment | None = None
    said: list[str] = field(default_factory=list)

    def write(self, name: str, deploy: str, verify: str | None = None) -> None:
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        (path / "deploy.sql").write_text(deploy)
        (path / "revert.sql").write_text("select 1;\n")
        if verify is not None:
            (path / "verify.sql").write_text(verify)

    def plan(self) -> Plan:
        migrations, findings = read_migrations(self.folder)
        assert not findings, findings
        there = set(self.applied())
        return Plan(tuple(m for m in migrations if m.id not in there), ())

    def begin(self, proofs: tuple[MigrationProof, ...] = ()) -> Deployment:
        rehearsal = Rehearsal("", None, 0, "", Change({}), proofs, (), 0.0)
        with session(self.address, "test") as connection:
            ledger.install(connection)
            self.deployment = journal.begin(
                connection, plan=self.plan(), atomic="deployment", fingerprint_before="before",
                backup_id=None, runner="test", rehearsal=rehearsal,
            )  # fmt: skip
        return self.deployment

    def apply(self, **more) -> Applied:
        given = {
            "proofs": (), "atomic": "deployment", "locks": QUICK, "lock_pid": None, "between": lambda: None,
            "say": self.said.append, **more,
        }  # fmt: skip
        deployment = given.pop("deployment", None) or self.deployment or self.begin()
        return applying.apply(self.address, self.plan(), deployment, **given)

    def applied(self) -> list[str]:
        with session(self.address, "test") as connection:
            return [e.id for e in ledger.entries(connection)]

    def steps(self) -> list[tuple]:
        with session(self.address, "test") as connection:
            found = journal.steps(connection, self.deployment.id)
        return [(s.migration, s.statement, s.status) for s in found]

    def sql(self, statement: str, *values) -> list[tuple]:
        with session(self.address, "test") as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def exists(self, relation: str) -> bool:
        return self.sql("select to_regclass(%s) is not null", relation)[0][0]


def migration(name: str, sql: str, *, transactional: bool = True, verify: str | None = None) -> Migration:
    """A migration that is nowhere on disk."""
    check = script(f"{name}/verify.sql", verify) if verify else None
    number = int(name.split("_", maxsplit=1)[0])
    return Migration(name, number, (), transactional, None, script(f"{name}/deploy.sql", sql), None, check, None)


def script(path: str, sql: str) -> Script:
    """A script that is nowhere on disk."""
    parsed = parse(sql)
    return Script(Path(path), sql, "0" * 64, parsed.tree_hash, parsed.statements)


def proof(name: str, *locks: tuple[str, str], seconds: float = 0.0) -> MigrationProof:
    """What a rehearsal says about locks and time, and nothing else."""
    held = tuple(HeldLock(relation, mode, seconds) for relation, mode in locks)
    return MigrationProof(name, Licence.EXACT, (), seconds, None, 0, held, {})
