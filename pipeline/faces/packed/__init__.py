"""Networks on packed weights that all processes of a host share."""
