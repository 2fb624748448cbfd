"""What tests of ledgers share: a schema with personal data, and files that mean harm."""

from tests.parts import FreeSchema

PERSONAL = FreeSchema(personal={"Person": frozenset({"email", "phone"})})

#: Texts that are no bundle, each in a way of its own.
CHECKS = (
    "",
    "null",
    "[]",
    "{}",
    "1e999",
    '{"format":"noesis-bundle/1"}',
    '{"format":"noesis-bundle/1","format":"x"}',
    '{"format":"noesis-bundle/2"}',
    '{"format":{"a":1}}',
    "[" * 100_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    '{"payload":"x","payloadType":"y"}',
    '{"payload":"e30=","payloadType":"application/vnd.noesis.dossier+json","signatures":[]}',
    '{"payload":"//8=","payloadType":"application/vnd.noesis.dossier+json","signatures":[]}',
    '{"format":"noesis-bundle/1","successions":[7],"checkpoint":"x"}',
    '{"format":"noesis-bundle/1","successions":["noesis key succession v1\\na\\nb\\nc\\n\\n"],"checkpoint":"x"}',
    '{"format":"noesis-bundle/1","successions":[],"checkpoint":"a\\n1\\nAA==\\n\\n\\u2014 a AAAA\\n"}',
    '{"format":"noesis-bundle/1","successions":[],"checkpoint":"\\ud800\\n\\n\\u2014 a AAAA\\n"}',
)
