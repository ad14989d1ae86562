"""
Errors at the FHIR addresses: the same problem as everywhere, written as an OperationOutcome.
"""

from __future__ import annotations

from collections.abc import Mapping

from fhir.resources.R4B.operationoutcome import OperationOutcome

from gateway.errors import Problem
from gateway.fhir.elements import Element, written

_SHOWN = 200
"""Faults listed in one answer, as for the other problems."""

_ISSUE_TYPES: Mapping[int, str] = {
    400: "invalid",
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    409: "conflict",
    413: "too-long",
    415: "not-supported",
    429: "throttled",
    503: "transient",
}
"""HTTP statuses to the FHIR value set `issue-type`; the others are `processing` or, ours, `exception`."""


def operation_outcome(problem: Problem, address: str, correlation: str) -> Element:
    """
    Write a problem as an OperationOutcome: what it is, what to do, then each fault with its place.

    French in `details.text`, English in `diagnostics`. `address` is the gateway's public address, `correlation` the
    identifier under which the request is in the logs. Holds no value of the request, as `problem` holds none.
    """
    severity = "fatal" if problem.status >= 500 else "error"
    code = _ISSUE_TYPES.get(problem.status, "exception" if problem.status >= 500 else "processing")
    system = f"{address}/problems/{problem.code}"
    first = {
        "severity": severity,
        "code": code,
        "details": {
            "coding": [{"system": f"{address}/problems", "code": problem.code, "display": problem.title_fr}],
            "text": problem.detail_fr,
        },
        "diagnostics": problem.detail_en,
    }
    faults = [
        {
            "severity": severity,
            "code": "invalid",
            "details": {"coding": [{"system": system, "code": fault.code}], "text": fault.message_fr},
            "diagnostics": f"{fault.pointer}: {fault.message_en}",
        }
        for fault in problem.issues[:_SHOWN]
    ]
    resource = {"resourceType": "OperationOutcome", "id": correlation, "issue": [first, *faults]}
    return written(OperationOutcome, resource)
