"""The source system's five tables of experiments, repeated on open data with this project's training."""
