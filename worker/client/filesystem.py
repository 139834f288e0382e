"""kombu's filesystem broker with a writer that leaves no half-written message, on a full disk neither."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem


class WholeFileChannel(filesystem.Channel):
    """Writes queue files."""

    def _put(self, queue: str, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Write a message whole, or not at all."""
        folder = Path(self.data_folder_out)
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        part = folder / f"{name}.part"
        try:
            part.write_text(json.dumps(args[0]), encoding="utf-8")
            part.rename(folder / name)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ChannelError(f"no message can be written to {folder}: {error.strerror}") from error


class WholeFileTransport(filesystem.Transport):
    """`filesystem://`."""

    Channel = WholeFileChannel
