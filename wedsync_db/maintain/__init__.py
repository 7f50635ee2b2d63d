"""Nightly work on a database: by need, in a time budget, judged by the server's counters."""
