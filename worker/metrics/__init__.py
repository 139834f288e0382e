"""Metrics for Prometheus: what a worker counts, what it reads of the system, and where it serves both."""
