"""Everything of wedsync-db that is true without Prefect."""

__version__ = "0.1.0"
