"""Servers run under an account that can reach them: as root another one's, as an ordinary user one's own."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from wedsync_db.errors import WedsyncError
from wedsync_db.installation import CHECKOUT
from wedsync_db.postgres import account as accounts
from wedsync_db.postgres import binaries
from wedsync_db.postgres.account import can_enter, can_read, own_name, owner, server_account
from wedsync_db.postgres.pg_ctl import DEPLOYER, access_rules, run

AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")

ORDINARY = """
import pathlib, sys
from wedsync_db.home import Home
from wedsync_db.postgres.cluster import embedded, scratch
from wedsync_db.postgres.session import session
home = Home(pathlib.Path(sys.argv[1]))
with embedded(home, 18) as cluster, session(cluster.address(), "test") as connection:
    one = connection.execute("select 1").fetchone()[0]
    print(cluster.data.stat().st_uid, oct(home.path.stat().st_mode & 0o777), one)
with scratch(18, home.scratch) as cluster, session(cluster.address(), "test") as connection:
    print(cluster.data.stat().st_uid, connection.execute("select 2").fetchone()[0])
"""


@pytest.fixture
def nobody():
    """An ordinary account, and a folder of its own."""
    found = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(prefix="wedsync-nobody-") as folder:
        os.chown(folder, found.pw_uid, found.pw_gid)
        yield found, Path(folder)


def python_for(account) -> str:
    """A Python of our own version that the account can run; ours may be installed below /root."""
    ours = Path(sys.executable).resolve()
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (ours, Path("/usr/bin", name), Path("/usr/local/bin", name)):
        if candidate.exists() and can_read(candidate, account):
            return str(candidate)
    pytest.skip(f"no {name} that {account.pw_name} can run")


@only_root
def test_an_ordinary_user_runs_servers_of_its_own(nobody):
    account, folder = nobody
    packages = next(p for p in sys.path if p.endswith("site-packages"))
    if not can_enter(Path(packages), account):
        pytest.skip(f"{account.pw_name} cannot reach {packages}")
    done = subprocess.run(
        [python_for(account), "-c", ORDINARY, str(folder / "home")],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        env={"PYTHONPATH": f"{CHECKOUT}:{packages}", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [f"{account.pw_uid} 0o700 1", f"{account.pw_uid} 2"], done.stderr


@only_root
def test_binaries_out_of_reach_are_copied_once_and_run(nobody, monkeypatch, tmp_path):
    account, folder = nobody
    package = binaries.embedded_binaries(18).parent.parent
    site = tmp_path / "site"  # below pytest's own folder, which is closed
    for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
        shutil.copytree(package.parent / name, site / name, symlinks=True)
    closed = site / package.name / "pginstall18" / "bin"
    closed.parent.joinpath("share").chmod(0o700)
    assert not can_read(closed / "postgres", account)
    with tempfile.TemporaryDirectory(prefix="wedsync-shared-") as shared:
        Path(shared).chmod(0o711)
        monkeypatch.setattr(binaries, "binaries_of", lambda _: closed)
        monkeypatch.setattr(binaries, "embedded_binaries", lambda _: closed)
        monkeypatch.setattr(binaries, "SHARED", Path(shared) / "state")
        before = os.umask(0o077)
        try:
            found = binaries.server_binaries(18, account)
        finally:
            os.umask(before)
        assert found.is_relative_to(shared)
        assert not (found.parent / "include").exists()
        run([found / "initdb", "-D", folder / "data", "--no-sync", "--auth=reject"], account)
        written = (found / "postgres").stat().st_mtime_ns
        assert binaries.server_binaries(18, account) == found
        assert (found / "postgres").stat().st_mtime_ns == written


def test_programs_of_a_package_are_used_as_they_are(monkeypatch):
    monkeypatch.setattr(binaries, "binaries_of", lambda _: Path("/usr/lib/postgresql/15/bin"))
    assert binaries.server_binaries(15, server_account()) == Path("/usr/lib/postgresql/15/bin")


@only_root
def test_what_an_account_may_enter_and_read(tmp_path):
    account = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(prefix="wedsync-reach-") as name:
        folder = Path(name)
        file = folder / "file"
        file.write_text("")
        for mode, gid, enters in (
            (0o700, 0, False),
            (0o711, 0, True),
            (0o710, 0, False),
            (0o710, account.pw_gid, True),
        ):
            os.chown(folder, 0, gid)
            folder.chmod(mode)
            assert can_enter(folder, account) is enters
            assert can_enter(folder / "not" / "yet", account) is enters
        os.chown(folder, account.pw_uid, 0)
        folder.chmod(0o077)
        assert not can_enter(folder, account)  # the owner's own bits come first
        folder.chmod(0o700)
        file.chmod(0o600)
        assert not can_read(file, account)
        file.chmod(0o604)
        assert can_read(file, account)


def test_ourselves_are_not_asked(tmp_path):
    assert can_enter(tmp_path, None)
    assert can_read(tmp_path / "absent", None)


def test_our_own_users_are_let_in_by_peer_only():
    rules = access_rules()
    assert all("trust" not in text for text in rules.values())
    assert {line.split()[1] for line in rules["pg_ident.conf"].splitlines()} == {f'"{own_name()}"', '"root"'}


def test_the_servers_own_account_is_let_in_as_the_deployer_only():
    account = pwd.getpwnam("nobody")
    lines = access_rules(account=account)["pg_ident.conf"].splitlines()
    assert [line.split()[2] for line in lines if line.split()[1] == '"nobody"'] == [f'"{DEPLOYER}"']


def test_a_uid_without_an_account_is_said(monkeypatch, tmp_path):
    def unknown(_):
        raise KeyError

    monkeypatch.setattr(accounts.pwd, "getpwuid", unknown)
    with pytest.raises(WedsyncError, match="has no account here"):
        own_name()
    if AS_ROOT:
        with pytest.raises(WedsyncError, match="no account any more"):
            owner(tmp_path)


@only_root
def test_root_without_an_account_for_servers_is_said(monkeypatch):
    monkeypatch.setattr(accounts, "_CANDIDATES", ("no-such-account",))
    with pytest.raises(WedsyncError, match="cannot run as root"):
        server_account()


def test_an_ordinary_user_is_its_own_account(monkeypatch, tmp_path):
    monkeypatch.setattr(accounts.os, "geteuid", lambda: 12345)
    assert server_account() is None
    assert owner(tmp_path) is None


def test_a_program_that_fails_says_why():
    with pytest.raises(WedsyncError, match="initdb failed"):
        run([binaries.embedded_binaries(18) / "initdb", "--no-such-option"], None if not AS_ROOT else server_account())
    with pytest.raises(WedsyncError, match="false failed: no output"):
        run(["/bin/false"], None)


def test_copies_are_readable_by_everybody(tmp_path):
    (tmp_path / "d").mkdir(mode=0o700)
    for name, mode in (("program", 0o700), ("data", 0o600)):
        (tmp_path / "d" / name).write_text("")
        (tmp_path / "d" / name).chmod(mode)
    (tmp_path / "d" / "link").symlink_to("program")
    binaries._open_for_reading(tmp_path)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "d", *(tmp_path / "d").iterdir())}
    assert modes == {"d": 0o755, "program": 0o755, "data": 0o644, "link": 0o755}
