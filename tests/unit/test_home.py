"""The state folder: which one, with which modes, and what is refused."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from wedsync_db.errors import Refused, UsageError
from wedsync_db.home import Home, make_passage, state_home
from wedsync_db.postgres.account import server_account

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder():
    """A folder that a server's account can pass through, as pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="wedsync-home-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_checkout_in_reach_keeps_its_own_state(folder):
    assert state_home(folder, {}) == Home(folder / ".wedsync")


def test_looking_creates_nothing(folder):
    state_home(folder, {})
    assert list(folder.iterdir()) == []


def test_the_variable_wins(folder):
    assert state_home(folder, {"WEDSYNC_HOME": "/srv/x"}) == Home(Path("/srv/x"))


def test_a_relative_variable_is_refused(folder):
    with pytest.raises(UsageError, match="not an absolute path"):
        state_home(folder, {"WEDSYNC_HOME": "x"})


@pytest.mark.skipif(not AS_ROOT, reason="only root's servers run as somebody else")
def test_a_checkout_out_of_reach_gets_a_stable_folder_elsewhere(folder):
    folder.chmod(0o700)
    found = state_home(folder / "checkout", {})
    assert found == state_home(folder / "checkout", {})
    assert found != state_home(folder / "other", {})
    assert found.path.parent == Path("/var/lib/wedsync-db")
    assert mode(folder) == 0o700


def test_everything_is_private(folder):
    home = Home(folder / "state").ensure()
    passable = 0o710 if AS_ROOT else 0o700
    assert {mode(path) for path in (home.path, home.pg, home.scratch)} == {passable}
    assert {mode(path) for path in (home.reports, home.prefect, home.path / "backups")} == {0o700}
    assert home.backups("demo").parent == home.path / "backups"
    account = server_account()
    assert account is None or home.pg.stat().st_gid == account.pw_gid


def test_ensuring_twice_changes_nothing(folder):
    home = Home(folder / "state").ensure()
    before = home.path.stat().st_mtime_ns
    assert home.ensure() is home
    assert home.path.stat().st_mtime_ns == before


def test_what_another_program_made_too_open_is_closed(folder):
    home = Home(folder / ".wedsync")
    home.prefect.mkdir(parents=True)
    home.prefect.chmod(0o755)
    home.path.chmod(0o755)
    home.ensure()
    assert mode(home.prefect) == 0o700
    assert mode(home.path) == (0o710 if AS_ROOT else 0o700)


def test_the_mode_of_a_folder_named_by_mistake_stays(folder):
    (folder / "somebody's").mkdir()
    (folder / "somebody's").chmod(0o755)
    Home(folder / "somebody's").ensure()
    assert mode(folder / "somebody's") == 0o755


def test_a_folder_others_can_write_to_is_refused(folder):
    path = folder / "open"
    path.mkdir()
    path.chmod(0o777)
    with pytest.raises(Refused, match="others have access"):
        Home(path).ensure()


def test_a_link_is_refused(folder):
    (folder / "real").mkdir()
    (folder / "link").symlink_to(folder / "real")
    with pytest.raises(Refused, match="not a folder"):
        Home(folder / "link").ensure()


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user cannot give a folder away")
def test_another_users_folder_is_refused(folder):
    (folder / "theirs").mkdir(mode=0o700)
    os.chown(folder / "theirs", 65534, 65534)
    with pytest.raises(Refused, match="belongs to uid 65534"):
        Home(folder / "theirs").ensure()


@pytest.mark.skipif(not AS_ROOT, reason="only root's servers run as somebody else")
def test_a_folder_out_of_the_servers_reach_is_refused_and_no_parent_is_opened(folder):
    folder.chmod(0o700)
    with pytest.raises(Refused, match="out of reach"):
        Home(folder / "state").ensure()
    assert mode(folder) == 0o700


@pytest.mark.skipif(not AS_ROOT, reason="only root's servers run as somebody else")
def test_an_account_added_later_does_not_take_over(folder):
    path = folder / "state"
    path.mkdir(mode=0o710)
    path.chmod(0o710)
    os.chown(path, -1, 65534)
    account = server_account(path)
    assert account is not None
    assert account.pw_gid == 65534


def test_what_cannot_be_created_is_refused_in_one_line(folder):
    (folder / "file").write_text("")
    with pytest.raises(Refused, match="cannot be used: Not a directory"):
        Home(folder / "file" / "state").ensure()


def test_a_passage_can_be_passed_and_not_listed_whatever_the_umask(folder):
    before = os.umask(0o077)
    try:
        make_passage(folder / "a" / "b")
    finally:
        os.umask(before)
    assert mode(folder / "a") == mode(folder / "a" / "b") == 0o711
