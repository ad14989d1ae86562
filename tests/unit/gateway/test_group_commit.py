"""
Group commit: who shares a transaction, who does not, and what becomes of each when one of them fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import pytest

from gateway.store.group_commit import GroupCommit

pytestmark = pytest.mark.anyio


@dataclass(eq=False)
class Item:
    """Something to commit, under a name."""

    name: str
    apart: frozenset[Hashable] = frozenset()


@dataclass
class Slow:
    """A store that takes its time, and fails for the names it is told to."""

    fails: frozenset[str] = frozenset()
    groups: list[list[str]] = field(default_factory=list)

    async def commit(self, items: Sequence[Item]) -> None:
        self.groups.append([item.name for item in items])
        await asyncio.sleep(0.01)
        if bad := self.fails & {item.name for item in items}:
            raise ValueError(min(bad))


async def test_what_arrives_during_a_commit_shares_the_next_one() -> None:
    """The first goes alone, the nine that came meanwhile go together, in their order."""
    store, group = Slow(), GroupCommit[Item]()
    await asyncio.gather(*(group.join(Item(str(number)), store.commit) for number in range(10)))
    assert [name for names in store.groups for name in names] == [str(number) for number in range(10)]
    assert len(store.groups) <= 2


async def test_a_group_has_a_limit() -> None:
    """Ten items by four make three groups."""
    store, group = Slow(), GroupCommit[Item](limit=4)
    await asyncio.gather(*(group.join(Item(str(number)), store.commit) for number in range(10)))
    assert max(map(len, store.groups)) == 4
    assert sum(map(len, store.groups)) == 10


async def test_items_that_must_stand_apart_never_share_a_transaction() -> None:
    """Two requests with one idempotency key: the second sees what the first did, and keeps its turn."""
    store, group = Slow(), GroupCommit[Item]()
    names = ["a1", "b1", "a2", "c1", "a3"]
    await asyncio.gather(*(group.join(Item(name, frozenset({name[0]})), store.commit) for name in names))
    assert all(len({name[0] for name in names}) == len(names) for names in store.groups)
    order = [name for names in store.groups for name in names if name[0] == "a"]
    assert order == ["a1", "a2", "a3"]


async def test_the_fault_of_one_is_paid_by_nobody_else() -> None:
    """The group fails as a whole, then each is tried alone: only the faulty one raises, its own error."""
    store, group = Slow(frozenset({"bad"})), GroupCommit[Item]()
    items = [Item(name) for name in ("first", "good", "bad", "fine")]
    ended = await asyncio.gather(*(group.join(item, store.commit) for item in items), return_exceptions=True)
    assert [type(end) for end in ended] == [type(None), type(None), ValueError, type(None)]
    assert str(ended[2]) == "bad"


async def test_after_a_failure_the_next_is_served() -> None:
    """Whoever tries again at once, in the same turn of the loop, is not forgotten."""
    store, group = Slow(frozenset({"bad"})), GroupCommit[Item]()
    with pytest.raises(ValueError, match="bad"):
        await group.join(Item("bad"), store.commit)
    await asyncio.wait_for(group.join(Item("good"), store.commit), 1)
    assert store.groups[-1] == ["good"]


async def test_who_went_away_before_its_turn_is_left_out() -> None:
    """A client that hung up while it waited was promised nothing: nothing is written for it."""
    store, group = Slow(), GroupCommit[Item]()
    first = asyncio.create_task(group.join(Item("first"), store.commit))
    await asyncio.sleep(0)
    gone = asyncio.create_task(group.join(Item("gone"), store.commit))
    stays = asyncio.create_task(group.join(Item("stays"), store.commit))
    await asyncio.sleep(0.001)
    gone.cancel()
    await asyncio.gather(first, stays)
    assert "gone" not in [name for names in store.groups for name in names]


async def test_who_goes_away_during_its_commit_disturbs_nobody() -> None:
    """The transaction under way ends, for those who share it."""
    store, group = Slow(), GroupCommit[Item]()
    leaves = asyncio.create_task(group.join(Item("leaves"), store.commit))
    await asyncio.sleep(0.001)
    leaves.cancel()
    await asyncio.wait_for(group.join(Item("next"), store.commit), 1)
    assert store.groups == [["leaves"], ["next"]]


class _Ending(BaseException):
    """What ends a process, such as SystemExit, and is no fault of an item."""


@pytest.mark.parametrize("together", [True, False], ids=["in a group", "one by one after a fault"])
async def test_what_ends_the_process_leaves_nobody_waiting(together: bool) -> None:
    """Whoever waited is told at once, and what comes later is served."""
    tries = 0

    async def commit(items: Sequence[Item]) -> None:
        nonlocal tries
        await asyncio.sleep(0.01)
        tries += 1
        if together or len(items) == 1:
            raise _Ending
        raise ValueError

    group = GroupCommit[Item]()
    waiting = [group.join(Item(str(number)), commit) for number in range(6)]
    async with asyncio.timeout(5):
        ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert {asyncio.CancelledError} == {type(each) for each in ended}
    assert tries == (1 if together else 2)
    leader = group._leader
    assert leader is not None and isinstance(leader.exception(), _Ending)
    store = Slow()
    await group.join(Item("later"), store.commit)
    assert [["later"]] == store.groups


async def test_who_was_answered_and_comes_back_shares_the_next_group_with_who_waited() -> None:
    """Twelve clients that send again once answered end in groups of twelve: not in halves, each waiting for the other."""
    store, group = Slow(), GroupCommit[Item]()

    async def client(number: int) -> None:
        await asyncio.sleep(0.0015 * number)
        for again in range(8):
            await group.join(Item(f"{number}.{again}"), store.commit)

    await asyncio.gather(*(client(number) for number in range(12)))
    assert [len(names) for names in store.groups].count(12) >= 5
