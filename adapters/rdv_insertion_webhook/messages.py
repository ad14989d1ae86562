"""
A webhook of rdv-insertion, `{data, meta}`, as one record per person: an appointment has its participations, an invitation its user.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.base import FileRefused
from adapters.mapping.json_tree import parse

Record = dict[str, Any]


def read(raw: bytes) -> list[Record]:
    """
    One message, or a list of them, as records `{meta, data, participation, user}`; raises `FileRefused`.

    The same person stands twice in an appointment (`users` and `participations`): read once, with the participation.
    """
    found = parse(raw, 1)
    messages = found if isinstance(found, list) else [found]
    records: list[Record] = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("data"), dict):
            raise _refused()
        if not isinstance(message.get("meta"), dict):
            raise _refused()
        records += _people(message)
    return records


def write(records: Sequence[Record]) -> Any:
    """
    The messages of some records, one for each: a single one is written alone, several as a list.
    """
    messages = [_message(record) for record in records]
    return messages[0] if len(messages) == 1 else messages


def _people(message: Mapping[str, Any]) -> list[Record]:
    data = dict(message["data"])
    around = {name: value for name, value in message.items() if name != "data"}
    users, participations = _objects(data.pop("users", None)), _objects(data.pop("participations", None))
    alone = data.pop("user", None)
    people: list[Record] = []
    for participation in participations:
        user = participation.pop("user", None)
        people.append({"participation": participation, "user": user if isinstance(user, dict) else {}})
    taking_part = [each["user"].get("id") for each in people]
    others = [*users, *([alone] if isinstance(alone, dict) else [])]
    people += [
        {"participation": {}, "user": user}
        for user in others
        if user.get("id") is None or user["id"] not in taking_part
    ]
    # What the appointment says of everybody, each participation says of one.
    shared = {name: data.pop(name) for name in ("status", "starts_at") if name in data}
    return [
        {**around, "data": data, "participation": shared | person["participation"], "user": person["user"]}
        for person in people or [{"participation": {}, "user": {}}]
    ]


def _objects(value: Any) -> list[Record]:
    return [dict(each) for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _message(record: Mapping[str, Any]) -> Record:
    data, user = dict(record.get("data", {})), record.get("user", {})
    if record.get("meta", {}).get("model") == "Invitation":
        return {"data": data | {"user": user}, "meta": record["meta"]}
    told = record.get("participation", {})
    data |= {name: told[name] for name in ("status", "starts_at") if name in told}
    participation = {**told, "user": user}
    return {"data": data | {"users": [user], "participations": [participation]}, "meta": record.get("meta", {})}


def _refused() -> FileRefused:
    return FileRefused(
        "not_a_webhook",
        "Un webhook de rdv-insertion est un objet « data » et un objet « meta ».",
        "A webhook of rdv-insertion is an object “data” and an object “meta”.",
        quarantine=True,
    )
