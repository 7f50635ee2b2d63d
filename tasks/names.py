"""The environments as the forms of the Prefect UI offer them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from wedsync_db.installation import this_installation

if TYPE_CHECKING:
    EnvironmentName = str
else:
    # a Literal makes the form a list to choose from, and makes a wrong name an error before the run starts
    EnvironmentName = Literal[tuple(this_installation().environments())]
