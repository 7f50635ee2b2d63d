"""How much made-up data there is to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wedsync_db.errors import UsageError


@dataclass(frozen=True, slots=True)
class Size:
    """So many suppliers, each with this share (at most 1) of the weddings that it would have."""

    organizations: int
    share: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what gives no rows.

        Raises:
            UsageError: fewer than one organization, or a share that is none.
        """
        if self.organizations < 1:
            raise UsageError(f"cannot make {self.organizations} organizations", hint="Ask for at least one.")
        if not 0 < self.share <= 1:
            raise UsageError(f"{self.share} is no share of a diary", hint="Ask for more than 0, at most 1.")


SIZES: Mapping[str, Size] = {
    "small": Size(10, 0.1),
    "demo": Size(30, 0.2),
    "medium": Size(64, 0.5),
    "large": Size(1000, 0.42),
}
"""About 11 thousand, 60 thousand, 300 thousand and 5 million rows."""
