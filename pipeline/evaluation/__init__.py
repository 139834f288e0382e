"""Honest figures: labelled photos in, error rates with their uncertainty out."""
