"""Backups that are proven: dumped with a manifest of the same snapshot, checked before and compared after a restore."""
