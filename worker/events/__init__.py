"""Delivery of events to the app: webhooks, a Redis stream, and the run that serves both."""
