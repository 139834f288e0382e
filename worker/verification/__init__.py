"""One delivery from message to verdict, and what keeps the work in order."""
