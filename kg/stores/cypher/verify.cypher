// What verification reads: every row of the record in order, page by page, and what people see beside it.

// name: all_causes
MATCH (u:Cause) WHERE u.number > $after
RETURN u.number, u.id, u.at, u.first, u.last, u.activity, u.agent, u.reason, u.on_behalf_of, u.attributes, u.salt,
       u.request, u.seal, u.input_ids, u.input_versions, u.erased ORDER BY u.number LIMIT $first

// name: all_changes
MATCH (c:Change) WHERE c.position > $after
WITH c ORDER BY c.position LIMIT $first
OPTIONAL MATCH (c)-[:VERSION_OF]->(e:Entity) WHERE c.until IS NULL
RETURN properties(c), labels(c), properties(e), labels(e) ORDER BY c.position

// name: wrong_versions
MATCH (v:Version) WHERE v.subject IS NOT NULL AND v.version > 0
OPTIONAL MATCH (n:Version {subject: v.subject, version: v.version + 1})
WITH v, n WHERE coalesce(v.until, 0) <> coalesce(n.position, 0)
RETURN min(v.position)

// name: wrong_links
MATCH (l:Link) WHERE l.subject IS NOT NULL AND l.relation IS NOT NULL AND l.target IS NOT NULL AND l.until IS NOT NULL
OPTIONAL MATCH (c:Change {position: l.until})
  WHERE c.kind = 'unlinked' AND c.subject = l.subject AND c.relation = l.relation AND c.target = l.target
WITH l, c WHERE c IS NULL OR l.until <= l.position
RETURN min(l.position)

// name: wrong_ends
MATCH (c:Change) WHERE c.position > 0 AND c.kind = 'unlinked'
WITH c WHERE NOT EXISTS {
  MATCH (l:Link {subject: c.subject, relation: c.relation, target: c.target}) WHERE l.until = c.position
}
RETURN min(c.position)

// name: wrong_relationships
MATCH (l:Link) WHERE l.subject IS NOT NULL AND l.relation IS NOT NULL AND l.target IS NOT NULL
WITH l, EXISTS { MATCH (:Entity {id: l.subject})-[r]->(:Entity {id: l.target}) WHERE r.since = l.position } AS shown
WHERE shown <> (l.until IS NULL)
RETURN min(l.position)

// name: wrong_ways
MATCH (c:Change) WHERE c.position > 0
WITH c
WHERE COUNT { (c)-[:CAUSED_BY]->() } <> 1 OR NOT EXISTS { (c)-[:CAUSED_BY]->(u:Cause) WHERE u.number = c.cause }
   OR COUNT { (c)-[:VERSION_OF]->() } <> CASE WHEN c:Version THEN 1 ELSE 0 END
   OR (c:Version AND NOT EXISTS { (c)-[:VERSION_OF]->(e:Entity) WHERE e.id = c.subject })
   OR COUNT { (c)-[:SOURCE]->() } <> CASE WHEN c:Link THEN 1 ELSE 0 END
   OR (c:Link AND NOT EXISTS { (c)-[:SOURCE]->(e:Entity) WHERE e.id = c.subject })
   OR COUNT { (c)-[:TARGET]->() } <> CASE WHEN c:Link THEN 1 ELSE 0 END
   OR (c:Link AND NOT EXISTS { (c)-[:TARGET]->(e:Entity) WHERE e.id = c.target })
   OR COUNT { (c)-[:REVISION_OF]->() } <> CASE WHEN c.version > 1 THEN 1 ELSE 0 END
   OR (c.version > 1 AND NOT EXISTS {
        (c)-[:REVISION_OF]->(p:Version) WHERE p.subject = c.subject AND p.version = c.version - 1 })
   OR COUNT { (c)-[:ENDS]->() } <> CASE c.kind WHEN 'unlinked' THEN 1 ELSE 0 END
   OR (c.kind = 'unlinked' AND NOT EXISTS { (c)-[:ENDS]->(l:Link) WHERE l.until = c.position })
RETURN min(c.position)
