"""Scenario files: who does what, how often, for how long, and what is asked of the database; checked as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from wedsync_db import setting_values as values
from wedsync_db.errors import UsageError
from wedsync_db.load.criteria import STEADY_SECONDS, Criterion, read_criteria
from wedsync_db.load.safety import MOST_CONNECTIONS, Safety, read_safety, require_within
from wedsync_db.load.schedule import Phase
from wedsync_db.load.scripts import Draw, Script, check_script
from wedsync_db.toml_tables import known_keys, read_document, read_table, table_of

SHIPPED = Path(__file__).with_name("scenarios")
MOST_CLIENTS, MOST_RUNS = 20_000, 10
_HIGHEST = 100_000  # users, arrivals a second: what nobody means
_TOP: Mapping[str, values.Reader] = {
    "title": values.text,
    "description": values.text,
    "fill": values.text,
    "prelude": values.text,
    "think_seconds": values.number(),
    "tenants": values.whole(1, _HIGHEST),
    "users": values.whole(1, _HIGHEST),
    "pool": values.whole(1, MOST_CONNECTIONS),
    "connections": values.one_of("direct", "pgbouncer"),
    "clients": values.whole(1, MOST_CLIENTS),
    "connect": values.one_of("once", "each"),
    "repeats": values.whole(1, MOST_RUNS),
    "statement_timeout_ms": values.whole(1, 600_000),
    "max_backlog_seconds": values.number(),
}
_PHASE: Mapping[str, values.Reader] = {
    "name": values.text,
    "seconds": values.number(),
    "users": values.number(zero=True),
    "users_at_end": values.number(zero=True),
    "rate": values.number(zero=True),
    "rate_at_end": values.number(zero=True),
    "measured": values.flag,
}
_SCRIPT: Mapping[str, values.Reader] = {
    "share": values.number(),
    "file": values.text,
    "tenant_column": values.whole(0, 100),
}
_DRAW: Mapping[str, values.Reader] = {
    "least": values.whole(0, 1 << 31),
    "most": values.whole(0, 1 << 31),
    "shape": values.one_of("even", "few"),
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load test. `users` are drawn from, each working for one of `tenants`; they share `pool` connections.

    `fill` makes the rows, in a new database whose migrations have run; the settings load.tenants and load.users tell it
    how many. `prelude` runs before each script, in its transaction: it says who is signed in. What cannot be begun
    within `max_backlog_seconds` of when it was due is dropped, and counts as such.

    Through a pgbouncer there may be more `clients`, connections that are held open, than the pool has; without a number
    there are as many. With `connect` "each" an arrival opens a connection of its own, and closes it when it is done:
    no more than so many at the same time.
    """

    name: str
    title: str
    description: str
    fill: str
    prelude: str
    scripts: tuple[Script, ...]
    phases: tuple[Phase, ...]
    criteria: tuple[Criterion, ...]
    users: int
    tenants: int
    pool: int
    think_seconds: float = 5.0
    repeats: int = 5
    statement_timeout_ms: int = 10_000
    max_backlog_seconds: float = 10.0
    comparisons: tuple[Criterion, ...] = ()
    connections: Literal["direct", "pgbouncer"] = "direct"
    clients: int | None = None
    connect: Literal["once", "each"] = "once"
    safety: Safety = field(default_factory=Safety)

    @property
    def seconds(self) -> float:
        """How long one run of it takes."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def held(self) -> int:
        """How many connections the generator has at the same time."""
        return self.clients or self.pool


def shipped() -> Mapping[str, Path]:
    """The scenarios that come with the program, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def find_scenario(name: str) -> Path:
    """The file of a scenario: one of ours by name, or any by its path.

    Raises:
        UsageError: there is none.
    """
    known = shipped()
    path = known.get(name) or Path(name)
    if not path.is_file():
        raise UsageError(
            f"there is no scenario {name}{values.suggestion(name, known)}",
            hint=f"Known are {', '.join(known)}; or give the path of a file.",
        )
    return path


def read_scenario(path: Path) -> Scenario:
    """A scenario, checked: nothing in it is found wrong later.

    Raises:
        UsageError: one line with the file, the key and what is wrong with it.
    """
    document, where = read_document(path), path.name
    parts = {"scripts", "phases", "thresholds", "safety"}
    known_keys(document, _TOP.keys() | parts, where)
    top = read_table({key: value for key, value in document.items() if key not in parts}, _TOP, where)
    for key in ("title", "users", "tenants", "pool"):
        if key not in top:
            raise UsageError(f"{where}: {key} is missing")
    fill, prelude = (_text(path, top.pop(key), f"{where}: {key}") if key in top else "" for key in ("fill", "prelude"))
    think = float(top.get("think_seconds", Scenario.__dataclass_fields__["think_seconds"].default))
    scripts = tuple(_scripts(path, document.get("scripts", {}), prelude))
    phases = tuple(_phase(raw, think, f"{where}: phases[{n}]") for n, raw in enumerate(_list(document, where)))
    _once([phase.name for phase in phases], f"{where}: phases")
    if not any(phase.measured and phase.arrivals for phase in phases):
        raise UsageError(f"{where}: no phase is measured", hint="Without arrivals in one there is nothing to judge.")
    asked = read_criteria(
        table_of(document.get("thresholds", {}), f"{where}: thresholds"),
        scripts={script.name for script in scripts},
        phases={phase.name for phase in phases if phase.measured},
    )
    _check_recovery(asked.criteria, phases, where)
    if not asked.criteria:
        raise UsageError(f"{where}: thresholds asks for nothing", hint='"response_ms" = ["p(95)<50"], for one.')
    scenario = Scenario(
        name=path.stem,
        fill=fill,
        prelude=prelude,
        scripts=scripts,
        phases=phases,
        criteria=asked.criteria,
        comparisons=asked.comparisons,
        safety=read_safety(document.get("safety", {}), f"{where}: safety"),
        **{"description": "", **top},
    )
    _check_connections(scenario, where)
    return scenario


def with_options(scenario: Scenario, *, pool: int | None = None, repeats: int | None = None) -> Scenario:
    """The scenario on another pool, or run more or less often.

    Raises:
        UsageError: the pool does not go with its other settings.
    """
    changed = replace(scenario, pool=pool or scenario.pool, repeats=repeats or scenario.repeats)
    _check_connections(changed, scenario.name)
    return changed


def _check_recovery(criteria: Sequence[Criterion], phases: Sequence[Phase], where: str) -> None:
    """What is to be seen of a recovery must fit into the run."""
    names = [phase.name for phase in phases]
    for one in criteria:
        if one.metric == "recovery_s" and one.phase:
            left = sum(phase.seconds for phase in phases[names.index(one.phase) + 1 :])
            if left < one.limit + STEADY_SECONDS:
                raise UsageError(
                    f"{where}: {one.text}: the run ends {left:g} s after it",
                    hint=f"It takes {one.limit + STEADY_SECONDS:g} s to see that: a longer phase, or a lower limit.",
                )


def _check_connections(scenario: Scenario, where: str) -> None:
    held, pool = scenario.held, scenario.pool
    if held < pool:
        raise UsageError(
            f"{where}: {held} clients never use a pool of {pool}", hint=f"clients = {pool} or more, or a smaller pool."
        )
    if held > pool and scenario.connections == "direct":
        raise UsageError(
            f"{where}: {held:,} clients do not fit onto {pool} connections of their own",
            hint='connections = "pgbouncer" lets them share the pool.',
        )
    if held > MOST_CONNECTIONS and scenario.connect == "each":
        raise UsageError(
            f"{where}: {held:,} clients that each connect anew are too many",
            hint=f"Each takes a thread meanwhile: at most {MOST_CONNECTIONS:,} at the same time.",
        )
    if scenario.connect == "once" and any(one.metric == "connect_ms" for one in scenario.criteria):
        raise UsageError(
            f"{where}: connect_ms is not measured", hint='connect = "each": an arrival has one of its own.'
        )
    require_within(scenario.safety, scenario.pool, scenario.phases, where)


def _scripts(path: Path, raw: object, prelude: str) -> Sequence[Script]:
    """The scripts, told in the scenario itself, or in a file that several share."""
    if isinstance(raw, str):
        path = path.parent / raw
        document = read_document(path)
        known_keys(document, {"scripts"}, path.name)
        raw = document.get("scripts", {})
    where = f"{path.name}: scripts"
    table = table_of(raw, where)
    if not table:
        raise UsageError(f"{where} is empty", hint="[scripts.dashboard] with share and file, for one.")
    found = [_script(path, name, one, f"{where}.{name}") for name, one in table.items()]
    for script in found:
        check_script(script, prelude)
    return found


def _script(path: Path, name: str, raw: object, where: str) -> Script:
    table = table_of(raw, where)
    known_keys(table, {*_SCRIPT, "draw"}, where)
    given = read_table({key: value for key, value in table.items() if key != "draw"}, _SCRIPT, where)
    for key in ("share", "file"):
        if key not in given:
            raise UsageError(f"{where}: {key} is missing")
    draws = table_of(table.get("draw", {}), f"{where}.draw")
    drawn = {one: _draw(values_of, f"{where}.draw.{one}") for one, values_of in draws.items()}
    text = _text(path, given["file"], f"{where}.file")
    return Script(name, given["share"], text, drawn, given.get("tenant_column"))


def _draw(raw: object, where: str) -> Draw:
    given = read_table(raw, _DRAW, where)
    if not {"least", "most"} <= given.keys() or given["least"] > given["most"]:
        raise UsageError(f"{where} needs least and most, the smaller one first")
    return Draw(**given)


def _phase(raw: object, think: float, where: str) -> Phase:
    given = read_table(raw, _PHASE, where)
    by_users = "users" in given
    if not {"name", "seconds"} <= given.keys() or by_users == ("rate" in given):
        raise UsageError(f"{where} needs name, seconds, and either users or rate")
    per_user = 1 / think if by_users else 1.0
    begin = given["users" if by_users else "rate"]
    end = given.get("users_at_end" if by_users else "rate_at_end", begin)
    if begin * per_user > _HIGHEST or end * per_user > _HIGHEST:
        raise UsageError(f"{where}: more than {_HIGHEST:,} arrivals a second")
    return Phase(given["name"], given["seconds"], begin * per_user, end * per_user, given.get("measured", True))


def _list(document: Mapping[str, Any], where: str) -> Sequence[object]:
    phases = document.get("phases", [])
    if not isinstance(phases, list) or not phases:
        raise UsageError(f"{where}: phases is missing", hint="[[phases]] with name, seconds and users.")
    return phases


def _once(names: Sequence[str], where: str) -> None:
    if len(set(names)) < len(names):
        raise UsageError(f"{where}: a name comes twice", hint=f"They are {', '.join(names)}.")


def _text(path: Path, file: str, where: str) -> str:
    try:
        return (path.parent / file).read_text(encoding="utf-8").strip().rstrip(";") + ";"
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{where}: {file} cannot be read", hint=f"It is looked for in {path.parent}") from None
