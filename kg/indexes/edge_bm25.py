"""The BM25 encoder of every Qdrant backend: texts become sparse vectors of word weights, the engine adds how rare each word is.

Invariant: the embedded engine and a server get the same numbers for the same text, so both rank alike. Holds no texts.
"""

from typing import Any

LANGUAGE = "english"


def make_bm25() -> Any:
    """An encoder with `embed_document` and `embed_query`; each gives `indices` and `values`. Safe to call from several threads."""
    import qdrant_edge

    return qdrant_edge.Bm25(qdrant_edge.Bm25Config(language=LANGUAGE))
