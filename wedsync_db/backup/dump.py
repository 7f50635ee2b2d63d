"""Makes a backup: pg_dump and the manifest's queries look at the same snapshot, at the same time."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from wedsync_db.backup.client import CONNECTION, programs_for, running
from wedsync_db.backup.encryption import METHOD, Cipher, encrypt_files
from wedsync_db.backup.keys import Key
from wedsync_db.backup.parallel import spread
from wedsync_db.backup.pieces import in_pieces, put_together, share_measured
from wedsync_db.backup.roles import roles_script
from wedsync_db.backup.server_globals import Globals, dump_globals, read_globals
from wedsync_db.backup.snapshot import LOCK_WAIT_MS, exported, importing
from wedsync_db.backup.store import DATA, FINGERPRINT, GLOBALS, ROLES, digest_files, publish, staging, write_file
from wedsync_db.backup.watch import Copied, Weight, look, require_no_queue, share_copied, weigh
from wedsync_db.errors import BackupError
from wedsync_db.model import Backup, Encryption, Fingerprint, Manifest, RelationContent, ServerFacts
from wedsync_db.postgres.connect_errors import session_lost
from wedsync_db.postgres.content import measure_large_objects, sequences, tables
from wedsync_db.postgres.fingerprint import take
from wedsync_db.postgres.programs import Programs
from wedsync_db.postgres.queries import query
from wedsync_db.postgres.server import server_facts
from wedsync_db.postgres.session import Address, session

_TICK_SECONDS = 0.25
_SALT_BYTES = 32
_DUMP_SHARE = 0.95  # of the progress; the rest is checksums
# Fastest first, each against plain zstd: lz4 is quicker but twice as large; pg_dump's own default gzip takes 4.2 times.
# A bare number is gzip to every major.
_CODECS = (("zstd", "zstd"), ("lz4", "lz4"), ("gzip", "1"))


def nothing() -> None:
    """No check between the steps."""


def create_backup(  # noqa: PLR0913 - every one but the first three is optional
    address: Address,
    folder: Path,
    *,
    environment: str,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    jobs: int = 2,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[float], None] = lambda _: None,
    check: Callable[[], None] = nothing,
    programs: Programs | None = None,
    token: Callable[[], str] = lambda: secrets.token_hex(2),
    key: Key | None = None,
    begun: Callable[[str], None] = lambda _: None,
) -> Backup:
    """Back the whole database up into `folder`, and say in a manifest what it contains.

    An interruption at any moment leaves no backup, no program and no session behind; older backups stay as they are.

    Args:
        address: the database, as a role that sees all rows.
        folder: the environment's backups.
        environment: its name, for the manifest.
        clock: when it is.
        jobs: tables dumped, and tables measured, at the same time.
        say: gets a line when the dump starts.
        progress: gets the share done, 0 to 1.
        check: called four times a second while the dump runs; what it raises ends the backup.
        programs: the client programs; found on this machine by default.
        token: four characters that tell backups of the same second apart.
        key: what to encrypt it with. Until the dump is done its files lie, private, in the folder as they are.
        begun: gets the backup's name before anything is written under it.

    Raises:
        BackupError: the role does not see all rows, pg_dump failed, the disk is full, or others queued up behind us.
        Refused: there is no pg_dump for this server here.
        Unreachable: the server cannot be reached, or was lost.
    """
    started = clock()
    backup_id = f"{started:%Y%m%dT%H%M%SZ}-{token()}"
    begun(backup_id)
    try:
        with staging(folder, backup_id) as (place, held):
            run = _Run(address, backup_id, place, held, max(1, jobs), progress, check, _cipher(key, backup_id))
            taken = _take(run, programs, say)
            return _finish(run, taken, environment, started, clock)
    except OSError as error:
        raise BackupError(
            f"the backup could not be written: {error.strerror}",
            hint=f"Make room in {folder}; older backups are intact.",
        ) from None
    except psycopg.errors.LockNotAvailable as error:
        raise BackupError(
            f"somebody holds a table exclusively for more than {LOCK_WAIT_MS // 1000} s",
            hint="Wait for that schema change or maintenance to end, then back up again.",
            sqlstate=error.sqlstate,
        ) from None
    except psycopg.Error as error:
        raise session_lost(error) or BackupError(
            f"the backup's queries failed: {error.diag.message_primary or type(error).__name__}",
            sqlstate=error.sqlstate,
        ) from None


def _cipher(key: Key | None, backup_id: str) -> Cipher | None:
    return Cipher(key, secrets.token_bytes(_SALT_BYTES), backup_id) if key else None


@dataclass(frozen=True, slots=True)
class _Run:
    """One backup in the making: where to, with what, whom to tell."""

    address: Address
    id: str
    place: Path
    held: int
    jobs: int
    progress: Callable[[float], None]
    check: Callable[[], None]
    cipher: Cipher | None

    @property
    def purpose(self) -> str:
        """What its sessions are called, all of them, after `wedsync-db/`."""
        return f"backup-{self.id}"

    @property
    def application_name(self) -> str:
        """What the server knows its sessions by."""
        return f"wedsync-db/{self.purpose}"


@dataclass(frozen=True, slots=True)
class _Taken:
    """What the snapshot said, besides the dump itself."""

    server: ServerFacts
    snapshot: str
    program: str
    values: Globals
    sequences: Mapping[str, int]
    volume: tuple[int, int]  # bytes of the database, oldest transaction it may not see
    relations: tuple[RelationContent, ...]
    large_objects: RelationContent
    fingerprint: Fingerprint


def _take(run: _Run, programs: Programs | None, say: Callable[[str], None]) -> _Taken:
    """Open the snapshot, dump and measure it."""
    with ExitStack() as stack:
        owner, snapshot = stack.enter_context(exported(run.address, run.purpose))
        server = server_facts(owner)
        chosen = programs or programs_for(run.address, server.major)
        weights = weigh(owner, tables(owner))
        names = tuple(one.relation for one in weights)
        measuring = stack.enter_context(importing(run.address, run.purpose, snapshot, names, run.jobs if names else 1))
        # read before pg_dump reads them: a sequence does not belong to a snapshot, it may only move on from here
        last_values = sequences(owner)
        values = read_globals(owner)
        volume = owner.execute(query("backup", "volume")).fetchall()[0]
        codec, compress = next((name, option) for name, option in _CODECS if name in chosen.codecs)
        say(f"backup {run.id}: {len(names)} tables, pg_dump {chosen.major} with {codec}, {run.jobs} at a time")
        command = _command(run, chosen, snapshot, compress)
        contents = _dump_and_measure(run, command, owner, measuring, weights)
        return _Taken(server, snapshot, str(chosen.major), values, last_values, volume, *contents)


def _command(run: _Run, programs: Programs, snapshot: str, compress: str) -> list[str | Path]:
    role = [f"--role={run.address.role}"] if run.address.role else []
    return [
        programs.pg_dump,
        "--format=directory",
        f"--file={run.place / DATA}",
        f"--jobs={run.jobs}",
        f"--snapshot={snapshot}",
        f"--compress={compress}",
        f"--lock-wait-timeout={LOCK_WAIT_MS}",
        "--no-password",
        "--no-sync",  # we do, while we compute the checksums
        *role,
        f"--dbname={CONNECTION}",
    ]


def _dump_and_measure(
    run: _Run,
    command: Sequence[str | Path],
    owner: psycopg.Connection,
    measuring: Sequence[psycopg.Connection],
    weights: Sequence[Weight],
) -> tuple[tuple[RelationContent, ...], RelationContent, Fingerprint]:
    """Run pg_dump, and the manifest's queries beside it."""
    pieces = in_pieces(weights)
    with ExitStack() as stack:
        watching = stack.enter_context(_watching(run))
        waiter = stack.enter_context(ThreadPoolExecutor(1))
        rest = stack.enter_context(spread([owner], [_rest]))
        contents = stack.enter_context(spread(measuring, [one.measure for one in pieces]))
        client = stack.enter_context(running(command, run.address, run.application_name, held=(run.held,)))
        dumped = waiter.submit(client.wait)
        for copied in _until_done(run, watching, [dumped, *rest, *contents]):
            read = 1.0 if dumped.done() else share_copied(weights, copied)
            run.progress(_DUMP_SHARE * min(read, share_measured(pieces, contents)))
        return put_together(one.result() for one in contents), *rest[0].result()


def _rest(owner: psycopg.Connection) -> tuple[RelationContent, Fingerprint]:
    """What the snapshot holds beside tables."""
    return measure_large_objects(owner), take(owner)


@contextmanager
def _watching(run: _Run) -> Iterator[psycopg.Connection]:
    """A session beside the backup; when the block fails, it ends the backup's own sessions on the server."""
    with session(replace(run.address, role=None), "backup-watch") as connection:  # our login may end its own sessions
        try:
            yield connection
        except BaseException:
            with suppress(psycopg.Error):
                connection.execute(query("backup", "end_sessions"), (run.application_name,))
            raise


def _until_done(run: _Run, watching: psycopg.Connection, futures: Sequence[Future[Any]]) -> Iterator[Copied]:
    """Yield how far the dump is, four times a second, until all are done; raise what the first of them fails with."""
    copied = Copied({})
    while True:
        run.check()
        done, running = wait(futures, timeout=_TICK_SECONDS, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        if not running:
            return
        require_no_queue(watching, run.application_name)
        copied = look(watching, run.application_name, copied)
        yield copied


def _finish(run: _Run, taken: _Taken, environment: str, started: datetime, clock: Callable[[], datetime]) -> Backup:
    """Write what belongs beside the dump, compute the checksums, and give the backup its name."""
    write_file(run.place / GLOBALS, dump_globals(taken.values))
    write_file(run.place / ROLES, roles_script(taken.values, taken.server.database, taken.server.major))
    objects = json.dumps(taken.fingerprint.objects, indent=1, sort_keys=True, ensure_ascii=False)
    write_file(run.place / FINGERPRINT, objects + "\n")
    cipher = run.cipher
    files = encrypt_files(run.place, cipher, jobs=run.jobs) if cipher else digest_files(run.place)
    finished = clock()
    manifest = Manifest(
        id=run.id,
        environment=environment,
        created_at=started,
        server=taken.server,
        snapshot=taken.snapshot,
        pg_dump_version=taken.program,
        files=files,
        relations=taken.relations,
        sequences=taken.sequences,
        fingerprint=taken.fingerprint.digest,
        database_bytes=taken.volume[0],
        seconds=(finished - started).total_seconds(),
        large_objects=taken.large_objects.rows,
        xid=taken.volume[1],
        large_object_hash=taken.large_objects.hash,
        encryption=Encryption(METHOD, cipher.key.id, cipher.salt.hex()) if cipher else None,
    )
    backup = publish(run.place, manifest, cipher.seal if cipher else None)
    run.progress(1.0)
    return backup
