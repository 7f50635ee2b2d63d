"""A pool of a tier's size: borrow, act as a tenant, give back; and what it says about itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from wedsync_db.errors import Unreachable, UsageError
from wedsync_db.monitor.metrics import Metric
from wedsync_db.pool.connections import PREPARE_AFTER, Connection, require_alive
from wedsync_db.pool.figures import figures
from wedsync_db.pool.ledger import Ledger, Report, log_leak
from wedsync_db.pool.opening import plain, stands_behind_a_pooler, with_settings
from wedsync_db.pool.tiers import TIERS, Tier, TierName
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.session import Address, cancel_running

SETTINGS = MappingProxyType({"statement_timeout": "30s", "lock_timeout": "2s"})
LATE_SECONDS = 30.0
_RECONNECT_SECONDS = 10.0  # tries to connect wait longer each time: so a server that is back is used within ten seconds
_NONE: Mapping[str, str] = MappingProxyType({})
_ALL_OUT = "Give them back sooner: look for who keeps one (the log wedsync_db.pool), or for what makes queries slow"
_NOT_ALL_OUT = "No more could be opened in time: the log psycopg.pool says what the server answered"


@contextmanager
def open_pool(
    address: Address,
    tier: TierName | Tier,
    *,
    application: str = "wedsync",
    pooled: bool | None = None,
    settings: Mapping[str, str] = SETTINGS,
    late_seconds: float = LATE_SECONDS,
    report: Report = log_leak,
) -> Iterator[Pool]:
    """A pool for as long as the block lasts; its sessions are called `<application>/<tier>`.

    Args:
        address: The database, or a pooler before it. The role that logs in; it takes on others in `transaction`.
        tier: Its limits, by name or as they are.
        application: What the sessions are called first.
        pooled: Whether a pooler such as pgbouncer stands in between; asked where it is None.
        settings: Of each session, as they are at the start of every borrow. A pooler takes none: give them to the role
            there, by ALTER ROLE … SET.
        late_seconds: A connection that is out for longer is reported, once, and again when it comes back.
        report: Gets what is late; the log by default.

    Raises:
        Unreachable: nobody answers at the address, or does not let us in.
        UsageError: the address takes on a role at login, which a reset would take away.
    """
    limits = TIERS[tier] if isinstance(tier, str) else tier
    if address.role or address.session_authorization:
        raise UsageError("a pool logs in as the role of its address", hint="Give the other role to each transaction")
    name = f"{application}/{limits.name}"
    between = stands_behind_a_pooler(address, name) if pooled is None else pooled
    pool = Pool(address, limits, name, Ledger(limits.name, late_seconds, report), None if between else settings)
    pool.open()
    try:
        yield pool
    finally:
        pool.close()


class Pool:
    """Connections of one tier. Made by `open_pool`; for any number of threads.

    Every borrow is one transaction: committed at the end of the block, rolled back when it raises. What a borrower set,
    created or locked in the session is gone when the next one has it, behind a transaction pooler too.
    """

    def __init__(
        self, address: Address, tier: Tier, name: str, ledger: Ledger, settings: Mapping[str, str] | None
    ) -> None:
        self.tier = tier
        self.pooled = settings is None  # a pooler stands before the server
        self._ledger = ledger
        where = plain(address, name) if settings is None else with_settings(address, name, settings)
        self._pool = _Connections(
            where,
            connection_class=Connection,
            # a pooler before pgbouncer 1.21 knows nothing of prepared statements, and none says which it is
            kwargs={"prepare_threshold": None if self.pooled else PREPARE_AFTER},
            min_size=tier.kept,
            max_size=tier.size,
            open=False,
            name=name,
            configure=lambda connection: connection.get_ready(behind_pooler=self.pooled),
            check=self._check,
            timeout=tier.patience_seconds,
            max_waiting=tier.queue,
            max_idle=tier.idle_seconds,
            max_lifetime=tier.lifetime_seconds,
            reconnect_timeout=_RECONNECT_SECONDS,
        )

    def open(self) -> None:
        """Connect.

        Raises:
            Unreachable: it did not get the tier's first connections in time.
        """
        try:
            self._pool.open(wait=True, timeout=self.tier.patience_seconds * 2)
        except PoolTimeout:
            raise Unreachable(
                f"pool {self.tier.name}: {self.tier.kept} connections could not be opened",
                hint="The log psycopg.pool says what the server answered",
            ) from None
        self._ledger.start()

    def close(self) -> None:
        """Close; connections that are out are closed when they come back."""
        self._ledger.stop()
        self._pool.close()

    @contextmanager
    def connection(self, *, timeout: float | None = None) -> Iterator[Connection]:
        """Borrow a connection for a block, which is one transaction.

        Args:
            timeout: How many seconds to wait for one; the tier's patience without it.

        Raises:
            Unreachable: none was to be had in time, or too many wait already.
            InFailedSqlTransaction: a statement failed and the block ended as if nothing were: it is rolled back.
        """
        connection, number = self._borrowed(timeout)
        try:
            with connection:
                yield connection
                _require_sound(connection)
        except BaseException:
            cancel_running(connection)
            raise
        finally:
            self._ledger.take_back(number)
            self._give_back(connection)

    @contextmanager
    def transaction(
        self, *, role: str | None = None, settings: Mapping[str, str] = _NONE, timeout: float | None = None
    ) -> Iterator[Connection]:
        """Borrow one and act for a tenant: a role and settings such as request.jwt.claims, until the block ends.

        Raises:
            Unreachable: none was to be had in time, or too many wait already.
        """
        given = dict(settings) | ({"role": role} if role else {})  # the role last: it may set less
        with self.connection(timeout=timeout) as connection:
            if given:
                connection.execute(query("pool", "act_as"), {"names": list(given), "values": list(given.values())})
            yield connection

    def metrics(self) -> Mapping[Metric, float | None]:
        """What there is to know about it now, as series with the label `pool`: for `openmetrics`."""
        return figures(self.tier, self._pool.get_stats(), self._ledger.usage())

    def _borrowed(self, timeout: float | None) -> tuple[Connection, int]:
        asked = time.monotonic()
        try:
            connection = self._pool.getconn(timeout)
        except (PoolTimeout, TooManyRequests, PoolClosed) as error:
            self._ledger.waited_in_vain(asked)
            raise self._none_to_be_had(error, time.monotonic() - asked) from None
        return connection, self._ledger.lend(None if self.pooled else connection.info.backend_pid, asked)

    def _give_back(self, connection: Connection) -> None:
        """Into the pool as new, or closed where it cannot be: whoever has it next must not find anything."""
        as_new = False
        try:
            with suppress(psycopg.Error):
                connection.leave_nothing()
                as_new = True
        finally:
            if not as_new:
                connection.close()
            self._pool.putconn(connection)

    def _none_to_be_had(self, error: Exception, waited: float) -> Unreachable:
        why = f"none came free in {waited:.1f} s"
        if isinstance(error, TooManyRequests):
            why = f"{self.tier.queue} requests wait already"
        elif isinstance(error, PoolClosed):
            why = "it is closed"
        out = self._ledger.usage().borrowed
        hint = _ALL_OUT if out >= self.tier.size else _NOT_ALL_OUT
        return Unreachable(f"pool {self.tier.name}: {why}; {out} of {self.tier.size} are borrowed", hint=hint)

    def _check(self, connection: Connection) -> None:
        try:
            require_alive(connection)
        except psycopg.OperationalError:
            # most likely all were lost with it: found out one by one, each would make its borrower wait longer
            self._pool.check()
            raise


class _Connections(ConnectionPool[Connection]):
    """psycopg's pool, which would ask the server about every idle connection to find those that it ended."""

    @staticmethod
    def check_connection(conn: Connection) -> None:
        """Look at its socket."""
        require_alive(conn)


def _require_sound(connection: Connection) -> None:
    if connection.info.transaction_status is TransactionStatus.INERROR:
        raise psycopg.errors.InFailedSqlTransaction("a statement failed, so the transaction is rolled back")
