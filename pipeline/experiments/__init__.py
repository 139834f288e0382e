"""The source system's five tables of experiments, made again on open data by this project's training."""
