"""Composition: which task comes after which. No SQL, no types."""
