"""Look at a database: collect, health, alerts. Reads only."""
