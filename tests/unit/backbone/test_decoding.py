"""A record whose header's name is no UTF-8 is read like any other, and so are its neighbours in the batch."""

from __future__ import annotations

import pytest
from aiokafka.record.memory_records import MemoryRecords

from backbone.decoding import _Records
from tests.support.header_names import BROKEN, batch_builder

pytestmark = pytest.mark.unit

CODECS = {"none": 0, "gzip": 1, "lz4": 3, "zstd": 4}


def packed(codec: int) -> bytes:
    builder = batch_builder(codec)
    builder.append(0, timestamp=1, key=b"k", value=b"first", headers=[("plain", b"1")])
    builder.append(1, timestamp=1, key=b"k", value=b"second", headers=[(BROKEN, b"1"), ("plain", None)])
    builder.append(2, timestamp=1, key=None, value=b"third", headers=[])
    return bytes(builder.build())


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
def test_every_record_is_read_once_the_fetcher_has_passed_over_those_it_had(codec: int) -> None:
    batch = _Records(packed(codec)).next_batch()
    assert batch.validate_crc()
    read = {record.offset: record for record in batch}
    assert [(each.value, each.headers) for each in read.values()] == [
        (b"first", [("plain", b"1")]),
        (b"second", [("\ufffd\ufffd", b"1"), ("plain", None)]),
        (b"third", []),
    ]


def test_the_library_by_itself_still_cannot() -> None:
    """When this fails, `backbone/decoding.py` has nothing left to do."""
    with pytest.raises(UnicodeDecodeError):
        list(MemoryRecords(packed(0)).next_batch())
