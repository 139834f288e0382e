"""Heads as rows, and what challengers in shadow say."""
