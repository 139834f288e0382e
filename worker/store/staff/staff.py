"""The repositories about people of the console, over one database."""

from __future__ import annotations

from worker.store.database import Database
from worker.store.staff.sessions import Sessions


class Staff:
    """What the console needs of its people."""

    def __init__(self, database: Database) -> None:
        self.sessions = Sessions(database)
