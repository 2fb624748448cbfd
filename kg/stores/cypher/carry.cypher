// What a graph gives when it is moved, in order, no further than one position; and how an import that failed is taken back.

// name: carried_causes
MATCH (u:Cause) WHERE u.number > $after AND u.number <= $last
RETURN u.number, u.id, u.at, u.first, u.last, u.activity, u.agent, u.reason, u.on_behalf_of, u.attributes, u.salt,
       u.request, u.seal, u.input_ids, u.input_versions, u.erased ORDER BY u.number LIMIT $first

// name: carried_changes
MATCH (c:Change) WHERE c.position > $after AND c.position <= $last
RETURN properties(c), labels(c) ORDER BY c.position LIMIT $first

// name: carried_kinds
MATCH (s:State) WHERE s.kind > $after AND s.key IS NOT NULL
RETURN s.kind ORDER BY s.kind LIMIT 1

// name: carried_states
MATCH (s:State) WHERE s.kind = $kind AND s.key > $after
RETURN s.kind, s.key, s.revision, s.due, s.value ORDER BY s.key LIMIT $first
