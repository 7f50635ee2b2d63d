"""The plain values that travel between the capabilities.

Everything here is frozen and free of effects: a plan, a trace, a proof is decided on by pure functions and shown by the
reports. Durations are seconds as float, sizes are bytes as int, times are timezone-aware datetimes in UTC. A relation
is named `schema.name`, each part quoted as PostgreSQL's quote_ident would (so the name can be put into SQL as it is).
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


# -- what is on disk ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement of a script: its text without the semicolon, its parse node (`CreateStmt`), and its place."""

    sql: str
    kind: str
    line: int
    offset: int
    concurrent: bool = False  # may not run inside a transaction block


@dataclass(frozen=True, slots=True)
class Script:
    """One SQL file. `sha256` is of its raw bytes, `tree_hash` of its parse tree: comments and layout do not count."""

    path: Path
    text: str = field(repr=False)
    sha256: str
    tree_hash: str
    statements: tuple[Statement, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Migration:
    """A folder `NNNN_name` with deploy.sql and, where they exist, revert.sql, verify.sql and lossless.sql.

    `loses` is the author's own statement, in the header of deploy.sql, of what a revert cannot bring back.
    """

    id: str
    number: int
    requires: tuple[str, ...]
    transactional: bool
    loses: str | None
    deploy: Script
    revert: Script | None
    verify: Script | None
    lossless: Script | None


# -- what the target says ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One applied migration as the target's ledger has it; `position` is the order of application, from 1."""

    id: str
    position: int
    sha256: str
    tree_hash: str
    deployment_id: str
    applied_at: datetime
    applied_by: str


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What identifies a database: a restored copy differs in `system_identifier` or in `database_oid`."""

    version_num: int  # 180004
    system_identifier: str
    database: str
    database_oid: int
    timeline: int
    user: str
    is_superuser: bool
    in_recovery: bool
    bootstrap: str = "postgres"  # the superuser that initdb made; PostgreSQL makes it the owner of some objects

    @property
    def major(self) -> int:
        """The major version, 18 for 18.4."""
        return self.version_num // 10_000

    @property
    def minor(self) -> int:
        """The release within it, 4 for 18.4."""
        return self.version_num % 10_000


# -- the plan ----------------------------------------------------------------------------------------------------------
class Severity(enum.StrEnum):
    """How much a finding weighs: an error stops the plan, a warning is shown, a note is kept."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing said about a migration's file, a guard's question or a rehearsal, with what to do about it."""

    rule: str
    severity: Severity
    message: str
    hint: str = ""
    migration: str | None = None
    path: Path | None = None
    line: int | None = None
    column: int | None = None
    excerpt: str = ""  # the SQL line with a caret under it


@dataclass(frozen=True, slots=True)
class Plan:
    """Pending migrations in the order they will run, with what was found about them."""

    pending: tuple[Migration, ...]
    applied: tuple[LedgerEntry, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def hash(self) -> str:
        """SHA-256 over the ordered (id, SHA-256 of deploy.sql) of what is pending: what an approval is bound to."""
        lines = "".join(f"{m.id} {m.deploy.sha256}\n" for m in self.pending)
        return hashlib.sha256(lines.encode()).hexdigest()


# -- the catalog -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Change:
    """The difference between two fingerprints: object identity → (definition before, after), None for absent."""

    objects: Mapping[str, tuple[str | None, str | None]]

    def __bool__(self) -> bool:
        return bool(self.objects)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The catalog outside our own schema: `kind:identity` → canonical definition text."""

    objects: Mapping[str, str] = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 over the sorted (identity, definition) pairs, in hex."""
        sha = hashlib.sha256()
        for identity in sorted(self.objects):
            sha.update(f"{identity}\x1f{self.objects[identity]}\x1e".encode())
        return sha.hexdigest()

    def names(self, kind: str) -> frozenset[str]:
        """The identities of one kind of object, `table` for instance, without that word."""
        return frozenset(n.removeprefix(f"{kind}:") for n in self.objects if n.startswith(f"{kind}:"))

    def change_to(self, after: Fingerprint) -> Change:
        """What turned this fingerprint into `after`, object by object; empty when they are equal."""
        names = self.objects.keys() | after.objects.keys()
        pairs = {n: (self.objects.get(n), after.objects.get(n)) for n in sorted(names)}
        return Change({n: (a, b) for n, (a, b) in pairs.items() if a != b})


# -- the rehearsal -----------------------------------------------------------------------------------------------------
class Licence(enum.StrEnum):
    """What a rehearsal allows a revert to do unattended: only EXACT (catalog and content came back as before)."""

    EXACT = "exact"
    WEAKER = "weaker"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class LockSeen:
    """A lock the observer saw: the relation, the mode as pg_locks names it, whether the relation was there before."""

    relation: str
    mode: str
    preexisting: bool


@dataclass(frozen=True, slots=True)
class TracedStatement:
    """One statement of the rehearsal as it was measured on the copy."""

    migration: str
    index: int
    line: int
    kind: str
    sql: str
    seconds: float
    rows: int
    wal_bytes: int
    locks: tuple[LockSeen, ...] = ()
    rewrites: tuple[str, ...] = ()
    scans: tuple[tuple[str, int], ...] = ()  # relation, tuples read by sequential scans


@dataclass(frozen=True, slots=True)
class HeldLock:
    """How long the strongest lock on a relation that was there before was held, to the end of its transaction."""

    relation: str
    mode: str
    seconds: float


@dataclass(frozen=True, slots=True)
class MigrationProof:
    """What the rehearsal found out about one migration: its licence with the reasons, its cost and its locks.

    `locks` are what production takes first, in that order: pre-existing tables only, strongest mode each.
    `created_content` is the content after `up` of each table the migration created: relation → (rows, hash).
    `change` is what `up` alone did to the catalog, and `revert_sha256` the SHA-256 of the revert script that was run:
    on the target that script and no other must undo exactly that change. Where either is missing no revert runs
    unattended.
    """

    migration: str
    licence: Licence
    reasons: tuple[str, ...]
    seconds_up: float
    seconds_down: float | None
    wal_bytes: int
    locks: tuple[HeldLock, ...]
    created_content: Mapping[str, tuple[int, str]]
    change: Change | None = None
    revert_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The whole proof: bound to plan, fingerprint at the start, and the backup it restored (None: from empty).

    `expected` is the change of fingerprint the target must show afterwards, object by object.
    `complete` is False for a weaker rehearsal (another major, no data): it gives no licences.
    """

    plan_hash: str
    backup_id: str | None
    server_version: int
    fingerprint_before: str
    expected: Change
    proofs: tuple[MigrationProof, ...]
    statements: tuple[TracedStatement, ...]
    seconds: float
    complete: bool = True
    notes: tuple[str, ...] = ()

    def proof(self, migration: str) -> MigrationProof | None:
        """The proof of one migration, None where the rehearsal did not reach it."""
        return next((p for p in self.proofs if p.migration == migration), None)


# -- backups -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class RelationContent:
    """What one table held in the backup's snapshot: rows, and a content hash that does not depend on row order."""

    relation: str
    rows: int
    hash: str
    method: str  # which hash, "sum-hashtextextended-v1"


@dataclass(frozen=True, slots=True)
class Encryption:
    """How a backup's files are encrypted, and with which key; the salt is no secret. Hexadecimal."""

    method: str
    key_id: str
    salt: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup contains. Written last, so that a folder without one is not a backup."""

    id: str
    environment: str
    created_at: datetime
    server: ServerFacts
    snapshot: str
    pg_dump_version: str
    files: Mapping[str, tuple[int, str]]  # path in the folder → bytes, SHA-256
    relations: tuple[RelationContent, ...]
    sequences: Mapping[str, int]
    fingerprint: str
    database_bytes: int
    seconds: float
    large_objects: int = 0
    xid: int | None = None  # the oldest transaction its snapshot may not see (64 bits); None: made by an older program
    large_object_hash: str | None = None  # of their content; None: made by an older program
    encryption: Encryption | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup: the folder and its manifest."""

    path: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        """The backup's name, sortable by time: `20260607T143000Z-4f2a`."""
        return self.manifest.id


# -- the deployment ----------------------------------------------------------------------------------------------------
class DeploymentStatus(enum.StrEnum):
    """Where a deployment stands in the journal. Only RUNNING is unfinished."""

    RUNNING = "running"
    DONE = "done"
    ROLLED_BACK = "rolled_back"
    PERSON_NEEDED = "person_needed"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment as its journal row has it. `epoch` fences: a runner with an older epoch can commit nothing."""

    id: str
    epoch: int
    status: DeploymentStatus
    plan_hash: str
    atomic: str  # "deployment" or "migration"
    fingerprint_before: str
    backup_id: str | None
    runner: str
    started_at: datetime
    finished_at: datetime | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """What one deployment committed: the ids in order, how long it took, and how often it had to wait for locks."""

    deployment_id: str
    migrations: tuple[str, ...]
    seconds: float
    lock_attempts: int = 1


@dataclass(frozen=True, slots=True)
class RolledBack:
    """How a failed deployment ended: the rung of the ladder, what was reverted, whether the catalog is as before."""

    deployment_id: str
    rung: str  # "abort", "cleaned", "reverted"
    reverted: tuple[str, ...]
    fingerprints_equal: bool
    message: str


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the journal's steps: a migration (statement None) or one statement of a non-transactional file."""

    deployment_id: str
    migration: str
    direction: str  # "deploy" or "revert"
    statement: int | None
    status: str  # "started", "done" or "failed"
    sql_sha256: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A deployment that has begun: its journal row, and the target's catalog as it was before."""

    deployment: Deployment
    before: Fingerprint = field(repr=False)


class Known(enum.StrEnum):
    """How far the name on an approval is to be believed."""

    SIGNED_IN = "signed in to Prefect"
    TYPED = "name as typed into the form"
    TERMINAL = "on the terminal, by this login"
    IN_ADVANCE = "in advance, by starting the run so"


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes to one plan on one catalog: those of the proof or the journal row it stands in."""

    by: str
    known: Known
    reason: str = ""


class Event(enum.StrEnum):
    """What happens to a deployment, or to an environment, that somebody may want to hear of."""

    STARTED = "started"
    PERSON_NEEDED = "person_needed"  # to approve, to decide, or to look because nobody knows how it ended
    DONE = "done"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"  # refused, or failed before there was anything to roll back
    ALERT = "alert"  # a health check that is not well, for as long as its rule asks
    ALERT_OVER = "alert_over"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a deployment rests on: the plan, the backup it was rehearsed on, and what the rehearsal showed.

    `approval` is there once a person said yes; the environment may ask for none.
    """

    plan: Plan
    backup: Backup
    rehearsal: Rehearsal
    approval: Approval | None = None

    @property
    def predicted_seconds(self) -> float:
        """How long the migrations took on the copy: what the guard's window is asked for."""
        return sum(p.seconds_up for p in self.rehearsal.proofs)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a deployment ended, with everything a report needs. `problem` is the one-line reason of a failure."""

    environment: str
    deployment: Deployment
    proof: Proof
    applied: Applied | None = None
    rolled_back: RolledBack | None = None
    problem: str = ""
    at_risk: tuple[str, ...] = ()
