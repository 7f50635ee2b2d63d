"""Everything that talks to PostgreSQL or starts it."""
