"""
The shared language: its schemas, code lists and identity rules, and the strict reading of what partners send.

Pure: reads its own package files, nothing else.
"""

from schemas.correspondence import Correspondence, crosswalk, crosswalks
from schemas.issue import Document, Issue, Kind
from schemas.labels import FieldLabel
from schemas.malformed import MalformedJson
from schemas.positions import locate
from schemas.registry import fields, schema, schema_versions, validate
from schemas.strict_json import parse_json
from schemas.vocabulary import Code, code_list, code_lists

__all__ = [
    "Code",
    "Correspondence",
    "Document",
    "FieldLabel",
    "Issue",
    "Kind",
    "MalformedJson",
    "code_list",
    "code_lists",
    "crosswalk",
    "crosswalks",
    "fields",
    "locate",
    "parse_json",
    "schema",
    "schema_versions",
    "validate",
]
