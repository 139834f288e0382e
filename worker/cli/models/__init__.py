"""Commands about heads and retraining."""
