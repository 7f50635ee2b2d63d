"""What the forms of the Prefect UI offer, and what they turn away before a run starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from wedsync_db.installation import this_installation

if TYPE_CHECKING:
    EnvironmentName = str
else:
    # a Literal makes the form a list to choose from, and makes a wrong name an error before the run starts
    EnvironmentName = Literal[tuple(this_installation().environments())]

# a rule without a reason overrides nothing, and a form that takes it would only start a run that says so
Override = Annotated[str, Field(pattern=r"^[^=]*\w[^=]*=.*\S")]
