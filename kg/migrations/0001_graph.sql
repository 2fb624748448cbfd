-- Facts. `since` of a version or relation is the position of the change that made it, so it is the row's own key.
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL,
    at TEXT,
    causes INTEGER NOT NULL,
    seal BLOB NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, NULL, 0, zeroblob(32));

CREATE TABLE cause (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    activity TEXT NOT NULL,
    agent TEXT NOT NULL,
    reason TEXT NOT NULL,
    on_behalf_of TEXT,
    attributes TEXT NOT NULL,
    salt BLOB NOT NULL,
    request TEXT NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE INDEX cause_time ON cause (at, last) WHERE last >= first;

CREATE TABLE cause_input (
    cause INTEGER NOT NULL,
    place INTEGER NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (cause, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX cause_input_use ON cause_input (id, version);

CREATE TABLE change (
    position INTEGER PRIMARY KEY,
    cause INTEGER NOT NULL,
    kind TEXT NOT NULL,
    cls TEXT NOT NULL,
    subject TEXT NOT NULL,
    version INTEGER NOT NULL,
    changed TEXT NOT NULL,
    relation TEXT,
    target TEXT,
    origin TEXT,
    leaf BLOB NOT NULL
) STRICT;
CREATE INDEX change_subject ON change (subject);
CREATE INDEX change_target ON change (target) WHERE target IS NOT NULL;

-- `salts`: 16 bytes for the non-personal part, then 16 for each personal property in order of name.
-- `erased`: commitments {name: hex} of personal values that are gone, so that the leaf still verifies.
CREATE TABLE version (
    since INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    cls TEXT NOT NULL,
    until INTEGER,
    closed INTEGER NOT NULL,
    valid_from TEXT,
    valid_to TEXT,
    salts BLOB NOT NULL,
    props TEXT NOT NULL,
    personal TEXT,
    erased TEXT
) STRICT;
CREATE UNIQUE INDEX version_number ON version (id, version);
CREATE UNIQUE INDEX version_latest ON version (id) WHERE until IS NULL;
CREATE INDEX version_current ON version (cls, id) WHERE until IS NULL AND closed = 0;
CREATE INDEX version_past ON version (cls, id) WHERE until IS NOT NULL;

CREATE TABLE relation (
    since INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    until INTEGER,
    salt BLOB NOT NULL,
    props TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX relation_out ON relation (source, name, target) WHERE until IS NULL;
CREATE INDEX relation_in ON relation (target, name, source) WHERE until IS NULL;
CREATE INDEX relation_out_past ON relation (source, name, target) WHERE until IS NOT NULL;
CREATE INDEX relation_in_past ON relation (target, name, source) WHERE until IS NOT NULL;

-- Roots of the complete subtrees of the ledger above the leaves (RFC 6962).
CREATE TABLE node (
    level INTEGER NOT NULL,
    place INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;

-- State: what only the machine needs.
CREATE TABLE state (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    due INTEGER,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX state_due ON state (kind, due, key) WHERE due IS NOT NULL;

-- Text search follows the change log by its own cursor; it can be dropped and made again.
CREATE TABLE text_cursor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL
) STRICT;
INSERT INTO text_cursor VALUES (1, 0);
CREATE TABLE text_class (
    cls TEXT PRIMARY KEY,
    properties TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE text_entity (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    cls TEXT NOT NULL
) STRICT;
CREATE INDEX text_entity_class ON text_entity (cls);
CREATE VIRTUAL TABLE text_body USING fts5 (body, tokenize = "unicode61 remove_diacritics 2");
