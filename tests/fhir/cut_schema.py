"""
Cut HL7's JSON Schema of FHIR R4 down to the resources the gateway produces: `python cut_schema.py fhir.schema.json`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

CUT = Path(__file__).with_name("fhir-r4.schema.json")
PRODUCED = ("AuditEvent", "Bundle", "CapabilityStatement", "OperationOutcome", "ServiceRequest", "Task")
BUNDLED = ("AuditEvent",)
CONTAINED = ("DocumentReference", "Patient", "Practitioner", "PractitionerRole", "QuestionnaireResponse")


def cut(source: dict[str, Any]) -> dict[str, Any]:
    """
    Keep the definitions reachable from what is produced, without their descriptions.

    `contained` may then hold only what the gateway contains, and a Bundle what it bundles. The enumeration of versions, which forgets the version of
    the standard itself, gets 4.0.1 (value set FHIR-version of R4).
    """
    definitions = source["definitions"]
    definitions["ResourceList"] = {"oneOf": [{"$ref": f"#/definitions/{name}"} for name in CONTAINED]}
    definitions["Bundle_Entry"]["properties"]["resource"] = {
        "oneOf": [{"$ref": f"#/definitions/{name}"} for name in BUNDLED]
    }
    definitions["CapabilityStatement"]["properties"]["fhirVersion"]["enum"].append("4.0.1")
    kept: set[str] = set()
    waiting = list(PRODUCED)
    while waiting:
        name = waiting.pop()
        if name not in kept:
            kept.add(name)
            waiting += re.findall(r'"#/definitions/([^"]+)"', json.dumps(definitions[name]))
    head = {key: source[key] for key in ("$schema", "id")}
    return {**head, "definitions": {name: _bare(definitions[name]) for name in sorted(kept)}}


def _bare(node: Any) -> Any:
    if isinstance(node, dict):
        # A property may be called "description": only texts are descriptions.
        return {key: _bare(value) for key, value in node.items() if key != "description" or not isinstance(value, str)}
    return [_bare(item) for item in node] if isinstance(node, list) else node


def written(schema: dict[str, Any]) -> str:
    """Write a schema with one definition a line, so that a new cut shows what changed."""
    lines = [f"{json.dumps(name)}:{_compact(body)}" for name, body in schema["definitions"].items()]
    head = ",\n".join(f"{json.dumps(key)}:{json.dumps(schema[key])}" for key in ("$schema", "id"))
    return "{" + head + ',\n"definitions":{\n' + ",\n".join(lines) + "\n}}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    CUT.write_text(written(cut(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))), encoding="utf-8")
