"""What is remembered outside of the targets: metrics, alerts, backups, maintenance, load runs."""
