"""The parts of the API's tests: a platform over a store in a file."""

from tests.api.conftest import clock, platform, store, words

__all__ = ["clock", "platform", "store", "words"]
