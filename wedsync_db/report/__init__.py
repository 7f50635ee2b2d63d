"""What people read: text for the terminal, Markdown for Prefect, HTML for the archive. No effects but one file."""
