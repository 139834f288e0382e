"""Commands that set up, start and watch."""
