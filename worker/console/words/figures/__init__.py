"""Words of figures and charts."""
