"""Labelled photos and their embeddings."""
