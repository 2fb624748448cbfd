-- Rows have no captions, and what one row has to do with another is joined when it is asked.
SELECT 1;
