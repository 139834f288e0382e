"""A reviewer in a process of its own, who works until nothing waits, and does not always do as asked."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from typing import Final

from pipeline.verdict import Status
from support.jobs import KIM
from support.reviews import RULINGS
from worker.clock import utc_now
from worker.errors import NotPossible
from worker.store import Claim, ReviewRules, Store, build_engine
from worker.store.tables.states import PairLabel

RULES: Final = ReviewRules(key=b"key", second_share=0.2)
_PAUSE: Final = 0.02
_IDLE: Final = 200
"""Rounds without a case, while the other one has the last; then something is lost."""


def begin(url: str, names: Sequence[str]) -> list[BaseProcess]:
    """Start one process for each name."""
    spawning = multiprocessing.get_context("spawn")
    processes = [spawning.Process(target=_work, args=(url, name)) for name in names]
    for process in processes:
        process.start()
    return list(processes)


def _work(url: str, name: str) -> None:
    engine, dice, idle = build_engine(url), random.Random(name), 0
    store = Store(engine, tombstone_key=b"key", review_rules=RULES)
    while idle < _IDLE and store.reviews.queue.page(utc_now(), limit=1).open:
        claim = store.reviews.queue.claim_next(name, utc_now())
        idle = 0 if claim else idle + 1
        time.sleep(dice.uniform(0, _PAUSE if claim is None else _PAUSE / 10))
        if claim is not None:
            _decide(store, claim, dice)
    engine.dispose()


def _decide(store: Store, claim: Claim, dice: random.Random) -> None:
    """About a tenth of the cases goes back; about a tenth is to be decided without a look."""
    approves = int(claim.member_id.removeprefix("m")) % 3
    ruling = RULINGS[Status.APPROVED if approves else Status.REJECTED]
    if dice.random() < 0.1:
        store.reviews.queue.release(claim, utc_now())
        return
    if dice.random() < 0.1:
        try:
            store.reviews.decisions.decide(claim, ruling, utc_now())
        except NotPossible:
            pass
        else:
            raise AssertionError("decided without a look")
    view = store.reviews.queue.look(claim, KIM, utc_now())
    word = PairLabel.GENUINE if approves else PairLabel.IMPOSTOR
    store.reviews.answers.answer(claim, dict.fromkeys(view.to_answer, word), utc_now())
    store.reviews.decisions.decide(claim, ruling, utc_now())
