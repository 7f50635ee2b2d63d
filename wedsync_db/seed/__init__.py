"""Made-up suppliers and weddings, the same on every machine: for the demo, for rehearsals from empty, and for load."""

from wedsync_db.seed.load import SEED, seed
from wedsync_db.seed.sizes import SIZES

__all__ = ["SEED", "SIZES", "seed"]
