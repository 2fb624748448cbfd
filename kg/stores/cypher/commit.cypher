// What a commit asks and writes. Positions are given under the lock of the one Head, which is taken by writing it first.

// name: lock
MATCH (h:Head {one: 1}) SET h.turn = $token

// name: turn
MATCH (h:Head {one: 1}) SET h.turn = $token
MERGE (w:Writer {id: $writer}) SET w.token = $token
RETURN h.position AS position, h.at AS at, h.causes AS causes, h.seal AS seal

// name: head
MATCH (h:Head {one: 1}) RETURN h.position AS position, h.at AS at, h.causes AS causes, h.seal AS seal

// name: received
MATCH (w:Writer {id: $writer}) RETURN w.token AS token

// name: forget_writer
MATCH (w:Writer {id: $writer}) DELETE w

// name: load
RETURN COLLECT {
  UNWIND $ids AS id
  MATCH (e:Entity {id: id})
  OPTIONAL MATCH (v:Change {position: e.since})
  RETURN [v.position, v.subject, v.version, v.cls, v.until, v.closed, v.valid_from, v.valid_to, v.salts, v.props,
          v.personal, v.erased, e.id]
}, COLLECT {
  UNWIND $pairs AS key
  MATCH (l:CurrentLink {subject: key[0], relation: key[1]}) WHERE l.target IS NOT NULL
  WITH l ORDER BY l.position
  RETURN [l.position, l.subject, l.relation, l.target, l.until, l.salt, l.props]
}, COLLECT {
  UNWIND $triples AS key
  MATCH (l:CurrentLink {subject: key[0], relation: key[1], target: key[2]})
  WITH l ORDER BY l.position
  RETURN [l.position, l.subject, l.relation, l.target, l.until, l.salt, l.props]
}, COLLECT {
  UNWIND $keys AS key
  MATCH (s:State {kind: key[0], key: key[1]})
  RETURN [s.kind, s.key, s.revision, s.due, s.value]
}, COLLECT {
  UNWIND $causes AS id
  MATCH (u:Cause {id: id})
  RETURN [u.id, u.at, u.first, u.last, CASE WHEN u.erased IS NULL THEN u.salt END, u.request]
}, COLLECT {
  UNWIND $classes AS cls
  MATCH (t:TextClass {cls: cls})
  RETURN t.cls
}

// name: made
MATCH (c:Change) WHERE c.position >= $first AND c.position <= $last AND c.version > 0
RETURN c.subject, max(c.version)

// name: subtrees
UNWIND $positions AS position
MATCH (c:Change {position: position})
RETURN c.position, c.leaf, c.subtrees

// name: save_causes
MATCH (h:Head {one: 1})
SET h.settled = h.position, h.position = $position, h.at = $at, h.causes = $causes, h.seal = $seal
WITH h
UNWIND $rows AS row
CREATE (u:Cause) SET u = row

// name: save_inputs
UNWIND $rows AS row
MATCH (u:Cause {number: row[0]})
MATCH (v:Version {subject: row[1], version: row[2]})
CREATE (u)-[:USED]->(v)

// name: end_versions
UNWIND $rows AS row
MATCH (v:Change {position: row[0]})
SET v.until = row[1] REMOVE v:Current, v.text

// name: end_links
UNWIND $rows AS row
MATCH (l:Change {position: row[0]})
SET l.until = row[1] REMOVE l:CurrentLink

// name: cut_relationships
UNWIND $rows AS row
MATCH (:Entity {id: row[1]})-[r {since: row[0]}]->(:Entity {id: row[2]})
DELETE r

// name: save_new
UNWIND $rows AS made
MATCH (u:Cause {number: made.cause})
UNWIND made.rows AS row
CREATE (e:Entity:$(row.labels)) SET e = row.shown
CREATE (v:Change:Version:Current) SET v = row.node
CREATE (v)-[:VERSION_OF]->(e) CREATE (v)-[:CAUSED_BY]->(u)

// name: save_current
UNWIND $rows AS row
MATCH (u:Cause {number: row.node.cause})
MERGE (e:Entity {id: row.node.subject}) SET e = row.shown SET e:$(row.labels)
CREATE (v:Change:Version:Current) SET v = row.node
CREATE (v)-[:VERSION_OF]->(e) CREATE (v)-[:CAUSED_BY]->(u)

// name: save_past
UNWIND $rows AS row
MATCH (u:Cause {number: row.node.cause})
MERGE (e:Entity {id: row.node.subject})
CREATE (v:Change:Version) SET v = row.node
CREATE (v)-[:VERSION_OF]->(e) CREATE (v)-[:CAUSED_BY]->(u)

// name: show_closed
UNWIND $rows AS row
MATCH (e:Entity {id: row.id})
SET e = row.shown REMOVE e:$(row.labels)

// name: save_revisions
UNWIND $rows AS row
MATCH (v:Version {subject: row[0], version: row[1]})
MATCH (p:Version {subject: row[0], version: row[1] - 1})
CREATE (v)-[:REVISION_OF]->(p)

// name: save_endings
UNWIND $rows AS row
MATCH (l:Change {position: row[0]})
MATCH (c:Change {position: row[1]})
CREATE (c)-[:ENDS]->(l)

// name: await_targets
UNWIND $ids AS id
MERGE (:Entity {id: id})

// name: save_links
UNWIND $rows AS row
MATCH (u:Cause {number: row.node.cause})
MATCH (s:Entity {id: row.node.subject})
MATCH (t:Entity {id: row.node.target})
CREATE (l:Change:Link) SET l = row.node
CREATE (l)-[:SOURCE]->(s) CREATE (l)-[:TARGET]->(t) CREATE (l)-[:CAUSED_BY]->(u)

// name: save_current_links
UNWIND $rows AS made
MATCH (u:Cause {number: made.cause})
UNWIND made.rows AS row
MATCH (s:Entity {id: row.node.subject})
MATCH (t:Entity {id: row.node.target})
CREATE (l:Change:Link:CurrentLink) SET l = row.node
CREATE (l)-[:SOURCE]->(s) CREATE (l)-[:TARGET]->(t) CREATE (l)-[:CAUSED_BY]->(u)
CREATE (s)-[r:$(row.type)]->(t) SET r = row.shown

// name: save_ends
UNWIND $rows AS row
MATCH (u:Cause {number: row.cause})
CREATE (c:Change) SET c = row
CREATE (c)-[:CAUSED_BY]->(u)

// name: delete_state
UNWIND $keys AS key
MATCH (s:State {kind: key[0], key: key[1]})
DELETE s

// name: save_new_state
UNWIND $rows AS row
CREATE (s:State) SET s = row

// name: save_state
UNWIND $rows AS row
MERGE (s:State {kind: row.kind, key: row.key})
SET s.revision = row.revision, s.due = row.due, s.value = row.value

// name: note_classes
UNWIND $rows AS row
MERGE (t:TextClass {cls: row[0]}) ON CREATE SET t.properties = row[1], t.labels = row[2]

// name: label_classes
MATCH (t:TextClass) WHERE t.cls IS NOT NULL RETURN t.cls, t.labels

// name: label_page
MATCH (v:Current) WHERE v.cls = $cls AND v.subject > $after
WITH v.subject AS id ORDER BY id LIMIT $first
MATCH (e:Entity {id: id})
REMOVE e:$($former) SET e:$($labels)
RETURN max(id)

// name: labels_noted
MERGE (t:TextClass {cls: $cls}) SET t.labels = $labels
