// What an auditor walks along and what Neo4j Browser shows as caption, for the graphs that were there before.
MATCH (u:Cause) WHERE u.name IS NULL CALL (u) { SET u.name = u.activity } IN TRANSACTIONS OF 5000 ROWS;
MATCH (c:Change) WHERE c.name IS NULL
CALL (c) {
  SET c.name = CASE WHEN c.relation IS NULL THEN c.cls + ' v' + c.version ELSE c.kind + ' ' + c.relation END
} IN TRANSACTIONS OF 5000 ROWS;
MATCH (v:Version) WHERE v.version > 1
CALL (v) {
  MATCH (p:Version {subject: v.subject, version: v.version - 1}) MERGE (v)-[:REVISION_OF]->(p)
} IN TRANSACTIONS OF 5000 ROWS;
MATCH (l:Link) WHERE l.until IS NOT NULL
CALL (l) { MATCH (c:Change {position: l.until}) MERGE (c)-[:ENDS]->(l) } IN TRANSACTIONS OF 5000 ROWS;
