"""Retrainings, their members and faces, and the labels that they learn from."""
