"""The Merkle tree against RFC 6962: roots by definition, proofs of every leaf and size, and no proof of anything else."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg import ledger
from verifier import noesis_verify

#: The inputs and roots that Certificate Transparency implementations test RFC 6962 with.
INPUTS = [bytes.fromhex(text) for text in
          ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
leaves_of = st.lists(st.binary(max_size=4), min_size=1, max_size=40).map(
    lambda data: [ledger.leaf_hash(d) for d in data]
)


def by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + by_definition(leaves[:k]) + by_definition(leaves[k:])).digest()


def fetcher(leaves: list[bytes]) -> ledger.Fetch:
    nodes = {(level, place): root for level, place, root in ledger.append({}, 0, leaves)}
    return lambda level, place: leaves[place] if level == 0 else nodes[level, place]


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size: int) -> None:
    assert ledger.root([ledger.leaf_hash(data) for data in INPUTS[:size]]).hex() == ROOTS[size - 1]


def test_the_empty_tree() -> None:
    assert ledger.root([]) == ledger.EMPTY_ROOT == hashlib.sha256(b"").digest()


@given(leaves_of)
def test_the_root_is_the_definition_and_grows_by_appending(leaves: list[bytes]) -> None:
    assert ledger.root(leaves) == by_definition(leaves)
    pending: dict[int, bytes] = {}
    for size, leaf in enumerate(leaves):
        ledger.append(pending, size, [leaf])
        assert ledger.root_of(pending, size + 1) == by_definition(leaves[: size + 1])
        assert set(pending) >= {level for level, _ in ledger.edge(size + 1)}


@given(leaves_of, st.data())
def test_inclusion(leaves: list[bytes], data: st.DataObject) -> None:
    index, root, size = data.draw(st.integers(0, len(leaves) - 1)), by_definition(leaves), len(leaves)
    proof = ledger.inclusion_proof(index, size, fetcher(leaves))
    assert ledger.includes(leaves[index], index, size, proof, root)
    assert not ledger.includes(ledger.leaf_hash(b"other than any"), index, size, proof, root)
    assert not ledger.includes(leaves[index], size, size, proof, root)
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        bad = [*proof]
        bad[place] = bytes([bad[place][0] ^ 1]) + bad[place][1:]
        assert not ledger.includes(leaves[index], index, size, bad, root)
        assert not ledger.includes(leaves[index], index, size, proof[:-1], root)
    assert not ledger.includes(leaves[index], index, size, [*proof, root], root)


@given(leaves_of, st.data())
def test_consistency(leaves: list[bytes], data: st.DataObject) -> None:
    second = len(leaves)
    first = data.draw(st.integers(1, second))
    old, new = by_definition(leaves[:first]), by_definition(leaves)
    proof = ledger.consistency_proof(first, second, fetcher(leaves))
    assert ledger.extends(first, old, second, new, proof)
    other = ledger.leaf_hash(b"other than any")
    if first < second:
        assert not ledger.extends(first, other, second, new, proof)
        place = data.draw(st.integers(0, len(proof) - 1))
        assert not ledger.extends(first, old, second, new, [*proof[:place], other, *proof[place + 1 :]])
    assert not ledger.extends(first, old, second, other, proof)
    assert not ledger.extends(first, old, second, new, [*proof, other])


def test_proofs_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="not in a tree"):
        ledger.inclusion_proof(3, 3, fetcher([b""] * 3))
    with pytest.raises(ValueError, match="no consistency"):
        ledger.consistency_proof(0, 3, fetcher([b""] * 3))
    assert not ledger.extends(0, b"", 3, b"", [])
    assert not ledger.extends(3, b"", 2, b"", [])


#: Nothing, one, and around each power of two, where the shape of the tree changes.
SIZES = sorted({size for n in range(6) for size in (2**n - 1, 2**n, 2**n + 1)})
LEAVES = [ledger.leaf_hash(bytes([n])) for n in range(max(SIZES) + 2)]


def cut(count: int) -> int:
    return max(2**n for n in range(count.bit_length()) if 2**n < count)


def path_by_definition(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    k = cut(len(leaves))
    if index < k:
        return [*path_by_definition(index, leaves[:k]), by_definition(leaves[k:])]
    return [*path_by_definition(index - k, leaves[k:]), by_definition(leaves[:k])]


def proof_by_definition(first: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2, word for word; PROOF is the one over whole trees."""
    if first == len(leaves):
        return [] if whole else [by_definition(leaves)]
    k = cut(len(leaves))
    if first <= k:
        return [*proof_by_definition(first, leaves[:k], whole), by_definition(leaves[k:])]
    return [*proof_by_definition(first - k, leaves[k:], False), by_definition(leaves[:k])]


def leads(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """What the single-file verifier says of a path."""
    ends = noesis_verify.climb(index, size - 1, leaf, path) if 0 <= index < size else None
    return ends is not None and ends[1] == root


@pytest.mark.parametrize("size", SIZES)
def test_every_inclusion_proof_is_the_definition_and_shows_that_place_alone(size: int) -> None:
    leaves, root = LEAVES[:size], by_definition(LEAVES[:size])
    for index in range(size):
        path = ledger.inclusion_proof(index, size, fetcher(leaves))
        assert path == path_by_definition(index, leaves)
        for place in range(-1, size + 2):
            shown = place == index
            assert ledger.includes(leaves[index], place, size, path, root) == shown
            assert leads(leaves[index], place, size, path, root) == shown
        for wrong in ([*path, root], path[1:] if path else [root], path[::-1] if path != path[::-1] else [root]):
            assert not ledger.includes(leaves[index], index, size, wrong, root)
            assert not leads(leaves[index], index, size, wrong, root)
    for index in (-1, size, size + 1):
        with pytest.raises(ValueError, match="is not in a tree"):
            ledger.inclusion_proof(index, size, fetcher(leaves))


@pytest.mark.parametrize("second", SIZES)
def test_every_consistency_proof_is_the_definition_and_no_other_tree_is_older(second: int) -> None:
    leaves, newer = LEAVES[:second], by_definition(LEAVES[:second])
    forked = by_definition([LEAVES[-1], *LEAVES[1:second]])
    checks = (ledger.extends, noesis_verify.extends)
    for first in range(second + 2):
        older = by_definition(LEAVES[:first])
        if not 0 < first <= second:
            with pytest.raises(ValueError, match="no consistency proof"):
                ledger.consistency_proof(first, second, fetcher(leaves))
            for proof in ([], [older], [newer], [older, newer]):
                assert not any(check(first, older, second, newer, proof) for check in checks)
            continue
        proof = ledger.consistency_proof(first, second, fetcher(leaves))
        assert proof == proof_by_definition(first, leaves)
        for check in checks:
            assert check(first, older, second, newer, proof)
            assert not check(first, forked, second, newer, proof)
            assert not check(first, older, second, forked, proof)
            assert not check(first, older, second, newer, [*proof, newer])
            assert not check(first, older, second, newer, proof[:-1] if proof else [older])
            for other in range(second + 2):
                assert check(first, by_definition(LEAVES[:other]), second, newer, proof) == (other == first)
