"""Pages of operators: members, objections, dead jobs, retraining and models."""
