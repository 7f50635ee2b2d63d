"""Connections for the application: pools by tier that leave nothing to the next borrower and name who keeps one."""
