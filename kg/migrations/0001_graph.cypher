// One node a thing (Entity), one a change of the log (Change), which is also the version or the link that it made.
// What makes two of them the same, and what no two may share.
CREATE CONSTRAINT head_one IF NOT EXISTS FOR (n:Head) REQUIRE n.one IS UNIQUE;
CREATE CONSTRAINT writer_id IF NOT EXISTS FOR (n:Writer) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT cause_number IF NOT EXISTS FOR (n:Cause) REQUIRE n.number IS UNIQUE;
CREATE CONSTRAINT cause_id IF NOT EXISTS FOR (n:Cause) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT change_position IF NOT EXISTS FOR (n:Change) REQUIRE n.position IS UNIQUE;
CREATE CONSTRAINT version_number IF NOT EXISTS FOR (n:Version) REQUIRE (n.subject, n.version) IS UNIQUE;
CREATE CONSTRAINT entity_id IF NOT EXISTS FOR (n:Entity) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT current_link IF NOT EXISTS FOR (n:CurrentLink) REQUIRE (n.subject, n.relation, n.target) IS UNIQUE;
CREATE CONSTRAINT state_key IF NOT EXISTS FOR (n:State) REQUIRE (n.kind, n.key) IS UNIQUE;
CREATE CONSTRAINT text_class IF NOT EXISTS FOR (n:TextClass) REQUIRE n.cls IS UNIQUE;
CREATE INDEX cause_time IF NOT EXISTS FOR (n:Cause) ON (n.at);
CREATE INDEX change_subject IF NOT EXISTS FOR (n:Change) ON (n.subject, n.position);
CREATE INDEX change_target IF NOT EXISTS FOR (n:Change) ON (n.target, n.position);
CREATE INDEX current_class IF NOT EXISTS FOR (n:Current) ON (n.cls, n.subject);
CREATE INDEX version_class IF NOT EXISTS FOR (n:Version) ON (n.cls, n.subject);
CREATE INDEX current_link_in IF NOT EXISTS FOR (n:CurrentLink) ON (n.target, n.relation, n.subject);
CREATE INDEX link_out IF NOT EXISTS FOR (n:Link) ON (n.subject, n.relation, n.target);
CREATE INDEX link_in IF NOT EXISTS FOR (n:Link) ON (n.target, n.relation, n.subject);
CREATE INDEX state_due IF NOT EXISTS FOR (n:State) ON (n.kind, n.due);
