"""Brings source systems into the shared graph: mapping files, sources, records, keys, rejects. See docs/mapping.md."""

from kg.ingest.keys import entity_id
from kg.ingest.log import read_log
from kg.ingest.mapping import Mapping_
from kg.ingest.mapping_file import load_mapping
from kg.ingest.report import IngestReport
from kg.ingest.run import check_mapping, ingest

__all__ = ["IngestReport", "Mapping_", "check_mapping", "entity_id", "ingest", "load_mapping", "read_log"]
