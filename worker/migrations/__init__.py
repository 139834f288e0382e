"""The tables' history: one for MySQL, MariaDB and SQLite, run by `python -m worker init-db`.

A revision is a file in `versions`. It spells out names and words, for it must go on building what
it built when `worker.store.tables.schema` has moved on. Every table name carries the prefix of the set-up
(`op.get_context().opts["table_prefix"]`); SQLite's ALTER needs `op.batch_alter_table`.
"""

from worker.migrations.migrate import behind, current_revision, migrate

__all__ = ["behind", "current_revision", "migrate"]
