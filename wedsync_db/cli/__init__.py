"""The command line, but for what needs Prefect (flows/__main__.py adds that)."""
