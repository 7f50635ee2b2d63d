"""What a rehearsal allows a revert to do unattended. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wedsync_db.errors import RehearsalFailed
from wedsync_db.model import Change, Licence, Migration, MigrationProof, Plan, Rehearsal, RelationContent

_NAMED_OBJECTS = 8  # how many objects the reasons name one by one


@dataclass(frozen=True, slots=True)
class Shown:
    """What up, down and up again showed on the copy.

    `leftover` is the catalog before up against the one after down. `before` and `after` are the rows that were there
    before up, then and after down, by relation: absent in `after` what could no longer be read. `revert_error` is one
    line; `again_error` completes the sentence "deploy.sql …".
    """

    leftover: Change = Change({})  # noqa: RUF009 - frozen, and empty
    before: Mapping[str, RelationContent] | None = None
    after: Mapping[str, RelationContent] | None = None
    gone_back: tuple[str, ...] = ()  # sequences that would hand out numbers again
    revert_error: str | None = None
    again_error: str | None = None


def judge(migration: Migration, shown: Shown) -> tuple[Licence, tuple[str, ...]]:
    """The licence of one migration's revert with the reasons why it is not exact, for people.

    EXACT: catalog and content came back, and up works again. WEAKER: the content came back, or its author says in the
    header what is lost. NONE: there is no revert, it fails, or it loses content nobody spoke of.
    """
    if migration.revert is None:
        return Licence.NONE, ("there is no revert.sql",)
    if shown.revert_error:
        return Licence.NONE, (f"the revert fails: {shown.revert_error}",)
    lost = tuple(_lost(shown))
    reasons = (*_catalog(shown.leftover), *lost)
    if shown.again_error:
        return Licence.NONE, (*reasons, f"after the revert, deploy.sql {shown.again_error}")
    if migration.loses:
        return Licence.WEAKER, (*reasons, f"its author says that it loses {migration.loses}")
    if lost:
        return Licence.NONE, reasons
    return (Licence.WEAKER, reasons) if reasons else (Licence.EXACT, ())


def brings_back(shown: Shown) -> bool:
    """Whether the revert ran and left catalog, content and sequences as they were before."""
    return not (shown.revert_error or shown.leftover or any(_lost(shown)))


def require_licences(rehearsal: Rehearsal, plan: Plan, *, require_exact: bool) -> None:
    """Make sure that every pending migration may be reverted, or that its author has said what a revert loses.

    With `require_exact` False everything passes: the policy is then to warn, and a later failure needs a person.

    Raises:
        RehearsalFailed: naming each migration with its reasons.
    """
    if not require_exact:
        return
    wrong = [line for m in plan.pending for line in _refusal(m, rehearsal.proof(m.id))]
    if wrong:
        raise RehearsalFailed(
            f"no licence to revert: {'; '.join(wrong)}",
            hint="Correct revert.sql, or say at the top of deploy.sql what it cannot bring back: -- loses: …",
        )


def _refusal(migration: Migration, proof: MigrationProof | None) -> Iterator[str]:
    if proof is None:
        yield f"{migration.id} was not rehearsed"
    elif proof.licence is Licence.EXACT or _declared(migration, proof):
        return
    else:
        yield f"{migration.id} ({', '.join(proof.reasons)})"


def _declared(migration: Migration, proof: MigrationProof) -> bool:
    """What is lost was said; but a revert that is there has to run, whatever it loses."""
    return migration.loses is not None and (proof.licence is Licence.WEAKER or migration.revert is None)


def _catalog(leftover: Change) -> Iterator[str]:
    lines = [_object(name, *pair) for name, pair in sorted(leftover.objects.items())]
    yield from lines[:_NAMED_OBJECTS]
    if len(lines) > _NAMED_OBJECTS:
        yield f"and {len(lines) - _NAMED_OBJECTS} more objects"


def _object(identity: str, before: str | None, after: str | None) -> str:
    kind, _, name = identity.partition(":")
    if before is None:
        return f"{kind} {name} is left over"
    if after is None:
        return f"{kind} {name} does not come back"
    return f"{kind} {name} is not as before ({', '.join(_differing(before, after))})"


def _differing(before: str, after: str) -> Iterator[str]:
    """Which parts of a definition are not the same; the fingerprint writes definitions as JSON objects."""
    then, now = json.loads(before), json.loads(after)
    yield from sorted(part for part in then.keys() | now.keys() if then.get(part) != now.get(part))


def _lost(shown: Shown) -> Iterator[str]:
    before, after = shown.before or {}, shown.after or {}
    for relation in sorted(before):
        then, now = before[relation], after.get(relation)
        if now is None:
            yield f"the rows of {relation} cannot be compared"
        elif now.rows != then.rows:
            yield f"{relation} had {then.rows} rows and has {now.rows}"
        elif now.hash != then.hash:
            yield f"values in {relation} are not as before"
    yield from (f"sequence {name} goes back" for name in sorted(shown.gone_back))
