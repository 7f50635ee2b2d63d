"""Load tests: an open loop of arrivals, measured from when each was due, judged with what can be known."""
