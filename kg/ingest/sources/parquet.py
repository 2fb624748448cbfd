"""Reads Parquet by pyarrow, in batches, only the wanted columns. pyarrow loads with the first file."""

from collections.abc import Iterator
from pathlib import Path

from kg.errors import SourceError
from kg.ingest.mapping import TableMap
from kg.ingest.sources.row import CHUNK_ROWS, Row, Wanted, check_columns


def read_parquet(path: Path, table: TableMap, wanted: Wanted) -> Iterator[Row]:
    """The rows in order."""
    del table
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise SourceError("Parquet needs pyarrow; install noesis[connectors]") from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_columns(str(path), names, wanted.needed)
            picked = None if wanted.columns is None else [name for name in names if name in wanted.columns]
            number = 0
            for batch in file.iter_batches(batch_size=CHUNK_ROWS, columns=picked):
                for data in batch.to_pylist():
                    number += 1
                    yield Row(number, data)
    except pyarrow.ArrowException as error:
        reason = " ".join(str(error).split())[:200]
        raise SourceError(f"{path} is no readable Parquet file ({reason}); write it again") from None
