"""Changing a database: plan, rehearse, apply, recover, judge."""
