// Text search, kept out of the way of commits. Neo4j keeps the statistics of its planner itself.
CREATE FULLTEXT INDEX current_text IF NOT EXISTS FOR (n:Current) ON EACH [n.text]
OPTIONS {indexConfig: {`fulltext.analyzer`: 'standard-folding', `fulltext.eventually_consistent`: true}};
