"""The outbox: results and events for the app."""
