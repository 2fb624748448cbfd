"""The Merkle tree of RFC 6962 over the change log: hashes, roots, inclusion and consistency proofs, and their checks.

Invariant I13: two logs that differ in any byte of any leaf have different roots. Everything here is pure; a store keeps the
roots of complete subtrees as `node(level, index)` (level 0: the leaves) and hands them in through `Fetch`. Algorithms and
names follow RFC 6962 section 2.1 and RFC 9162 sections 2.1.3.2 and 2.1.4.2. Signed checkpoints are made elsewhere.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

#: Gives the root of the complete subtree (level, index); level 0 is the leaf hash itself.
Fetch = Callable[[int, int], bytes]
Node = tuple[int, int, bytes]
EMPTY_ROOT = hashlib.sha256(b"").digest()
_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf: SHA-256(0x00 || data)."""
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 || left || right)."""
    return _sha256(b"\x01" + left + right).digest()


def edge(size: int) -> list[tuple[int, int]]:
    """The (level, index) of the complete subtrees that together hold the first `size` leaves, lowest level first."""
    return [(level, (size >> level) - 1) for level in range(size.bit_length()) if size >> level & 1]


def append(pending: dict[int, bytes], size: int, leaves: Iterable[bytes]) -> list[Node]:
    """Add leaf hashes to a tree of `size` leaves; returns the inner nodes completed, in order.

    `pending` maps level to root for each subtree of `edge(size)` and is brought up to the new size in place.
    """
    made: list[Node] = []
    for leaf in leaves:
        level, root = 0, leaf
        while size >> level & 1:
            root = node_hash(pending[level], root)
            level += 1
            made.append((level, size >> level, root))
        pending[level] = root
        size += 1
    return made


def root_of(pending: Mapping[int, bytes], size: int) -> bytes:
    """The root of a tree of `size` leaves from the roots of `edge(size)`."""
    root: bytes | None = None
    for level, _ in edge(size):
        root = pending[level] if root is None else node_hash(pending[level], root)
    return EMPTY_ROOT if root is None else root


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes."""
    pending: dict[int, bytes] = {}
    append(pending, 0, leaves)
    return root_of(pending, len(leaves))


def _split(size: int) -> int:
    """The largest power of two below `size` (size >= 2)."""
    return 1 << (size - 1).bit_length() - 1


def _subtree(start: int, size: int, fetch: Fetch) -> bytes:
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return fetch(level, start >> level)
    k = _split(size)
    return node_hash(_subtree(start, k, fetch), _subtree(start + k, size - k, fetch))


def inclusion_proof(index: int, size: int, fetch: Fetch) -> list[bytes]:
    """The audit path of leaf `index` (from 0) in the tree of the first `size` leaves."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    start, count = 0, size
    while count > 1:
        k = _split(count)
        if index < start + k:
            path.append(_subtree(start + k, count - k, fetch))
            count = k
        else:
            path.append(_subtree(start, k, fetch))
            start, count = start + k, count - k
    return path[::-1]


def consistency_proof(first: int, second: int, fetch: Fetch) -> list[bytes]:
    """The proof that the tree of `first` leaves is a prefix of the tree of `second` leaves (0 < first <= second)."""
    if not 0 < first <= second:
        raise ValueError(f"no consistency proof from {first} to {second}")
    path: list[bytes] = []
    start, count, whole = 0, second, True
    while first != count:
        k = _split(count)
        if first <= k:
            path.append(_subtree(start + k, count - k, fetch))
            count = k
        else:
            path.append(_subtree(start, k, fetch))
            start, first, count, whole = start + k, first - k, count - k, False
    if not whole:
        path.append(_subtree(start, count, fetch))
    return path[::-1]


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows that `leaf` is number `index` of the `size` leaves under `root` (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    fn, sn, node = index, size - 1, leaf
    for sibling in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            node = node_hash(sibling, node)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = node_hash(node, sibling)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and node == root


def extends(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the tree of `second` leaves starts with the tree of `first` (RFC 9162 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    older = newer = path[0]
    for sibling in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            newer = node_hash(newer, sibling)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and older == first_root and newer == second_root
