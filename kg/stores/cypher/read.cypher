// What is read of entities, changes, causes and machine rows. Words in [[ ]] are filled in from our own texts, never from values.

// name: get_now
UNWIND $ids AS id
MATCH (e:Entity {id: id}) WHERE NOT e.closed
MATCH (v:Change {position: e.since})
RETURN [[entity]]

// name: get_past
UNWIND $ids AS id
MATCH (v:Version {subject: id}) WHERE [[there]]
RETURN [[entity]]

// name: versions
UNWIND $pairs AS pair
MATCH (v:Version {subject: pair[0], version: pair[1]})
RETURN [[entity]]

// name: history
MATCH (v:Version {subject: $id}) WHERE v.version > 0
RETURN [[entity]] ORDER BY v.version

// name: find
MATCH (v:[[label]]) WHERE [[classes]] AND v.subject IS NOT NULL AND [[there]] AND [[where]]
RETURN [[entity]] ORDER BY [[order]] LIMIT $limit

// name: count
MATCH (v:[[label]]) WHERE [[classes]] AND v.subject IS NOT NULL AND [[there]] AND [[where]]
WITH v LIMIT $limit
RETURN count(v)

// name: position_at
MATCH (u:Cause) WHERE u.at <= $at AND u.last >= u.first
RETURN u.last ORDER BY u.at DESC, u.last DESC LIMIT 1

// name: changes
MATCH (c:Change) WHERE c.position > $after AND c.position <= $until
MATCH (u:Cause {number: c.cause})
RETURN [[change]] ORDER BY c.position

// name: tail
MATCH (h:Head {one: 1}) RETURN h.position AS position, h.settled AS settled

// name: changes_of
CALL () {
  MATCH (c:Change) WHERE c.subject = $id AND c.position > 0 RETURN c ORDER BY c.position DESC LIMIT $first
  UNION
  MATCH (c:Change) WHERE c.target = $id AND c.position > 0 RETURN c ORDER BY c.position DESC LIMIT $first
}
WITH c ORDER BY c.position DESC LIMIT $first
MATCH (u:Cause {number: c.cause})
RETURN [[change]] ORDER BY c.position DESC

// name: caused
MATCH (u:Cause {id: $cause})
MATCH (c:Change) WHERE c.position >= u.first AND c.position <= u.last
RETURN [[change]] ORDER BY c.position LIMIT $first

// name: causes
UNWIND $ids AS id
MATCH (u:Cause {id: id})
RETURN u.id, u.activity, u.agent, u.reason, u.on_behalf_of, u.attributes, u.input_ids, u.input_versions

// name: state
UNWIND $keys AS key
MATCH (s:State {kind: $kind, key: key})
RETURN s.kind, s.key, s.value, s.revision, s.due

// name: scan
MATCH (s:State) WHERE s.kind = $kind AND s.key > $after AND s.key STARTS WITH $prefix
RETURN s.kind, s.key, s.value, s.revision, s.due ORDER BY s.key LIMIT $first

// name: scan_due
MATCH (s:State) USING INDEX s:State(kind, due)
WHERE s.kind = $kind AND s.due <= $due AND s.key > $after AND s.key STARTS WITH $prefix
RETURN s.kind, s.key, s.value, s.revision, s.due ORDER BY s.due, s.key LIMIT $first

// name: leaves
MATCH (c:Change) WHERE c.position > $after
RETURN c.position, c.leaf ORDER BY c.position LIMIT $first

// name: text_classes
MATCH (t:TextClass) WHERE t.cls IS NOT NULL RETURN t.cls, t.properties

// name: text_page
MATCH (v:Current) WHERE v.cls = $cls AND v.subject > $after
RETURN v.subject, v.position, v.props, v.personal ORDER BY v.subject LIMIT $first

// name: text_set
UNWIND $rows AS row
MATCH (v:Change {position: row[0]}) WHERE v:Current
SET v.text = row[1]

// name: text_noted
MERGE (t:TextClass {cls: $cls}) SET t.properties = $properties

// name: text_wait
CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()

// name: text_search
CALL db.index.fulltext.queryNodes('current_text', $query) YIELD node AS v, score
WHERE v:Current AND (size($classes) = 0 OR v.cls IN $classes)
RETURN v.subject AS id, score ORDER BY score DESC, id LIMIT $first
