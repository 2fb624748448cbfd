"""Every error the shared context raises, so that a caller can tell bad input from a lost race from a broken store.

    NoesisError
    ├── InputError                what was handed in is wrong; nothing was written
    │   ├── ValueDomainError      a value outside the table of scalar types
    │   ├── ShapeError            a write the ontology does not allow
    │   ├── OntologyError         the ontology itself
    │   ├── MappingError          a mapping file, with its line
    │   ├── SourceError           a source that cannot be read
    │   ├── ArchiveError          a file that carries a whole graph
    │   └── ScanLimitError        too little of what was looked at may be seen
    ├── ConflictError             somebody else wrote first; read again and retry
    ├── UnknownIdError            nothing has the id that was given
    ├── CauseReusedError          one cause id, two different contents
    ├── StoreError                the store cannot serve
    │   ├── StoreBusyError        locked for longer than the bound
    │   ├── StoreReadOnlyError    may not be written
    │   ├── StoreFullError        no space left
    │   ├── StoreCorruptError     damaged
    │   └── StoreVersionError     written by a newer Noesis
    ├── LedgerError               the record does not verify
    │   ├── NoteError             (also InputError) a signed note, a key or a proof that is not what it says
    │   └── CheckpointError       a signed checkpoint and the ledger contradict each other
    ├── KeyFileError              a private key that cannot be used
    └── SearchIndexError          the semantic index cannot serve
        ├── ModelMismatchError    embeddings of another model
        └── OwnerGoneError        the process that owns the index does not answer

The class docstring is the default message. It holds the remedy, so that no error leaves a reader without a next step.
"""


class NoesisError(Exception):
    """Noesis cannot do this; the message of the error says why."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class InputError(NoesisError):
    """The input is not usable; correct it and try again."""


class UnknownIdError(NoesisError):
    """Nothing has this id; check it."""


class ValueDomainError(InputError):
    """The value is outside the table of scalar types (docs/glossary.md); convert it in the mapping or the agent."""


class ShapeError(InputError):
    """The write does not fit the ontology; correct the value or the shape."""


class OntologyError(InputError):
    """The ontology cannot be used; correct the Turtle file."""


class MappingError(InputError):
    """The mapping cannot be used; correct the named line."""


class SourceError(InputError):
    """The source cannot be read; check its address, its format and the permissions."""


class ArchiveError(InputError):
    """The archive cannot be used; make it again with `noesis export`."""


class ScanLimitError(InputError):
    """Too many rows that you may not see lie between those that you may; narrow the filter."""

    def __init__(self, message: str | None = None, passed: str = "") -> None:
        super().__init__(message)
        self.passed = passed


class ConflictError(NoesisError):
    """Something changed since it was read; read it again and retry."""

    def __init__(self, message: str | None = None, found: dict[str, int] | None = None) -> None:
        super().__init__(message)
        self.found = dict(found or {})


class CauseReusedError(NoesisError):
    """This cause id was already used for other writes; give every cause an id of its own."""


class StoreError(NoesisError):
    """The store cannot serve; run `noesis doctor`."""


class StoreBusyError(StoreError):
    """The store is locked by another process; try again, or stop the process that holds it."""


class StoreReadOnlyError(StoreError):
    """The store may not be written; check the permissions of its file and folder."""


class StoreFullError(StoreError):
    """No space is left for the store; nothing of this commit was written. Free space and retry."""


class StoreCorruptError(StoreError):
    """The store is damaged; restore a backup, then run `noesis verify`."""


class StoreVersionError(StoreError):
    """The store was written by a newer Noesis; upgrade Noesis or use another home."""


class LedgerError(NoesisError):
    """The ledger does not verify; the message names the first position that differs."""


class NoteError(LedgerError, InputError):
    """The signed note is malformed; take it again from where it was made."""


class CheckpointError(LedgerError):
    """The ledger is not the one that the checkpoint was signed for; keep both as evidence and restore a backup."""


class KeyFileError(NoesisError):
    """The key is no Ed25519 private key in PEM; give another, or let Noesis make one in the home folder."""


class SearchIndexError(NoesisError):
    """The semantic index cannot serve; run `noesis index check`."""


class ModelMismatchError(SearchIndexError):
    """The index was built with another embedding model; run `noesis index rebuild` or set the earlier model."""


class OwnerGoneError(SearchIndexError):
    """The process that owns the semantic index does not answer; start `noesis serve`, or try again."""
