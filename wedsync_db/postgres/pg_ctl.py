"""Making, starting and stopping a server of ours with the programs it comes with.

A server listens on a Unix socket in a private folder only. It lets in the operating-system users who own it, ourselves
and root (peer), and anybody with a password (scram); nobody is trusted.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from wedsync_db.errors import Refused, WedsyncError
from wedsync_db.home import check_private
from wedsync_db.postgres.account import Account, own_name, owner, server_account
from wedsync_db.postgres.session import Address

SUPERUSER = "wedsync"
DEPLOYER = "wedsync_deployer"
START_TIMEOUT_SECONDS = 60
_ORPHANS_SECONDS = 10.0
_PORT = 5432
_HBA, _IDENT = "pg_hba.conf", "pg_ident.conf"
DISK_FULL = "53100"  # the SQLSTATE, also for programs that meet it
NO_ROOM = os.strerror(errno.ENOSPC)
_NOT_FOR_PG_CTL = frozenset('"$`\\\n')  # it hands paths to a shell in double quotes
_LONGEST_SOCKET = 107  # bytes: sun_path of Linux less its final zero


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data folder, the private folder it has its socket in, and the binaries that run it."""

    data: Path
    socket: Path
    binaries: Path
    port: int = _PORT
    superuser: str = SUPERUSER

    def address(self, dbname: str = "postgres", user: str | None = None) -> Address:
        """How its superuser (or its deployer) logs in: over the socket, as the operating-system user we are (peer)."""
        return Address(str(self.socket), self.port, dbname, user or self.superuser)


def cluster_in(folder: Path, binaries: Path, superuser: str = SUPERUSER) -> Cluster:
    """The cluster of a folder, whether it exists yet or not."""
    return Cluster(folder / "data", socket_folder(folder), binaries, superuser=superuser)


def socket_folder(folder: Path) -> Path:
    """Where the socket goes: beside the data, or, that path being too long for one, in a short folder for it alone.

    A comma in the path counts as too long: libpq takes it for a list of hosts.
    """
    beside = folder / "s"
    if len(os.fsencode(beside / f".s.PGSQL.{_PORT}")) <= _LONGEST_SOCKET and "," not in str(beside):
        return beside
    return Path("/tmp") / f"wedsync-db-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"  # noqa: S108 -- start() checks whose it is


def create(folder: Path, binaries: Path, *, durable: bool = False, superuser: str = SUPERUSER) -> Cluster:
    """Make a cluster in `folder`: UTF-8, C.UTF-8, checksums.

    Where we are root its data belong to the servers' account, and the folder with the access rules stays ours: nobody
    who took over the server can make us write elsewhere.

    Raises:
        Refused: the path has a character that pg_ctl does not survive.
        WedsyncError: with the reason initdb gives.
    """
    if odd := _NOT_FOR_PG_CTL & set(str(folder)):
        raise Refused(
            f"PostgreSQL's pg_ctl cannot work in {folder}, because of {' '.join(sorted(odd))}",
            hint="Set WEDSYNC_HOME to a folder with a plainer name.",
        )
    account = server_account(folder.parent)
    cluster = cluster_in(folder, binaries, superuser)
    folder.mkdir(mode=0o700, exist_ok=True)
    cluster.data.mkdir(mode=0o700)
    if account:
        os.chown(folder, -1, account.pw_gid)
        folder.chmod(0o710)
        os.chown(cluster.data, account.pw_uid, account.pw_gid)
    sync = [] if durable else ["--no-sync"]
    run([binaries / "initdb", "-D", cluster.data, "-U", superuser, "-E", "UTF8", "--locale=C.UTF-8",
         "--data-checksums", "--auth=reject", *sync], account)  # fmt: skip
    return cluster


def start(cluster: Cluster, settings: Mapping[str, str] | None = None) -> None:
    """Start the server and wait until it answers.

    Raises:
        WedsyncError: with the reason from the server's log.
    """
    account = owner(cluster.data)
    _make_socket_folder(cluster.socket, account)
    _write_rules(cluster, account)
    _wait_for_orphans(cluster.data)
    log = cluster.data.parent / "server.log"
    known = _open_log(log, account)
    try:
        _pg_ctl(
            cluster, "-l", str(log), "-t", str(START_TIMEOUT_SECONDS), "-o", _options(cluster, settings or {}), "start"
        )
    except WedsyncError as error:
        with log.open("rb") as opened:
            opened.seek(known)
            said = opened.read().decode(errors="replace")
        stopped = failure(f"PostgreSQL did not start: {last_complaint(said) or error.message}", said)
        stopped.hint = stopped.hint or f"Its log is {log}"
        raise stopped from None


def stop(cluster: Cluster, mode: str = "fast") -> None:
    """Stop the server; a server that is not running is fine."""
    with suppress(WedsyncError):
        _pg_ctl(cluster, "-m", mode, "stop")


def _pg_ctl(cluster: Cluster, *arguments: str) -> None:
    run([cluster.binaries / "pg_ctl", "-D", cluster.data, "-w", *arguments], owner(cluster.data))


def answering(cluster: Cluster) -> bool:
    """Whether the server is there, after waiting for one that is just starting or stopping."""
    where = make_conninfo(host=str(cluster.socket), port=cluster.port, dbname="postgres", user=cluster.superuser)
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        answer = PGconn.ping(where.encode())
        if answer != Ping.REJECT:
            return answer == Ping.OK
        time.sleep(0.05)
    return False


def run(command: Sequence[str | Path], account: Account | None) -> None:
    """Run one of the server's programs as `account` (None: ourselves), quietly and with a clean environment.

    Raises:
        WedsyncError: with the last line the program said; its sqlstate is DISK_FULL where that was the reason.
    """
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd="/",
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no output"]
        raise failure(f"{Path(command[0]).name} failed: {last_complaint(done.stderr) or said[-1]}", done.stderr)


def failure(message: str, said: str) -> WedsyncError:
    """The error of a program by all that it said: a full disk is often not what it complains of last."""
    if NO_ROOM not in said:
        return WedsyncError(message)
    more = "" if NO_ROOM in message else f" ({NO_ROOM})"
    return WedsyncError(f"{message}{more}", hint="A disk is full: make room and try again.", sqlstate=DISK_FULL)


def last_complaint(log: str) -> str:
    """The text of the last FATAL, PANIC or ERROR line of a log or of a program's output, empty if there is none."""
    found = ""
    for line in log.splitlines():
        for mark in ("FATAL:", "PANIC:", "ERROR:", "error:"):
            _, seen, text = line.partition(mark)
            if seen:
                found = text.strip()
                break
    return found


def _options(cluster: Cluster, settings: Mapping[str, str]) -> str:
    """What pg_ctl hands on through a shell. The socket folder is a list to PostgreSQL, hence quoted once more."""
    fixed = {
        "listen_addresses": "",
        "unix_socket_directories": f'"{cluster.socket}"',
        "port": str(cluster.port),
        "hba_file": str(cluster.data.parent / _HBA),
        "ident_file": str(cluster.data.parent / _IDENT),
    }
    return " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in {**settings, **fixed}.items())


def _make_socket_folder(folder: Path, account: Account | None) -> None:
    """A folder nobody else can enter; one that is there already, in /tmp perhaps, must be exactly that.

    Raises:
        Refused: the name is taken.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
    check_private(folder, account.pw_uid if account else os.geteuid(), forbidden=0o077)


def access_rules(superuser: str = SUPERUSER, account: Account | None = None) -> dict[str, str]:
    """Who may log in, written anew at each start: our own operating-system users by peer, all others by password.

    The account that the server runs under is let in as the deployer: a pooler in front of it runs under that one, too.
    """
    people = dict.fromkeys((own_name(), "root"))
    maps = [f'ours "{person}" "{role}"\n' for person in people for role in (superuser, DEPLOYER)]
    if account and account.pw_name not in people:
        maps.append(f'ours "{account.pw_name}" "{DEPLOYER}"\n')
    rules = (
        f'local all "{superuser}","{DEPLOYER}" peer map=ours\n'
        "local all all scram-sha-256\n"
        f'local replication "{superuser}" peer map=ours\n'
    )
    return {_HBA: rules, _IDENT: "".join(maps)}


def _write_rules(cluster: Cluster, account: Account | None) -> None:
    """Put the access rules where the server can read and not change them."""
    for name, text in access_rules(cluster.superuser, account).items():
        with (cluster.data.parent / name).open("w") as file:
            if account:
                os.fchown(file.fileno(), -1, account.pw_gid)
            os.fchmod(file.fileno(), 0o640)
            file.write(text)


def _open_log(path: Path, account: Account | None) -> int:
    """Make the server's log if there is none, its own and private; how long it is by now, in bytes."""
    with path.open("a") as file:
        if account:
            os.fchown(file.fileno(), account.pw_uid, account.pw_gid)
        os.fchmod(file.fileno(), 0o600)
        return os.fstat(file.fileno()).st_size


def _wait_for_orphans(data: Path) -> None:
    """After a postmaster was killed its backends end by themselves, once each looks up; no server starts beside them.

    A postmaster.pid left by a crash may by now be the number of somebody else's process, which would keep the server
    from starting for ever: it is removed, but only when no process at all works in the data folder.

    Raises:
        Refused: backends of the dead server are still at work.
    """
    deadline = time.monotonic() + _ORPHANS_SECONDS
    while pids := _processes_in(data):
        if time.monotonic() > deadline:
            raise Refused(f"processes of a dead server still work in {data}", hint=f"End them: kill {' '.join(pids)}")
        time.sleep(0.05)
    pid_file = data / "postmaster.pid"
    if pid_file.exists():
        pid = pid_file.read_text().split("\n", 1)[0]
        if _is_somebody_else(pid) or _has_ended(pid):
            pid_file.unlink()


def _processes_in(data: Path) -> list[str]:
    """Processes whose working folder is `data`, as every process of a server has it. Empty where there is no /proc."""
    return [entry.name for entry in Path("/proc").glob("[0-9]*") if _working_folder(entry.name) == str(data.resolve())]


def _is_somebody_else(pid: str) -> bool:
    """Whether a process of this number is there and can be seen to work elsewhere."""
    return _working_folder(pid) is not None


def _has_ended(pid: str) -> bool:
    """Whether a process of this number has ended, and is only not collected yet by whoever has to.

    PostgreSQL takes it for alive, and in a container whose first process collects nobody it stays so for ever.
    """
    try:
        return Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, ValueError):
        return False


def _working_folder(pid: str) -> str | None:
    try:
        return str(Path(f"/proc/{int(pid)}/cwd").readlink())
    except (OSError, ValueError):
        return None
