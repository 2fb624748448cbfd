-- What an erasure left of a row, as canonical JSON: the commitment that the ledger holds, and the erasures that touched it.
ALTER TABLE cause ADD COLUMN erased TEXT;
ALTER TABLE relation ADD COLUMN erased TEXT;
