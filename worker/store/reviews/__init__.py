"""Cases that people decide: the queue, blind answers, decisions, and how well it goes."""
