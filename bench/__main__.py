"""Run the measurements: `python -m bench [NAME …]`. Each prints a Markdown section; all together go to results.md."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from pathlib import Path

NAMES = (
    "apply",
    "dump",
    "drill",
    "lock_wait",
    "stall",
    "flow_overhead",
    "start_up",
    "row_security",
    "pool",
    "load",
    "connections",
    "collect",
)


def main(names: list[str]) -> int:
    sections = []
    for name in names or NAMES:
        print(f"… {name}", file=sys.stderr, flush=True)
        section = importlib.import_module(f"bench.{name}").measure()
        print(section, flush=True)
        sections.append(section)
    if not names:
        machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
        title = f"# Measurements\n\nMade by `./dev bench` on {machine}. Ratios are within one run."
        (Path(__file__).parent / "results.md").write_text("\n\n".join([title, *sections]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
