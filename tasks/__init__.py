"""One task for each verb of the library."""
