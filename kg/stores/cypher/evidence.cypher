// What proves the ledger to others, and what erasure reads and sets.

// name: openings
UNWIND $positions AS position
MATCH (c:Change {position: position})
MATCH (u:Cause {number: c.cause})
OPTIONAL MATCH (p:Cause {number: c.cause - 1})
RETURN properties(c), labels(c), properties(u), p.seal ORDER BY c.position

// name: erase_own
UNWIND $ids AS id
MATCH (v:Version {subject: id}) WHERE v.version > 0
RETURN properties(v)

// name: erase_causes
MATCH (u:Cause) WHERE u.number > $after
RETURN properties(u), u.number ORDER BY u.number LIMIT $first

// name: erase_versions
MATCH (v:Change) WHERE v.position > $after AND v:Version
RETURN properties(v), v.position ORDER BY v.position LIMIT $first

// name: erase_links
MATCH (l:Change) WHERE l.position > $after AND l:Link
RETURN properties(l), l.position ORDER BY l.position LIMIT $first

// name: erase_states
MATCH (s:State) USING INDEX s:State(kind, key) WHERE s.kind > '' AND s.key > ''
RETURN s.kind, s.key, s.revision, s.due, s.value

// name: erase_payloads
MATCH (s:State {kind: $kind}) USING INDEX s:State(kind, key) WHERE s.key > ''
RETURN s.kind, s.key, s.revision, s.due, s.value

// name: erase_set_versions
UNWIND $rows AS row
MATCH (v:Change {position: row[0]}) SET v += row[1]
WITH row WHERE row[2] IS NOT NULL
MATCH (e:Entity {id: row[2]}) SET e = row[3]

// name: erase_set_links
UNWIND $rows AS row
MATCH (l:Change {position: row[0]}) SET l += row[1]
WITH l, row WHERE l.until IS NULL
MATCH (:Entity {id: l.subject})-[r {since: row[0]}]->(:Entity {id: l.target}) SET r = row[2]

// name: erase_set_causes
UNWIND $rows AS row
MATCH (u:Cause {number: row[0]}) SET u += row[1]

// name: erase_set_states
UNWIND $rows AS row
MERGE (s:State {kind: row[0], key: row[1]})
SET s.value = row[2], s.revision = coalesce(s.revision, 0) + 1
