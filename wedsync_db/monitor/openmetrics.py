"""Samples as OpenMetrics text, for whoever has a Prometheus already. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wedsync_db.monitor.metrics import Metric, Sample

_PREFIX = "wedsync_"
_SUFFIXES = frozenset({"bytes", "seconds", "ratio"})


def full_name(metric: Metric) -> str:
    """The family's name, with its unit where that is one of Prometheus' own: `wedsync_database_size_bytes`."""
    return f"{_PREFIX}{metric.name}{_suffix(metric)}"


def openmetrics(sample: Sample, labels: Mapping[str, str]) -> str:
    """The exposition of a sample, each series with these labels too. What is not known is left out: it is not zero."""
    families: dict[str, list[tuple[Metric, float]]] = {}
    for metric, value in sample.values.items():
        if value is not None:
            families.setdefault(full_name(metric), []).append((metric, value))
    lines = [line for name, series in families.items() for line in _family(name, series, labels)]
    problems = Metric("collect_problems", "gauge", "problems")
    lines += _family(full_name(problems), [(problems, float(len(sample.problems)))], labels)
    return "\n".join([*lines, "# EOF"])


def _family(name: str, series: list[tuple[Metric, float]], labels: Mapping[str, str]) -> Iterator[str]:
    kind, suffix = series[0][0].kind, _suffix(series[0][0])
    yield f"# TYPE {name} {kind}"
    if suffix:
        yield f"# UNIT {name} {suffix[1:]}"
    for metric, value in series:
        shown = {**labels, **dict(metric.labels)}
        inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in shown.items())
        yield f"{name}{'_total' if kind == 'counter' else ''}{{{inner}}} {value!r}"


def _suffix(metric: Metric) -> str:
    own = _SUFFIXES if metric.kind == "counter" else _SUFFIXES | {"transactions"}
    return f"_{metric.unit}" if metric.unit in own else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
