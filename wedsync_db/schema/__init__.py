"""WedSync's schema as a whole: checks over the catalog for what makes it leak or slow, and its documentation."""
