// What is read along relations. A link is a node of the log; the relationships between entities are there for people.

// name: expand_out
UNWIND $ids AS id
CALL (id) {
  MATCH (l:[[link]]) WHERE l.subject = id AND l.relation = $relation AND l.target > $after AND [[standing]]
  WITH l, l.target AS far
  [[far]] WHERE [[there]] AND [[where]]
  RETURN l, v, far ORDER BY far LIMIT $first
}
RETURN id, [[entity]], [[relation]] ORDER BY id, far

// name: expand_in
UNWIND $ids AS id
CALL (id) {
  MATCH (l:[[link]]) WHERE l.target = id AND l.relation = $relation AND l.subject > $after AND [[standing]]
  WITH l, l.subject AS far
  [[far]] WHERE [[there]] AND [[where]]
  RETURN l, v, far ORDER BY far LIMIT $first
}
RETURN id, [[entity]], [[relation]] ORDER BY id, far

// name: relations
UNWIND $ids AS id
CALL (id) {
  CALL (id) {
    MATCH (l:[[link]]) WHERE l.subject = id AND l.relation IS NOT NULL AND l.target IS NOT NULL AND [[standing]] RETURN l
    UNION
    MATCH (l:[[link]]) WHERE l.target = id AND l.relation IS NOT NULL AND l.subject IS NOT NULL AND [[standing]] RETURN l
  }
  RETURN l ORDER BY l.relation, l.subject, l.target LIMIT $first
}
RETURN id, [[relation]] ORDER BY id, l.relation, l.subject, l.target

// name: present
UNWIND $ids AS id
WITH id AS far
[[far]] WHERE [[there]]
RETURN count(far)

// name: beyond_out
UNWIND $ids AS id
MATCH (l:[[link]]) WHERE l.subject = id AND [[named]] AND l.target IS NOT NULL AND [[standing]]
WITH DISTINCT l.target AS far
[[far]] WHERE [[there]]
RETURN far

// name: beyond_in
UNWIND $ids AS id
MATCH (l:[[link]]) WHERE l.target = id AND [[named]] AND l.subject IS NOT NULL AND [[standing]]
WITH DISTINCT l.subject AS far
[[far]] WHERE [[there]]
RETURN far

// name: joining_out
UNWIND $ids AS id
MATCH (l:[[link]]) WHERE l.subject = id AND [[named]] AND l.target IS NOT NULL AND [[standing]] AND l.target IN $others
RETURN l.subject AS near, l.target AS far, [[relation]]

// name: joining_in
UNWIND $ids AS id
MATCH (l:[[link]]) WHERE l.target = id AND [[named]] AND l.subject IS NOT NULL AND [[standing]] AND l.subject IN $others
RETURN l.target AS near, l.subject AS far, [[relation]]
