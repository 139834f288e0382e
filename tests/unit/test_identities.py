"""Whom a bundle learned from: it answers whoever knows a name, and lists nobody."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.bundles.head import Head
from pipeline.bundles.identities import FittedOn, Learner
from pipeline.errors import DataError

NAMES = ["Kim", "Lee", "Park"]
KEY = b"the operator's own"


def stored(people: FittedOn) -> Head:
    head = Head({**people.arrays(), "other": np.zeros(3)}, {"fitted_on": people.facts(), "name": "x"})
    return Head.unpack(head.pack(), head.metadata)


def test_a_bundle_knows_its_people_again_and_no_others() -> None:
    people = stored(FittedOn.people(NAMES)).fitted_on
    assert people.known(["Lee", "Choi", "kim"], Learner) == {"Lee"}
    assert people.known([], Learner) == set()


def test_a_bundle_that_names_nobody_knows_nobody() -> None:
    assert Head({}, {}).fitted_on.known(NAMES, Learner) == set()
    assert FittedOn.people([]).groups == ()


def test_no_name_can_be_read_from_a_bundle() -> None:
    head = stored(FittedOn.people(NAMES, KEY).joined(FittedOn.people(NAMES)))
    content = head.pack() + repr(head.metadata).encode()
    assert not [name for name in NAMES if name.encode() in content]
    assert KEY not in content
    assert KEY.hex().encode() not in content


def test_members_are_known_again_by_the_operators_key_alone() -> None:
    people = FittedOn.people(NAMES, KEY)
    assert people.known(["Lee", "Choi"], Learner, KEY) == {"Lee"}
    assert people.known(["Lee", "Choi"], Learner, b"a guess") == set()
    with pytest.raises(DataError, match="only the key"):
        people.known(["Lee"], Learner)


def test_the_same_people_give_the_same_hashes_in_any_order() -> None:
    one, other = FittedOn.people(NAMES), FittedOn.people([*NAMES[::-1], "Kim"])
    assert one.facts() == other.facts()
    assert np.array_equal(one.groups[0].hashes, other.groups[0].hashes)
    assert one.facts() != FittedOn.people(NAMES[:2]).facts()


def test_people_of_several_trainings_are_kept_and_those_under_one_key_once() -> None:
    first = FittedOn.people(["Jung"]).joined(FittedOn.people(NAMES, KEY))
    both = first.joined(FittedOn.people([*NAMES, "Choi"], KEY))
    assert [group["people"] for group in both.facts()] == [1, 4]
    assert stored(both).fitted_on.known(["Jung", "Choi", "Kim"], Learner, KEY) == {"Jung", "Choi", "Kim"}


def test_what_the_networks_learned_is_told_apart_from_what_the_head_did() -> None:
    people = FittedOn.people(NAMES).joined(FittedOn.people(["Lee"], learner=Learner.NETWORKS))
    assert people.known(NAMES, [Learner.NETWORKS]) == {"Lee"}
    assert people.known(NAMES, [Learner.HEAD]) == set(NAMES)
    members = FittedOn.people(NAMES, KEY)
    assert members.known(NAMES, [Learner.NETWORKS]) == set()
