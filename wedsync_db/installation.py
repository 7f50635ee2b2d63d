"""This installation: the checkout it runs from, its state folder, and the environments it knows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from wedsync_db.errors import Refused
from wedsync_db.home import Home, state_home
from wedsync_db.model import Backup
from wedsync_db.postgres.session import Address
from wedsync_db.postgres.target import open_target
from wedsync_db.settings import Environment, load_environment, load_environments, load_history

CHECKOUT = Path(__file__).resolve().parent.parent
_MAKES_HISTORY = "The flow `monitor` makes it, and so does `maintain`."


class NoHistoryYet(Refused):
    """Nothing was ever kept here."""


@dataclass(frozen=True)
class Installation:
    """Where things are. Turns an environment's name into its settings and, last of all, into its address."""

    checkout: Path
    environ: Mapping[str, str]

    @cached_property
    def home(self) -> Home:
        """The state folder; not created by looking at it."""
        return state_home(self.checkout, self.environ)

    @property
    def settings_file(self) -> Path:
        """environments.toml of the checkout, or the file $WEDSYNC_ENVIRONMENTS names."""
        return Path(self.environ.get("WEDSYNC_ENVIRONMENTS") or self.checkout / "environments.toml")

    def environment(self, name: str) -> Environment:
        """The settings of one environment.

        Raises:
            UsageError: there is none of that name, or the file is wrong.
        """
        return load_environment(self.settings_file, name)

    def environments(self) -> Mapping[str, Environment]:
        """All environments by name."""
        return load_environments(self.settings_file)

    def addressed(self) -> tuple[str, ...]:
        """The environments whose address this machine was given; those on an embedded server are not among them."""
        return tuple(name for name, one in self.environments().items() if one.url_env and self.environ.get(one.url_env))

    @contextmanager
    def target(self, name: str, *, create: bool = False) -> Iterator[Address]:
        """The database of an environment, its server running for as long as the block lasts.

        Raises:
            Refused: the environment does not exist yet, and `create` is False.
        """
        environment = self.environment(name)
        with open_target(environment, self.home, self.environ, create=create) as address:
            yield address

    @contextmanager
    def readable(self, environment: Environment, backup: Backup) -> Iterator[Backup]:
        """The backup's files without their encryption, where it has one; they are gone after the block.

        Raises:
            BackupError: it is damaged, or was changed by somebody without the key.
            Inconclusive: its key is not here, there is no room for it, or a newer program encrypted it.
            UsageError: the variable with the keys is missing or wrong.
        """
        from wedsync_db.backup.keys import known_keys
        from wedsync_db.backup.readable import readable

        keys = known_keys(environment, self.environ) if backup.manifest.encryption else ()
        with readable(backup, keys, self.home.ensure().scratch, jobs=environment.backup_jobs) as plain:
            yield plain

    @contextmanager
    def history(self, *, create: bool = True) -> Iterator[Address]:
        """The history store's database, its server running for as long as the block lasts; made where it is missing.

        Raises:
            NoHistoryYet: it is missing, and `create` is False.
            UsageError: the variable with its URL is missing or wrong.
            WedsyncError: the embedded server does not start.
        """
        chosen = load_history(self.settings_file)
        store = Environment(
            "history", embedded_major=chosen.embedded_major, database=chosen.database, url_env=chosen.url_env
        )
        home = self.home.ensure() if create else self.home
        with ExitStack() as stack:
            try:
                address = stack.enter_context(open_target(store, home, self.environ, create=create))
            except Refused:
                if create or chosen.embedded_major is None:
                    raise
                raise NoHistoryYet("there is no history store yet", hint=_MAKES_HISTORY) from None
            yield address


def this_installation() -> Installation:
    """The installation this process runs from."""
    return Installation(CHECKOUT, os.environ)
