"""A person's typed word: the environment's name, and why. Neither is ever taken for granted."""

from __future__ import annotations

from collections.abc import Sequence

from wedsync_db.cli.terminal import ask, can_ask, say
from wedsync_db.errors import UsageError

_WAIT_SECONDS = 600.0


def confirmed(environment: str, typed: str | None, reason: str | None, *, option: str) -> str | None:
    """The reason, where the name of just this environment was typed; None where no name was.

    Raises:
        UsageError: another name was typed, or no reason was given. Nothing was touched.
    """
    if typed is None:
        return None
    if typed != environment:
        raise UsageError(
            f"{option} names another environment than {environment}; nothing was touched",
            hint=f"To confirm it for {environment}: {option} {environment}",
        )
    if not reason or not reason.strip():
        raise UsageError(
            f"{option} needs a reason, which is kept in the journal; nothing was touched",
            hint=f'{option} {environment} --reason "why, and who agreed"',
        )
    return " ".join(reason.split())


def confirm(environment: str, typed: str | None, reason: str | None, *, risks: Sequence[str], option: str) -> str:
    """Show what is at risk, and go on only with a typed name and a reason; on a terminal both are asked for.

    Raises:
        UsageError: a name or a reason is missing or wrong. Nothing was touched.
    """
    for risk in risks:
        say(f"at risk: {risk}")
    if typed is None and can_ask():
        typed = ask(f"Type {environment} to go on: ", _WAIT_SECONDS)
        reason = reason or (ask("Why: ", _WAIT_SECONDS) if typed == environment else None)
    given = confirmed(environment, typed, reason, option=option)
    if given is None:
        raise UsageError(
            f"it was not confirmed for {environment}; nothing was touched",
            hint=f'After reading what is at risk: {option} {environment} --reason "why, and who agreed"',
        )
    return given
