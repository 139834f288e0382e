"""Writers of the access log in processes of their own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

from support.jobs import KIM, NOW
from worker.store import NewMember, Store, build_engine

THREADS = 2


def write_records(url: str, key: bytes, member_ids: Sequence[str], rounds: int, seed: int) -> int:
    """Each thread writes records of all kinds, several members at once in an order of its own; how many."""
    store = Store(build_engine(url), tombstone_key=key)
    with ThreadPoolExecutor(THREADS) as pool:
        works = [partial(_write, store, member_ids, rounds, seed * THREADS + n) for n in range(THREADS)]
        written = sum(done.result() for done in [pool.submit(work) for work in works])
    store.close()
    return written


def _write(store: Store, member_ids: Sequence[str], rounds: int, seed: int) -> int:
    chosen = random.Random(seed)
    access, written = replace(KIM, by=f"writer-{seed}"), 0
    for number in range(rounds):
        now = NOW + timedelta(seconds=number)
        written += len(store.accesses.note(chosen.sample(member_ids, 3), access, now))
        store.accesses.note_list(access, now)
        store.members.import_list([NewMember(f"n{seed}-{number}", None, "https://h/n.jpg", ())], now, access)
        written += 2
    return written
