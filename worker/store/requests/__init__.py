"""Requests: from a message or a change of photos to the verdict; dead jobs."""
