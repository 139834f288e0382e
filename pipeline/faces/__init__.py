"""Faces in pictures: detection, alignment, quality, embeddings."""
