"""The daily report: one page for each environment, from what the history store knows."""
