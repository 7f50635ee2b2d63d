"""Samples as OpenMetrics text, for whoever has a Prometheus already. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from wedsync_db.monitor.metrics import Metric, Sample

PREFIX = "pgops_"
_SUFFIXES = frozenset({"bytes", "seconds", "ratio"})
_PROBLEMS = Metric("collect_problems", "gauge", "problems")
_COLLECTED = Metric("collected_timestamp", "gauge", "seconds")


def full_name(metric: Metric) -> str:
    """The family's name, with its unit where that is one of Prometheus' own: `pgops_database_size_bytes`."""
    return f"{PREFIX}{metric.name}{_suffix(metric)}"


def series_name(metric: Metric) -> str:
    """The name that its values have in a query: that of the family, and `_total` where it is a counter."""
    return f"{full_name(metric)}{'_total' if metric.kind == 'counter' else ''}"


def about(sample: Sample) -> Mapping[Metric, float]:
    """What is said of a sample itself: when it was measured, and how much of it could not be."""
    tier = (("tier", sample.tier),)
    return {
        Metric(one.name, one.kind, one.unit, tier): value
        for one, value in ((_COLLECTED, round(sample.at.timestamp(), 3)), (_PROBLEMS, float(len(sample.problems))))
    }


def openmetrics(values: Mapping[Metric, float | None], labels: Mapping[str, str]) -> str:
    """The exposition of values, each with these labels too. What is not known is left out: it is not zero."""
    families: dict[str, list[tuple[Metric, float]]] = {}
    for metric, value in values.items():
        if value is not None:
            families.setdefault(full_name(metric), []).append((metric, value))
    lines = [line for name, series in families.items() for line in _family(name, series, labels)]
    return "\n".join([*lines, "# EOF"])


def _family(name: str, series: Iterable[tuple[Metric, float]], labels: Mapping[str, str]) -> Iterator[str]:
    first, *_ = series = list(series)
    yield f"# TYPE {name} {first[0].kind}"
    if suffix := _suffix(first[0]):
        yield f"# UNIT {name} {suffix[1:]}"
    yield f"# HELP {name} {first[0].name.replace('_', ' ')}, in {first[0].unit}"
    for metric, value in series:
        shown = {**labels, **dict(metric.labels)}
        inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in shown.items())
        yield f"{series_name(metric)}{{{inner}}} {value!r}"


def _suffix(metric: Metric) -> str:
    own = _SUFFIXES if metric.kind == "counter" else _SUFFIXES | {"transactions"}
    return f"_{metric.unit}" if metric.unit in own else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
