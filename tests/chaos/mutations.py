"""Files and messages with something wrong in them: the same seed, the same damage."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from typing import Final

_NUMBERS: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""At the edges of what a size or a length can hold."""


def mutated(seeds: Sequence[bytes], number: int) -> bytes:
    """One of the seeds after one to four mutations, all chosen by the number."""
    rng = random.Random(number)
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 4)):
        if data:
            rng.choice(_MUTATIONS)(data, seeds, rng)
    return bytes(data)


def _flip(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    for _bit in range(rng.choice((1, 1, 4, 32))):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    data[at : at + 4] = rng.randbytes(rng.choice((1, 2, 4, 64)))


def _number(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    at, number = _place(data, rng), rng.choice(_NUMBERS)
    size = rng.choice(("B", ">H", "<H", ">I", "<I"))
    width = struct.calcsize(size)
    data[at : at + width] = struct.pack(size, number % (1 << 8 * width))


def _cut(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    del data[_place(data, rng) :]


def _remove(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 2, 8, 256))]


def _repeat(data: bytearray, _: Sequence[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = data[at : at + rng.choice((1, 16, 256))] * rng.choice((1, 2, 50))


def _graft(data: bytearray, seeds: Sequence[bytes], rng: random.Random) -> None:
    other, at = rng.choice(seeds), _place(data, rng)
    start = rng.randrange(len(other))
    data[at : at + 64] = other[start : start + rng.choice((4, 64, 1024))]


def _place(data: bytearray, rng: random.Random) -> int:
    """Half of the time in the head, where a file says what it is."""
    return rng.randrange(min(len(data), 256) if rng.random() < 0.5 else max(1, len(data)))


_MUTATIONS: Final[tuple[Callable[[bytearray, Sequence[bytes], random.Random], None], ...]] = (
    *(_flip, _flip, _overwrite, _number, _number, _cut, _remove, _repeat, _graft),
)
