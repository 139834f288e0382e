"""The tables, in SQLAlchemy Core."""
