"""Automations of the Prefect server: what it does about a run that is gone, a worker that is gone, a run that is late.

They are data, in automations.toml. A run that needs a person is no matter for one: it tells that itself.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wedsync_db.cli.answer import Answer
from wedsync_db.cli.prefect_api import ask, is_missing
from wedsync_db.errors import Unreachable, UsageError
from wedsync_db.installation import Installation
from wedsync_db.model import Finding, Severity

_FILE = Path(__file__).with_name("automations.toml")
_MAKE_IT = "Make it in the UI under Blocks, then run `automations`."
Json = dict[str, Any]


def automations(_arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Make or renew the automations on the Prefect server that PREFECT_API_URL names; `up` does it on its own.

    Raises:
        UsageError: PREFECT_API_URL is not set.
        Unreachable: the server does not answer, or does not want to.
    """
    api = installation.environ.get("PREFECT_API_URL")
    if not api:
        raise UsageError("PREFECT_API_URL is not set", hint="It names the Prefect server whose automations are made.")
    try:
        made, missing = register(api.rstrip("/"), blocks_named(installation))
    except OSError as error:
        raise Unreachable(
            f"the automations could not be made: {_why(error)}",
            hint="Does PREFECT_API_URL name a Prefect server, and PREFECT_API_AUTH_STRING its password, if it has one?",
        ) from None
    text = "\n".join([*(f"made or renewed: {name}" for name in made), *map(missing_text, missing)])
    return Answer(text, {"automations": made, "missing_blocks": missing}, 1 if missing else 0)


def blocks_named(installation: Installation) -> tuple[str, ...]:
    """The notification blocks of all environments, each once: a server's own troubles concern all of them."""
    return tuple(dict.fromkeys(block for one in installation.environments().values() for block in one.notify))


def missing_text(block: str) -> str:
    """What to do about a block that the server does not have."""
    return f"the Prefect server has no block {block}. {_MAKE_IT}"


def blocks_found(blocks: Sequence[str], api: str | None) -> Iterator[Finding]:
    """What `doctor` says about the blocks an environment names; without a server to ask it says that."""
    if not blocks:
        yield Finding("notify", Severity.NOTE, "nobody is told of deployments: notify names no block")
    for block in blocks:
        yield _block_found(block, api)


def _block_found(block: str, api: str | None) -> Finding:
    if not api:
        return Finding(
            "notify", Severity.NOTE, f"not asked whether there is a block {block}: PREFECT_API_URL is not set"
        )
    try:
        there = block_id(api.rstrip("/"), block)
    except OSError as error:
        return Finding(
            "notify",
            Severity.WARNING,
            f"the Prefect server does not say whether there is a block {block}: {_why(error)}",
        )
    if there is None:
        return Finding("notify", Severity.WARNING, f"the Prefect server has no block {block}", _MAKE_IT)
    return Finding("notify", Severity.NOTE, f"the Prefect server has block {block}")


def _why(error: OSError) -> str:
    """Class and status of the error; its text may hold an address."""
    return f"{type(error).__name__} {getattr(error, 'code', '')}".rstrip()


def block_id(api: str, block: str) -> str | None:
    """The block's id on this server, None if it has no such block.

    Raises:
        OSError: the server does not answer, or does not want to.
    """
    kind, _, name = block.partition("/")
    try:
        found = ask(f"{api}/block_types/slug/{kind}/block_documents/name/{name}")
    except OSError as error:
        if is_missing(error):
            return None
        raise
    return str(found["id"])


def register(api: str, blocks: Iterable[str]) -> tuple[list[str], list[str]]:
    """Make or renew the automations; the names of those there are now, and of the blocks that are missing.

    One that somebody switched off in the UI stays off, and one that has nothing to do any more is taken away.

    Raises:
        OSError: the server does not answer, or does not want to.
    """
    ids = {block: block_id(api, block) for block in blocks}
    known = [found for found in ids.values() if found is not None]
    made = [automation["name"] for automation in wanted(known, api.removesuffix("/api")) if _renew(api, automation)]
    return made, [block for block, found in ids.items() if found is None]


def wanted(block_ids: Sequence[str], ui: str) -> Sequence[Json]:
    """The automations of automations.toml as Prefect takes them, with a message to each of these blocks."""
    found = tomllib.loads(_FILE.read_text(encoding="utf-8"))["automation"]
    return [_with_messages(one, block_ids, ui) for one in found]


def _with_messages(definition: Json, block_ids: Sequence[str], ui: str) -> Json:
    body = definition.pop("message").strip().replace("{ui}", ui)
    message = {"type": "send-notification", "subject": definition["name"], "body": body}
    return definition | {"actions": [*definition["actions"], *(message | {"block_document_id": i} for i in block_ids)]}


def _renew(api: str, automation: Json) -> bool:
    """Have exactly one automation of this name, or none where it would do nothing; whether there is one now."""
    there = _named(api, automation["name"])
    kept = there[:1] if automation["actions"] else ()
    for superfluous in there[len(kept) :]:
        ask(f"{api}/automations/{superfluous['id']}", method="DELETE")
    for one in kept:
        ask(f"{api}/automations/{one['id']}", automation | {"enabled": one["enabled"]}, method="PUT")
    if automation["actions"] and not kept:
        ask(f"{api}/automations/", automation)
    return bool(automation["actions"])


def _named(api: str, name: str) -> Sequence[Json]:
    found: Sequence[Json] = ask(f"{api}/automations/filter", {"automations": {"name": {"any_": [name]}}})
    return found
