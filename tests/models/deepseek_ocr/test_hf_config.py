"""Reading the file of a config: whatever is no JSON object gives one typed error. The keys: test_hf_config_sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelmeter.models.deepseek_ocr.hf_config import MAX_CONFIG_BYTES, load_config
from modelmeter.support.errors import ArchitectureError


def refuse_bytes(folder: Path, content: bytes) -> str:
    """Return the message that refuses a file of ``content``."""
    file = folder / "config.json"
    file.write_bytes(content)
    with pytest.raises(ArchitectureError) as caught:
        load_config(file)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "line 1 column 1"),
        (b'{"model_type": NaN}', "NaN"),
        (b'{"model_type": Infinity}', "Infinity"),
        (b'{"model_type": -Infinity}', "-Infinity"),
        (b'{"a": 1, "model_type": 2, "model_type": 2}', "model_type"),
        (b'{"a": {"deep": 1, "deep": 1}}', "deep"),
        (b'{"model_type": "\xff"}', "byte 16"),
        (b"\xef\xbb\xbf{}", "BOM"),
        ("{}".encode("utf-16"), "UTF-8"),
        (b"[]", "found []"),
        (b"[1, 2]", "a list of 2"),
        (b"3", "found 3"),
        (b"null", "found null"),
        (b'"text"', '"text"'),
        (b"[" * 100_000, "nests too deeply"),
        (b'{"a":' * 100_000, "nests too deeply"),
        (b'{"model_type": ' + b"9" * 5000 + b"}", "5000 digits"),
        (b" " * MAX_CONFIG_BYTES + b"{}", "too long"),
        (b"{} {}", "line 1 column 4"),
    ],
)
def test_a_file_that_holds_no_json_object_is_refused(tmp_path: Path, content: bytes, named: str) -> None:
    assert named in refuse_bytes(tmp_path, content)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    content = json.dumps({"a": [{"b": None, "c": [1, -2.5e3, "d\\e"]}, True], "f": {}}).encode()
    for length in range(len(content)):
        refuse_bytes(tmp_path, content[:length])


def test_a_whole_object_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b" " * (MAX_CONFIG_BYTES - 13) + '{"a": ["ü"]}'.encode())
    assert load_config(tmp_path / "config.json") == {"a": ["ü"]}
