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
    chance = random.Random(number)
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 4)):
        if data:
            chance.choice(_MUTATIONS)(data, seeds, chance)
    return bytes(data)


def _flip(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    for _bit in range(chance.choice((1, 1, 4, 32))):
        data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _overwrite(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    at = _place(data, chance)
    data[at : at + 4] = chance.randbytes(chance.choice((1, 2, 4, 64)))


def _number(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    at, number = _place(data, chance), chance.choice(_NUMBERS)
    size = chance.choice(("B", ">H", "<H", ">I", "<I"))
    width = struct.calcsize(size)
    data[at : at + width] = struct.pack(size, number % (1 << 8 * width))


def _cut(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    del data[_place(data, chance) :]


def _remove(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    at = _place(data, chance)
    del data[at : at + chance.choice((1, 2, 8, 256))]


def _repeat(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    at = _place(data, chance)
    data[at:at] = data[at : at + chance.choice((1, 16, 256))] * chance.choice((1, 2, 50))


def _graft(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    other, at = chance.choice(seeds), _place(data, chance)
    start = chance.randrange(len(other))
    data[at : at + 64] = other[start : start + chance.choice((4, 64, 1024))]


def _place(data: bytearray, chance: random.Random) -> int:
    """Half of the time in the head, where a file says what it is."""
    return chance.randrange(min(len(data), 256) if chance.random() < 0.5 else max(1, len(data)))


_MUTATIONS: Final[tuple[Callable[[bytearray, Sequence[bytes], random.Random], None], ...]] = (
    *(_flip, _flip, _overwrite, _number, _number, _cut, _remove, _repeat, _graft),
)
