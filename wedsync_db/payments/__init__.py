"""Events of the payment provider: their signature, and the way into the database."""
