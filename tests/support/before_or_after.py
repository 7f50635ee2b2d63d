"""The judge of a deployment that was killed: is the target exactly before it, or exactly after it, and is all well?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import sql

from tests.support.case import Case
from tests.support.killed_plans import ANSWER, BASE, READ
from tests.support.orphans import await_no_orphans
from tests.support.reader import Readings, reading
from tests.support.runners import KILLED, NOWHERE, Boundary, Ended, Runners
from tests.support.writer import Acknowledged, writing
from wedsync_db.migrate import ledger
from wedsync_db.migrate.files import read_migrations
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.content import tables
from wedsync_db.postgres.session import session

_COUNTED = ("runners killed", "servers killed", "before", "after")


@dataclass(frozen=True)
class State:
    """All that must be as it was, or as it was to become."""

    fingerprint: str
    contents: dict[str, str]
    applied: tuple[str, ...]


@dataclass
class Killed:
    """A target that is deployed to and killed again and again, a writer and a reader at work on it."""

    case: Case
    environment: str
    runners: Runners
    acknowledged: Acknowledged
    readings: Readings
    before: State
    after: State | None = None
    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(_COUNTED, 0)))

    def run(self, job: str, boundary: Boundary = NOWHERE) -> Ended:
        """Run a job to its end, or to the boundary."""
        return self.runners.run(job, self.environment, boundary)

    def judge(self, ended: Ended, where: str) -> str:
        """After one recover, `before` or `after`; then it is before again. Anything else fails."""
        self.counts["runners killed"] += ended.code == KILLED
        recovered = self.run("recover")
        said = f"{where}\n{self.runners.log}"
        assert recovered.code == 0, f"recover failed: {said}"
        now = look(self.case)
        assert now in (self.before, self.after), f"neither before nor after: {said}\n{now}"
        end = "before" if now == self.before else "after"
        self._require_agreement(now, end, said)
        assert (lost := self.lost()) == [], f"acknowledged writes are lost: {lost}: {said}"
        assert (orphans := await_no_orphans(self.case)) == [], f"{orphans}: {said}"
        self.counts[end] += 1
        if end == "after":
            self.take_back()
        return end

    def _require_agreement(self, now: State, end: str, said: str) -> None:
        """The journal says of the newest deployment what is the case; one killed before it began is not in it."""
        row = _newest_deployment(self.case)
        if row is None:
            assert end == "before", said
            return
        expected = {"before": "rolled_back", "after": "done"}[end]
        assert row == (expected, self.before.fingerprint, now.fingerprint), f"{row}: {said}"

    def lost(self) -> list[int]:
        """Acknowledged writes that are not there."""
        with session(self.case.admin, "test") as connection:
            return self.acknowledged.lost(connection)

    def take_back(self) -> None:
        """Undo a finished deployment by hand, its rows in the journal too."""
        _by_hand(self.case)
        assert look(self.case) == self.before, "the test's own reset failed"

    def figures(self) -> dict[str, int]:
        """For the summary, once it is sure that the clients saw nothing but what they may see."""
        assert self.readings.errors == []
        assert self.readings.seen == {ANSWER}
        writes = len(self.acknowledged.values)
        kept = {"writes acknowledged": writes, "of them lost": len(self.lost()), "reads": self.readings.count}
        return {**self.counts, **kept}


@contextmanager
def killed(case: Case, environment: str, runners: Runners, lay: Callable[[Case], None]) -> Iterator[Killed]:
    """Lay out and rehearse, let writer and reader work, deploy once to see what `after` is, and take that back."""
    with session(case.address, "test") as connection:
        connection.execute(BASE)
    lay(case)
    runners.prepare(environment, case.installation.environ)
    with writing(case.address) as acknowledged, reading(case.address, READ) as readings:
        target = Killed(case, environment, runners, acknowledged, readings, look(case))
        assert target.run("carry_out").code == 0, runners.log
        target.after = look(case)
        target.take_back()
        yield target


def look(case: Case) -> State:
    """What the target is like now; the writer's table is judged by what was acknowledged."""
    with session(case.address, "test") as connection:
        digest = fingerprint.take(connection).digest
        names = (name for name in tables(connection) if name not in ("public.writes", "public.switch"))
        contents = {name: connection.execute(_content(name)).fetchone()[0] for name in names}
        return State(digest, contents, tuple(entry.id for entry in ledger.entries(connection)))


def _content(name: str) -> sql.Composed:
    """Another digest than the product's own."""
    table = sql.Identifier(*name.split("."))
    return sql.SQL("select md5(string_agg(t::text, '|' order by t::text)) from {} as t").format(table)


def _newest_deployment(case: Case) -> tuple[str, str, str] | None:
    """Status and fingerprints of the newest deployment in the journal."""
    if case.rows("select to_regclass('wedsync_db.deployment') is null")[0][0]:
        return None
    columns = "status, fingerprint_before, fingerprint_after"
    found = case.rows(f"select {columns} from wedsync_db.deployment order by started_at desc limit 1")
    return found[0] if found else None


def _by_hand(case: Case) -> None:
    """Run the reverts, newest first, and forget the deployment."""
    migrations, _ = read_migrations(case.folder / "migrations")
    with session(case.address, "test", lock_timeout_ms=0) as connection:
        applied = {entry.id for entry in ledger.entries(connection)}
        for migration in reversed([m for m in migrations if m.id in applied]):
            for statement in migration.revert.statements:
                connection.execute(statement.sql)
        connection.execute("truncate wedsync_db.ledger, wedsync_db.deployment cascade")
