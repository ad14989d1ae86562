"""Tiles: their paths and contents, and growing a tree by its right edge."""

import pytest

from consent.ledger.merkle import (
    EMPTY_ROOT,
    HASH_SIZE,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    range_hashes,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from consent.ledger.tiles import (
    ENTRIES,
    RightEdge,
    Tile,
    TileHashes,
    TileInvalid,
    decode_bundle,
    encode_bundle,
    parse_path,
    split_hashes,
    tiles_for,
    tiles_of,
)

LEAVES = [leaf_hash(i.to_bytes(4, "big")) for i in range(70_000)]


def grown(size: int, step: int) -> tuple[RightEdge, dict[tuple[int, int], bytes]]:
    """A tree of `size` entries appended `step` at a time, with the last content of every tile."""
    edge, tiles = RightEdge(), dict[tuple[int, int], bytes]()
    for start in range(0, size, step):
        growth = edge.extend(LEAVES[start : min(start + step, size)])
        for name, content in growth.tiles.items():
            assert content.startswith(tiles.get(name, b"")), "a tile only grows at its end"
            tiles[name] = content
        edge = growth.edge
    return edge, tiles


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 0, 3), "tile/0/000.p/3"),
        (Tile(1, 1000), "tile/1/x001/000"),
        (Tile(63, 1_234_067), "tile/63/x001/x234/067"),
        (Tile(2, 1_234_067, 255), "tile/2/x001/x234/067.p/255"),
        (Tile(ENTRIES, 273, 112), "tile/entries/273.p/112"),
        (Tile(ENTRIES, 999), "tile/entries/999"),
    ],
)
def test_paths_follow_the_format_and_read_back(tile: Tile, path: str) -> None:
    """A tile has exactly one path."""
    assert path == tile.path
    assert tile == parse_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "", "checkpoint", "tile/0/0", "tile/0/x000/001", "tile/0/001/000", "tile/0/x001/x000", "tile/00/000", "tile/64/000",
        "tile/-1/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/03", "tile/0/000.p", "tile/0/000/", "/tile/0/000",
        "tile/0/../000", "tile/entries/000\n", "tile/0/00٣", "tile/data/000",
    ],
)  # fmt: skip
def test_any_other_spelling_of_a_path_is_refused(path: str) -> None:
    """Leading zeros, missing groups, widths out of range and climbing paths are no tiles."""
    with pytest.raises(ValueError, match="not the path"):
        parse_path(path)


def test_the_tiles_of_seventy_thousand_entries_are_those_of_the_format() -> None:
    """273 full and one of 112 at level 0, one full and one of 17 at level 1, one of 1 at level 2, bundles like level 0."""
    counted = {level: [t.width for t in tiles_of(70_000) if t.level == level] for level in (ENTRIES, 0, 1, 2, 3)}
    assert counted == {ENTRIES: [256] * 273 + [112], 0: [256] * 273 + [112], 1: [256, 17], 2: [1], 3: []}
    assert [Tile(ENTRIES, 0), Tile(0, 0), Tile(1, 0, 1)] == list(tiles_of(256))
    assert list(tiles_of(0)) == []


def test_a_reader_who_has_an_older_tree_fetches_only_what_changed() -> None:
    """From 300 to 600 entries: the tile that was partial, those after it, and the upper tile."""
    expected = {Tile(level, n, w) for level in (ENTRIES, 0) for n, w in ((1, 256), (2, 88))} | {Tile(1, 0, 2)}
    assert expected == set(tiles_of(600, since=300))
    assert list(tiles_of(600, since=600)) == []


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 511, 512, 1_000, 65_535, 65_536, 65_537, 70_000])
@pytest.mark.parametrize("step", [97, 256, 4_096])
def test_a_tree_grown_in_steps_has_the_tiles_and_root_of_the_whole(size: int, step: int) -> None:
    """Whatever the size of the groups, each tile and the root are those of the finished tree."""
    edge, tiles = grown(size, step)
    assert tree_root(LEAVES[:size]) == edge.root()
    assert {(t.level, t.n): t.width * HASH_SIZE for t in tiles_of(size) if t.level != ENTRIES} == {
        k: len(v) for k, v in tiles.items()
    }
    for (level, n), content in tiles.items():
        span = 256**level
        for i, found in enumerate(split_hashes(content, len(content) // HASH_SIZE)):
            start = (n * 256 + i) * span
            if i % 50 == 0 or level:
                assert tree_root(LEAVES[start : start + span]) == found


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 1_000, 65_536, 65_537, 70_000])
def test_proofs_read_from_tiles_verify_and_name_the_tiles_they_need(size: int) -> None:
    """Inclusion and consistency proofs come from the announced tiles alone, also when those have grown since."""
    edge, _ = grown(size, 4_096)
    _, tiles = grown(70_000, 4_096)
    for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        ranges = inclusion_ranges(index, size)
        needed = {name: tiles[name] for name in tiles_for(ranges)}
        verify_inclusion(index, size, LEAVES[index], range_hashes(ranges, TileHashes(needed)), edge.root())
        ranges = consistency_ranges(index + 1, size)
        needed = {name: tiles[name] for name in tiles_for(ranges)}
        old_root = tree_root(LEAVES[: index + 1])
        verify_consistency(index + 1, size, old_root, edge.root(), range_hashes(ranges, TileHashes(needed)))


def test_the_edge_of_a_tree_is_its_partial_tiles() -> None:
    """What must be fetched to append again is one partial tile per level at most."""
    assert [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)] == RightEdge.names(70_000)
    assert [Tile(1, 0, 1)] == RightEdge.names(256)
    assert RightEdge.names(0) == []
    assert RightEdge().root() == EMPTY_ROOT


def test_a_hash_that_is_not_stored_is_an_error() -> None:
    """A missing or short tile never becomes a wrong hash."""
    with pytest.raises(TileInvalid):
        TileHashes({})(0, 0)
    with pytest.raises(TileInvalid):
        TileHashes({(0, 0): b"".join(LEAVES[:3])})(2, 0)
    with pytest.raises(TileInvalid):
        RightEdge(3, {0: b"".join(LEAVES[:2])}).root()


def test_a_bundle_reads_back_and_has_no_slack() -> None:
    """Exactly the announced entries, or an error that says where the form breaks."""
    entries = [b"", b"a", bytes(65_535)]
    assert entries == decode_bundle(encode_bundle(entries), 3)
    assert bytes.fromhex("000161000162000163") == encode_bundle([b"a", b"b", b"c"])
    for raw, offset, position in ((b"\0\1a\0\2b", 3, 1), (b"\0\1a", 3, 1), (b"\0\1a\0\1b!", 6, 1), (b"\0\1a\0", 3, 1)):
        with pytest.raises(TileInvalid) as refused:
            decode_bundle(raw, 2)
        assert (offset, position) == (refused.value.offset, refused.value.position)
    with pytest.raises(ValueError, match="more than 65535"):
        encode_bundle([bytes(65_536)])


def test_a_tile_has_the_length_that_its_name_says() -> None:
    """A byte too few or too many is refused where it stands."""
    for length, offset in ((95, 95), (97, 96), (64, 64), (0, 0)):
        with pytest.raises(TileInvalid) as refused:
            split_hashes(bytes(length), 3)
        assert offset == refused.value.offset
