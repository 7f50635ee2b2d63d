"""Side restore with selective repair: what a migration destroyed comes back from a backup, what is newer stays."""
