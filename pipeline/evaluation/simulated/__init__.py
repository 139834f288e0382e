"""Simulated members, honest and not, and what they would send."""
