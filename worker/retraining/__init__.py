"""A retraining: its run, the embedding of labelled photos, the training process."""
