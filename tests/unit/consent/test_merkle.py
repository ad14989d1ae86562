"""The hash tree against the definition of RFC 6962, written here a second time and differently."""

from functools import cache
from hashlib import sha256

import pytest

from consent.ledger.merkle import (
    EMPTY_ROOT,
    ProofInvalid,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    range_hash,
    range_hashes,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

SMALL = 40
LEAVES = [leaf_hash(f"entry {i}".encode()) for i in range(70_000)]


def split(n: int) -> int:
    """The largest power of two strictly smaller than n, by counting."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


@cache
def mth(start: int, end: int) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if end == start:
        return sha256(b"").digest()
    if end - start == 1:
        return LEAVES[start]
    k = split(end - start)
    return sha256(b"\x01" + mth(start, start + k) + mth(start + k, end)).digest()


def path(m: int, start: int, end: int) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1, word for word."""
    if end - start == 1:
        return []
    k = split(end - start)
    if m < k:
        return [*path(m, start, start + k), mth(start + k, end)]
    return [*path(m - k, start + k, end), mth(start, start + k)]


def subproof(m: int, start: int, end: int, *, whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2, word for word."""
    if m == end - start:
        return [] if whole else [mth(start, end)]
    k = split(end - start)
    if m <= k:
        return [*subproof(m, start, start + k, whole=whole), mth(start + k, end)]
    return [*subproof(m - k, start + k, end, whole=False), mth(start, start + k)]


def perfect(height: int, position: int) -> bytes:
    """The hash of a perfect subtree."""
    return tree_root(LEAVES[position << height : (position + 1) << height])


def altered(hashes: list[bytes]) -> list[list[bytes]]:
    """Every proof that differs by one flipped bit per hash, one hash less, one more, one shortened, or two swapped."""
    flipped = [[*hashes[:i], bytes([h[0] ^ 1]) + h[1:], *hashes[i + 1 :]] for i, h in enumerate(hashes)]
    missing = [hashes[:i] + hashes[i + 1 :] for i in range(len(hashes))]
    short = [[*hashes[:i], h[:-1], *hashes[i + 1 :]] for i, h in enumerate(hashes)]
    swapped = [[*hashes[:i], hashes[i + 1], hashes[i], *hashes[i + 2 :]] for i in range(len(hashes) - 1)]
    return [*flipped, *missing, *short, *swapped, [*hashes, LEAVES[0]], [LEAVES[0], *hashes]]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 255, 256, 257, 1_000, 65_535, 65_536, 65_537, 70_000])
def test_the_root_equals_the_recursive_definition(size: int) -> None:
    """Both ways of computing a root agree with the definition, around every power that tiles depend on."""
    expected = mth(0, size)
    assert expected == tree_root(LEAVES[:size])
    assert expected == range_hash(0, size, perfect)


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    """The root of the empty tree is SHA-256 of the empty string."""
    assert bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") == EMPTY_ROOT


def test_leaves_and_nodes_cannot_be_confused() -> None:
    """The prefix keeps an inner node from being presented as an entry (second preimage)."""
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])


def test_every_small_inclusion_proof_is_the_one_of_the_rfc_and_verifies() -> None:
    """All (index, size) up to 40 give exactly PATH, and the verification accepts it."""
    for size in range(1, SMALL + 1):
        for index in range(size):
            proof = range_hashes(inclusion_ranges(index, size), perfect)
            assert path(index, 0, size) == proof
            verify_inclusion(index, size, LEAVES[index], proof, mth(0, size))


def test_every_altered_inclusion_proof_is_refused() -> None:
    """A changed path, leaf, root, index or a size at which the path would have another shape never verifies."""
    refused = 0
    for size in range(1, SMALL + 1):
        root = mth(0, size)
        for index in range(size):
            proof = path(index, 0, size)
            cases = [(index, LEAVES[index], changed, root) for changed in altered(proof)]
            cases += [(other, LEAVES[index], proof, root) for other in range(-1, size + 1) if other != index]
            cases += [
                (index, LEAVES[size], proof, root),
                (index, LEAVES[index][:-1], proof, root),
                (index, LEAVES[index], proof, EMPTY_ROOT),
            ]
            for case_index, leaf, changed, case_root in cases:
                if changed == proof and (case_index, leaf, case_root) == (index, LEAVES[index], root):
                    continue
                with pytest.raises(ProofInvalid):
                    verify_inclusion(case_index, size, leaf, changed, case_root)
                refused += 1
    assert refused > 20_000


def test_every_small_consistency_proof_is_the_one_of_the_rfc_and_verifies() -> None:
    """All (old, new) up to 40 give exactly SUBPROOF, and the verification accepts it."""
    for new in range(1, SMALL + 1):
        for old in range(1, new + 1):
            proof = range_hashes(consistency_ranges(old, new), perfect)
            assert subproof(old, 0, new, whole=True) == proof
            verify_consistency(old, new, mth(0, old), mth(0, new), proof)


def test_every_altered_consistency_proof_is_refused() -> None:
    """A changed proof, a changed root on either side, or sizes in disorder never verify."""
    refused = 0
    for new in range(1, SMALL + 1):
        for old in range(1, new + 1):
            old_root, new_root, proof = mth(0, old), mth(0, new), subproof(old, 0, new, whole=True)
            cases = [(old, new, old_root, new_root, changed) for changed in altered(proof) if changed != proof]
            cases += [
                (old, new, LEAVES[0] if old > 1 else LEAVES[1], new_root, proof),
                (old, new, old_root, EMPTY_ROOT, proof),
            ]
            cases += [
                (0, new, EMPTY_ROOT, new_root, proof),
                (0, new, EMPTY_ROOT, new_root, []),
                (-1, new, old_root, new_root, proof),
            ]
            cases += [(new, old, new_root, old_root, proof)] if old != new else []
            for case in cases:
                with pytest.raises(ProofInvalid):
                    verify_consistency(*case)
                refused += 1
    assert refused > 10_000


def test_equal_sizes_need_equal_roots_and_no_proof() -> None:
    """Two roots for one size are a fork, whatever the proof."""
    verify_consistency(5, 5, mth(0, 5), mth(0, 5), [])
    with pytest.raises(ProofInvalid):
        verify_consistency(5, 5, mth(0, 5), mth(0, 6), [])
    with pytest.raises(ProofInvalid):
        verify_consistency(5, 5, mth(0, 5), mth(0, 5), [LEAVES[0]])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 3)])
def test_no_proof_is_built_for_an_entry_outside_the_tree(index: int, size: int) -> None:
    """Asking for the proof of an entry that is not there is an error, not an empty proof."""
    with pytest.raises(ValueError, match="no entry"):
        inclusion_ranges(index, size)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3)])
def test_no_consistency_proof_is_built_from_nothing(old: int, new: int) -> None:
    """The empty tree is consistent with everything, so that a proof from it would mean nothing."""
    with pytest.raises(ValueError, match="no consistency proof"):
        consistency_ranges(old, new)


def test_a_range_that_is_not_a_node_is_refused() -> None:
    """Entries 1 and 2 hang under different nodes: no hash stands for both."""
    with pytest.raises(ValueError, match="not a node"):
        range_hash(1, 3, perfect)
