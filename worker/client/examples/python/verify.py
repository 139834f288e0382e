"""Asks for one verification, receives the webhook about it, checks it, and says the verdict in words.

    python verify.py [MEMBER_ID]

Variables: VERIFY_BROKER_URL, WEBHOOK_SECRET (whsec_…), PORT (8080).
"""

from __future__ import annotations

import os
import queue
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from face_verification_client import BadEvent, Client, Event
from face_verification_client.events import verify_event

SECRETS = os.environ["WEBHOOK_SECRET"].split()  # two of them while one replaces the other
received: queue.Queue[Event] = queue.Queue()  # yours is a table: answer 2xx when the event is stored


class Receiver(BaseHTTPRequestHandler):
    """Takes webhooks."""

    def do_POST(self) -> None:
        """One webhook: 204 if it is genuine, 400 if not."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            received.put(verify_event(body, dict(self.headers.items()), SECRETS))
        except BadEvent as bad:
            print("refused:", bad)
            self.send_response(400)
        else:
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def in_words(event: Event) -> str:
    """What came of the request."""
    verdicts = {
        "approved": f"is approved; photos that may carry the badge: {[*event.verified_photos]}",
        "review": "waits for a person to look",
        "retry_photo": f"is asked for a better photo ({event.reason})",
        "rejected": "is rejected",
        "error": f"could not be judged ({event.problem or event.reason}), through no fault of theirs",
    }
    return f"{event.member_id} {verdicts.get(event.status or '', f'was refused: {event.problem}')}"


def main() -> None:
    """The whole way."""
    member_id = sys.argv[1] if len(sys.argv) > 1 else "sandbox-approved"
    port = int(os.environ.get("PORT", "8080"))
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    with Client.from_environment() as client:
        request_id = client.request_verification(
            member_id=member_id,
            selfie_url="https://photos.example.com/selfie.jpg",
            photo_urls=["https://photos.example.com/1.jpg", "https://photos.example.com/2.jpg"],
            declared_gender="female",
        )
    print(f"sent {request_id}")
    event = received.get(timeout=60)
    while event.request_id != request_id:  # of an earlier request
        event = received.get(timeout=60)
    print(f"verified webhook {event.id}: {event.type}")
    print(in_words(event))
    print(event.text_en or "")
    server.shutdown()


if __name__ == "__main__":
    main()
