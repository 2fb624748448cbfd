-- Fixed statistics, so that a query is planned alike on an empty graph and on a large one.
ANALYZE head;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('version', 'version_number', '1000000 2 1'),
    ('version', 'version_latest', '1000000 1'),
    ('version', 'version_current', '1000000 100000 1'),
    ('version', 'version_past', '1000000 100000 2'),
    ('relation', 'relation_out', '1000000 20 10 1'),
    ('relation', 'relation_in', '1000000 20 10 1'),
    ('relation', 'relation_out_past', '1000000 20 10 1'),
    ('relation', 'relation_in_past', '1000000 20 10 1'),
    ('change', 'change_subject', '1000000 10'),
    ('change', 'change_target', '1000000 10');
