"""The tables [effectors.…] of noesis.toml become effectors; what is missing or wrong is one sentence."""

from pathlib import Path
from typing import Any

import pytest

from api.effectors import make_effectors
from api.errors import SettingsError
from api.settings import load_settings
from coordination.effectors.effector import Effect, Effector
from kg.clock import SystemClock
from tests.coordination.effectors.parts import effect
from tests.coordination.plant import ontology
from tests.oracles.graph import DictStore
from tests.parts import ManualClock

TOML = """
[effectors.http]
allow = ["crm.internal"]
[effectors.http.secrets]
crm = ["crm.internal"]
[effectors.openapi]
shop = "shop.yaml"
[effectors.sql.erp]
url = "sqlite:///erp.db"
[effectors.sql.erp.statements]
note = ["INSERT INTO note VALUES (:text)"]
[effectors.sql.books]
secret = "books"
statements = {}
[effectors.smtp]
host = "mail.internal"
sender = "noesis@corp.example"
[effectors.file]
root = "out"
[effectors.python]
module = "own.py"
"""
OWN = """
from coordination.effectors.function import Function
EFFECTS = {"tell": Function(lambda arguments, key: {"id": key}, idempotent=True)}
"""
SHOP = """
openapi: 3.0.3
servers: [{url: "https://shop.example"}]
paths: {/orders: {post: {operationId: order}}}
"""


def made(folder: Path, toml: str = TOML, **more: Any) -> dict[str, Effector]:
    (folder / "noesis.toml").write_text(toml)
    (folder / "own.py").write_text(OWN)
    (folder / "shop.yaml").write_text(SHOP)
    secrets = {"crm": "s3cret", "books": "postgresql://u:s3cret@db/books"}
    settings = load_settings(project=folder, **{"secrets": secrets, **more})
    assert "s3cret" not in str(settings)
    store = DictStore(ontology(), ManualClock())
    return {effector.kind: effector for effector in make_effectors(settings, SystemClock(), store)}


def test_every_table_is_an_effector_and_each_has_its_twin(tmp_path: Path) -> None:
    effectors = made(tmp_path)
    assert sorted(effectors) == ["file", "http", "openapi", "python", "smtp", "sql"]
    assert "s3cret" not in str(effectors)
    payloads: dict[str, dict[str, Any]] = {
        "file": {"path": "a", "text": "b"},
        "http": {"url": "https://crm.internal/x", "headers": {"authorization": {"secret": "crm"}}},
        "openapi": {"document": "shop", "operation": "order"},
        "python": {"function": "tell"},
        "smtp": {"to": "a@b.example", "text": "x"},
        "sql": {"database": "erp", "statement": "note", "parameters": {"text": "x"}},
    }
    for kind, payload in payloads.items():
        order: Effect = effect(payload)
        assert effectors[kind].simulate(order).detail["would"]
        assert "s3cret" not in str(effectors[kind].simulate(order))
    assert effectors["python"].act(effect({"function": "tell"})).reference == "key1"


def test_without_a_table_there_is_no_effector(tmp_path: Path) -> None:
    assert made(tmp_path, "") == {}


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[effectors.openapi]\nshop = 'shop.yaml'", "needs the table effectors.http"),
        ("[effectors.http]\nsecrets = {nobody = ['x']}", "a secret 'nobody' that is not there"),
        ("[effectors.sql.x]\nurl = 'mysql://x'\nstatements = {}", "no usable address"),
        ("[effectors.http]\n[effectors.openapi]\nshop = 'none.yaml'", "cannot be read"),
        ("[effectors.http]\n[effectors.openapi]\nshop = 'own.py'", "describes no paths|no YAML"),
        ("[effectors.python]\nmodule = 'shop.yaml'", "cannot be read as a Python module"),
        ("[effectors.http]\nalow = ['x']", "effectors.http.alow"),
        ("[effectors.smtp]\nhost = 'x'\nsender = 'y'\ntls = 'maybe'", "effectors.smtp.tls"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, toml: str, said: str) -> None:
    with pytest.raises(Exception, match=said) as error:
        made(tmp_path, toml)
    assert type(error.value).__name__ in ("SettingsError", "AgentError")
    assert issubclass(SettingsError, Exception)
