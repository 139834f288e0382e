"""Flower's settings (`celery -A worker.app flower`), which reads this file by itself."""

from __future__ import annotations

import os
import sys
from typing import Final

_SHORTEST: Final = 12
_password = os.environ.get("FLOWER_PASSWORD", "")
if len(_password) < _SHORTEST:
    # Flower without a password is open to whoever reaches its port.
    sys.exit(f"Error: choose FLOWER_PASSWORD, of {_SHORTEST} characters at least: openssl rand -hex 16")

basic_auth = [f"operator:{_password}"]
# A container listens on its own network; who may reach it says the compose file.
address = os.environ.get("FLOWER_ADDRESS", "127.0.0.1")
# In memory, about 10 MB. What was is in the database, and in the metrics.
# Arguments and results are in no event.
tasks_columns = "name,uuid,state,received,started,runtime,worker,retries,exception"
max_tasks = 10_000
