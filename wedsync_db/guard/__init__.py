"""Whether now is a good time to touch a target, and why not."""
