"""
Proofs that several entries stand at their places in one tree: the hashes of everything else, from left to right.

One construction serves every level of the index: leaves in the log, lists in a bucket, rows in a list. What is shown is
bound by position, so that a run of positions shown without gap cannot hide anything in between.

Pure: the standard library only. The tree is RFC 6962's (`consent.ledger.merkle`).
"""

from collections.abc import Iterator, Mapping, Sequence

from consent.ledger.merkle import EMPTY_ROOT, HASH_SIZE, ProofInvalid, Range, node_hash


def hidden_ranges(size: int, shown: Sequence[int]) -> list[Range]:
    """
    The largest nodes of the tree of `size` entries that hold none of the `shown` indexes, from left to right.

    Their hashes are the proof. `shown` is sorted, without repetition; raises ValueError for an index outside the tree.
    """
    if any(not 0 <= index < size for index in shown):
        raise ValueError(f"an index is outside a tree of {size} entries")
    return [] if size == 0 else list(_hidden(0, size, shown, 0, len(shown)))


def _hidden(start: int, end: int, shown: Sequence[int], first: int, last: int) -> Iterator[Range]:
    """Walk down the node [start, end), in which shown[first:last] lie."""
    if first == last:
        yield start, end
    elif end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        cut = first
        while cut < last and shown[cut] < middle:
            cut += 1
        yield from _hidden(start, middle, shown, first, cut)
        yield from _hidden(middle, end, shown, cut, last)


def subset_root(size: int, shown: Mapping[int, bytes], proof: Sequence[bytes]) -> bytes:
    """
    Recompute the root of a tree of `size` entries from the leaf hashes `shown` by index and the hashes of the rest.

    Raises ProofInvalid when the proof does not have exactly the hashes that are needed, 32 bytes each.
    """
    if any(not 0 <= index < size for index in shown):
        raise ProofInvalid(f"an index is outside a tree of {size} entries")
    if any(len(each) != HASH_SIZE for each in (*shown.values(), *proof)):
        raise ProofInvalid("a hash of the proof does not have 32 bytes")
    rest = iter(proof)
    indexes = sorted(shown)
    root = EMPTY_ROOT if size == 0 else _root(0, size, indexes, shown, rest)
    if next(rest, None) is not None:
        raise ProofInvalid("the proof is too long")
    return root


def _root(start: int, end: int, indexes: Sequence[int], shown: Mapping[int, bytes], rest: Iterator[bytes]) -> bytes:
    if not indexes:
        found = next(rest, None)
        if found is None:
            raise ProofInvalid("the proof is too short")
        return found
    if end - start == 1:
        return shown[start]
    middle = start + (1 << ((end - start - 1).bit_length() - 1))
    cut = sum(1 for index in indexes if index < middle)
    left = _root(start, middle, indexes[:cut], shown, rest)
    return node_hash(left, _root(middle, end, indexes[cut:], shown, rest))
