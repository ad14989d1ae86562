"""
The hash tree of RFC 6962: hashes, which subtrees a proof is made of, and the two verifications.

Pure: no I/O, nothing but the standard library. A tree is never held whole. Functions that build something take a
`Subtree`, a function that gives the hash of one perfect subtree, and say through `perfect_subtrees` which ones they will
ask for, so that a store can fetch them in one go.

Source: RFC 6962 section 2.1, RFC 9162 sections 2.1.3.2 and 2.1.4.2 (the two verifications).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()

Range = tuple[int, int]
"""Entries [start, end)."""

Subtree = Callable[[int, int], bytes]
"""(height, position) to the 32-byte hash of entries [position * 2^height, (position + 1) * 2^height)."""


class ProofInvalid(ValueError):
    """
    A proof does not show what it claims: the file that holds it was altered, or belongs to another tree.

    There is nothing to retry: ask for the proof again, and keep the refused one as evidence.
    """


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry, SHA-256(0x00 || entry), 32 bytes."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node, SHA-256(0x01 || left || right), 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


def tree_root(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes (or over the hashes of equal perfect subtrees), by pairing level after level."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        pairs = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        # An odd last hash rises unpaired: with the split at a power of two this is exactly RFC 6962's unbalanced right edge.
        level = pairs + level[len(level) & ~1 :]
    return level[0]


def _split(length: int) -> int:
    """The largest power of two strictly smaller than `length` (length > 1)."""
    return 1 << ((length - 1).bit_length() - 1)


def perfect_subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The (height, position) of the perfect subtrees that cover entries [start, end), from left to right."""
    while start < end:
        height = (end - start).bit_length() - 1
        if start % (1 << height):
            raise ValueError(f"range {start}-{end} is not a node of the tree")
        yield height, start >> height
        start += 1 << height


def range_hash(start: int, end: int, subtree: Subtree) -> bytes:
    """MTH(D[start:end]) for a range that is a node of the tree (or the whole tree, start 0); 32 bytes."""
    hashes = [subtree(height, position) for height, position in perfect_subtrees(start, end)]
    if not hashes:
        return EMPTY_ROOT
    root = hashes.pop()
    while hashes:
        root = node_hash(hashes.pop(), root)
    return root


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The ranges whose hashes prove that `index` is in the tree of `size` entries, the leaf's sibling first."""
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} in a tree of {size}")
    start, end, ranges = 0, size, list[Range]()
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The ranges whose hashes prove that the tree of `old` entries is a prefix of the tree of `new` entries."""
    if not 0 < old <= new:
        raise ValueError(f"no consistency proof from {old} to {new}")
    start, end, ranges = 0, new, list[Range]()
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    # Here [start, end) ends the old tree. When it *is* the old tree the verifier already has its hash.
    if start > 0:
        ranges.append((start, end))
    return ranges[::-1]


def range_hashes(ranges: Iterable[Range], subtree: Subtree) -> list[bytes]:
    """The hashes of a list of ranges: turns `inclusion_ranges` or `consistency_ranges` into the proof itself."""
    return [range_hash(start, end, subtree) for start, end in ranges]


def verify_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """
    Check that `leaf` is the hash of entry `index` in the tree of `size` entries with this `root`.

    Raises ProofInvalid. RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size:
        raise ProofInvalid(f"index {index} is outside a tree of {size} entries")
    if len(leaf) != HASH_SIZE or any(len(step) != HASH_SIZE for step in path):
        raise ProofInvalid("a hash of the inclusion proof does not have 32 bytes")
    fn, sn, result = index, size - 1, leaf
    for step in path:
        if sn == 0:
            raise ProofInvalid("the inclusion proof is too long")
        if fn & 1 or fn == sn:
            result = node_hash(step, result)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            result = node_hash(result, step)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise ProofInvalid("the inclusion proof is too short")
    if result != root:
        raise ProofInvalid("the inclusion proof leads to another root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """
    Check that the tree of `old` entries is a prefix of the tree of `new` entries.

    `old` = 0 is refused: an empty tree says nothing about what follows, and an attacker would start there. The lengths of
    the roots are checked where checkpoints are parsed. Raises ProofInvalid. RFC 9162 section 2.1.4.2.
    """
    if not 0 < old <= new:
        raise ProofInvalid(f"no consistency can be shown from size {old} to size {new}")
    if any(len(step) != HASH_SIZE for step in proof):
        raise ProofInvalid("a hash of the consistency proof does not have 32 bytes")
    if old == new:
        if proof or old_root != new_root:
            raise ProofInvalid("two roots are given for the same size")
        return
    if not proof:
        raise ProofInvalid("the consistency proof is empty")
    steps = [*proof] if old & (old - 1) else [old_root, *proof]
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    _climb(fn, sn, steps, old_root, new_root)


def _climb(fn: int, sn: int, steps: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Recompute both roots from the last common subtree upwards (RFC 9162 section 2.1.4.2, steps 5 and 6)."""
    fr = sr = steps[0]
    for step in steps[1:]:
        if sn == 0:
            raise ProofInvalid("the consistency proof is too long")
        if fn & 1 or fn == sn:
            fr, sr = node_hash(step, fr), node_hash(step, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, step)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise ProofInvalid("the consistency proof is too short")
    if fr != old_root:
        raise ProofInvalid("the consistency proof does not lead to the older root")
    if sr != new_root:
        raise ProofInvalid("the consistency proof does not lead to the newer root")
