// Erased causes and links carry a property `erased`; an erasure finds its own rows by reading all, so nothing needs an index.
