"""The four departments' source systems, each with its own keys, spellings, units and clock."""
