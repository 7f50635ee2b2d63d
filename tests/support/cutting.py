"""A deployment to try networks on: prepared and rehearsed once on each server, then run on copies of its database."""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from tests.support.broken import lay_base, planted
from tests.support.case import Case, database, environ_of, write_settings
from tests.support.proxy import through
from tests.support.reader import Readings, reading
from tests.support.tcp_server import by_tcp, listening
from tests.support.writer import Acknowledged, writing
from wedsync_db.backup.dump import create_backup
from wedsync_db.errors import WedsyncError
from wedsync_db.home import Home
from wedsync_db.installation import CHECKOUT, Installation
from wedsync_db.migrate import deployment, journal, ledger
from wedsync_db.migrate.prove import prove
from wedsync_db.migrate.recover import recover
from wedsync_db.migrate.roll_back import roll_back
from wedsync_db.model import Change, Plan, Rehearsal, RelationContent
from wedsync_db.postgres import fingerprint
from wedsync_db.postgres.cluster import Cluster
from wedsync_db.postgres.content import measure, tables
from wedsync_db.postgres.locks import announce, target_lock
from wedsync_db.postgres.session import Address, session
from wedsync_db.report.errors import unexpected
from wedsync_db.settings import Environment

LOCKS = "poll_seconds = 5\nlock_timeout_ms = 1000\nattempts = 2\nstatement_timeout_ms = 60000\nroll_back_seconds = 60"
ORPHANS_SECONDS = 10.0  # more than any of them may live after its runner
_NOT_REHEARSED = Rehearsal("", None, 0, "", Change({}), (), (), 0.0)
_OURS = (
    "select application_name from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and"
    " application_name like 'wedsync-db/%' and application_name not in ('wedsync-db/writer', 'wedsync-db/reader')"
)
_READ = "select count(*), count(distinct name) from public.items"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class State:
    """What a target is like: its catalog, and the content of all tables but those that clients write to."""

    catalog: str
    content: tuple[RelationContent, ...]


@dataclass(frozen=True)
class Prepared:
    """A base with a plan that was rehearsed, and what the target has to be like before and after."""

    cluster: Cluster
    folder: Path
    base: Address
    environment: Environment
    plan: Plan
    rehearsal: Rehearsal
    before: State
    after: State | None = None
    passed: int = 0  # bytes of such a deployment, in both directions

    @contextmanager
    def copy(self) -> Iterator[Copy]:
        """A database like the base, with a client that writes and one that reads, both connected directly."""
        name = f"cut_{os.getpid()}_{next(_numbers)}"
        with database(self.cluster, name, self.base.dbname) as direct, reading(direct, _READ) as readings:
            with writing(direct) as acknowledged:
                yield Copy(self, direct, by_tcp(direct), acknowledged, readings)


@dataclass
class Copy:
    """One try. `direct` is the path that always works, `tcp` the one to put a proxy into."""

    prepared: Prepared
    direct: Address
    tcp: Address
    acknowledged: Acknowledged
    readings: Readings
    said: list[str] = field(default_factory=list)

    @property
    def admin(self) -> Address:
        return self.prepared.cluster.address(self.direct.dbname)

    def state(self) -> State:
        return state_of(self.direct)

    def deploy(self, address: Address) -> WedsyncError | None:
        """The steps that the flow's tasks call after the rehearsal; the error it ends with."""
        try:
            carry_out(address, self.prepared, self.said.append)
        except (WedsyncError, psycopg.Error) as error:
            return error if isinstance(error, WedsyncError) else unexpected(error)
        return None

    def flow(self, address: Address, patch: pytest.MonkeyPatch) -> WedsyncError | None:
        """The whole flow, from guard to report; the error it ends with."""
        from flows.deploy import deploy

        folder = self.prepared.folder
        for name, value in environ_of(folder, folder / "home", address).items():
            patch.setenv(name, value)
        result = deploy("case", return_state=True).result(raise_on_failure=False)
        if isinstance(result, BaseException) and not isinstance(result, WedsyncError):
            raise result
        return result if isinstance(result, WedsyncError) else None

    def recover(self, address: Address | None = None) -> None:
        """Once; where nothing is open it does nothing."""
        prepared = self.prepared
        recover(
            address or self.direct, prepared.plan.pending, locks=prepared.environment.locks, say=self.said.append,
            clock=lambda: datetime.now(UTC),
        )  # fmt: skip

    def ended(self) -> str:
        """Exactly before or exactly after, with journal and ledger of the same opinion, nothing lost, nobody left."""
        orphans = no_orphans(self.admin)
        assert not orphans, orphans
        now = self.state()
        with session(self.direct, "test") as connection:
            assert self.acknowledged.lost(connection) == []
            assert journal.unfinished(connection) == ()
            applied = {e.id for e in ledger.entries(connection)} & {m.id for m in self.prepared.plan.pending}
            statuses = [row[0] for row in connection.execute(_STATUSES).fetchall()]
        assert self.readings.errors == []
        assert self.readings.seen <= {(500, 500)}
        if now == self.prepared.before:
            assert not applied
            assert "done" not in statuses
            return "before"
        assert applied == {m.id for m in self.prepared.plan.pending}
        assert statuses == ["done"], statuses
        assert now == self.prepared.after
        return "after"


_STATUSES = (
    "select status from wedsync_db.deployment where database_oid ="
    " (select oid from pg_database where datname = current_database())"
)


@contextmanager
def prepare(cluster: Cluster, folder: Path, home: Path, name: str = "base") -> Iterator[Prepared]:
    """The base with 500 items; pending are a table, an index made apart, and one that fails when the switch is on."""
    with database(cluster, name) as address:
        (folder / "migrations").mkdir(parents=True)
        write_settings(folder, locks=LOCKS)
        installation = Installation(CHECKOUT, dict(environ_of(folder, home, address)))
        case = Case(folder, address, cluster.address(name), installation)
        environment = installation.environment("case")
        lay_base(case)
        apply_unrehearsed(address, environment)
        lay_pending(case)
        plan = deployment.read_plan(address, environment)
        rehearsal = _rehearse(case, environment, plan)
        prepared = Prepared(cluster, folder, address, environment, plan, rehearsal, state_of(address))
        with prepared.copy() as copy, through(copy.tcp) as (proxy, there):
            carry_out(there, prepared, print)
            after, passed = state_of(copy.direct), proxy.passed
        yield replace(prepared, after=after, passed=passed)


def lay_pending(case: Case) -> None:
    """The three migrations: two transactions with something between them that has none."""
    case.migration(
        "0002_made",
        "create table public.made_2 (id bigint primary key, name text not null);\n"
        "insert into public.made_2 select id, name from public.items;",
        "drop table public.made_2;",
        "select count(*) = 500 from public.made_2;",
    )
    case.migration(
        "0003_apart",
        "-- transaction: none\ncreate index concurrently items_apart on public.items (name);",
        "drop index public.items_apart;",
    )
    planted(case, 4)


def apply_unrehearsed(address: Address, environment: Environment) -> None:
    """Deploy what is pending, quickly: what was there before."""
    plan = deployment.read_plan(address, environment)
    opened = deployment.open_deployment(address, environment, plan, _NOT_REHEARSED, None)
    with target_lock(address, "deploy", wait_seconds=5, say=print) as lock:
        deployment.migrate(
            address, environment, plan, _NOT_REHEARSED, opened.deployment, lock.pid, between=_nothing, say=print
        )
    deployment.close_deployment(address, opened.deployment, deployment.take_fingerprint(address))


def _rehearse(case: Case, environment: Environment, plan: Plan) -> Rehearsal:
    home = case.installation.home.ensure()
    backup = create_backup(case.address, home.backups("case"), environment="case")
    return prove(
        case.address, environment, plan, backup, scratch_parent=home.scratch, clock=lambda: datetime.now(UTC),
        say=_quiet, progress=_quiet,
    )  # fmt: skip


def carry_out(address: Address, prepared: Prepared, say: Callable[[str], None]) -> None:
    """What flows/deploy.py does once everything is rehearsed, without Prefect."""
    environment, plan, rehearsal = prepared.environment, prepared.plan, prepared.rehearsal
    with announce(address), target_lock(address, "deploy", wait_seconds=5, say=say) as lock:
        opened = deployment.open_deployment(address, environment, plan, rehearsal, None)
        try:
            deployment.migrate(
                address, environment, plan, rehearsal, opened.deployment, lock.pid, between=_nothing, say=say
            )
            after = deployment.verify(address, opened, rehearsal)
        except (WedsyncError, psycopg.Error) as error:
            say(f"failed: {error}")
            roll_back(
                address, opened.deployment, plan.pending, rehearsal.proofs, locks=environment.locks, say=say,
                lock_pid=lock.pid, before=opened.before,
            )  # fmt: skip
            raise
        deployment.close_deployment(address, opened.deployment, after)


def state_of(address: Address) -> State:
    """Without the tables that the clients write to."""
    with session(address, "test") as connection:
        names = [name for name in tables(connection) if name not in ("public.writes", "public.switch")]
        content = tuple(measure(connection, name) for name in names if not name.startswith("wedsync_db."))
        return State(fingerprint.take(connection).digest, content)


def no_orphans(admin: Address) -> Sequence[tuple[str]]:
    """Sessions of the runner that live on, after all the time they may take to end."""
    deadline = time.monotonic() + ORPHANS_SECONDS
    with session(admin, "test") as connection:
        while found := connection.execute(_OURS).fetchall():
            if time.monotonic() > deadline:
                return found
            time.sleep(0.05)
            connection.execute("select pg_stat_clear_snapshot()")
    return []


def home_at(folder: Path) -> Path:
    """A state folder that the servers' account can reach."""
    folder.chmod(0o711)
    return Home(folder / "home").ensure().path


def _nothing() -> None:
    pass


def _quiet(_: object) -> None:
    pass


@pytest.fixture(scope="session")
def prepared_on():
    """A server that listens on TCP and a rehearsed deployment on it, for each major: `prepared_on(18)`."""
    with ExitStack() as stack:
        made: dict[int, Prepared] = {}

        def get(major: int) -> Prepared:
            if major not in made:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wedsync-cut-")))
                cluster = stack.enter_context(listening(major))
                made[major] = stack.enter_context(prepare(cluster, folder, home_at(folder)))
            return made[major]

        yield get


@pytest.fixture
def copy(prepared_on, major) -> Copy:
    with prepared_on(major).copy() as copy:
        yield copy
