"""Reads a dashboard into Grafana's own model of one and writes it again: what is not the same afterwards, Grafana would
not understand, nor a value of another type than its model has there. The dashboard on standard input, what is wrong
with it on standard output."""

import enum
import json
import sys
import typing

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


def differences(written, read, path=""):
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key in read:
                yield from differences(value, read[key], f"{path}/{key}")
            else:
                yield f"{path}/{key} is unknown"
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for place, (value, other) in enumerate(zip(written, read)):
            yield from differences(value, other, f"{path}/{place}")
    elif written != read:
        yield f"{path} is read as {read!r}"


def mistyped(value, hint, path=""):
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind is typing.Union:
        if all(any(True for _ in mistyped(value, part, path)) for part in parts):
            # What each would say of it is of no use, but what the only one of a field that may be left out does.
            given = [part for part in parts if part is not type(None)]
            yield from mistyped(value, given[0], path)
    elif kind is list and isinstance(value, list):
        for place, each in enumerate(value):
            yield from mistyped(each, parts[0], f"{path}/{place}")
    elif kind is dict and isinstance(value, dict):
        for key, each in value.items():
            yield from mistyped(each, parts[1], f"{path}/{key}")
    elif kind is typing.Literal or isinstance(hint, enum.EnumMeta):
        known = list(parts) or [each.value for each in hint]
        if value not in known:
            yield f"{path} is {value!r}, none of {known}"
    elif isinstance(hint, type) and isinstance(value, hint) and hasattr(value, "from_json"):
        for field, of_field in typing.get_type_hints(type(value)).items():
            yield from mistyped(getattr(value, field), of_field, f"{path}/{field}")
    elif isinstance(hint, type) or kind:
        of = {float: (int, float)}.get(hint, kind or hint)
        is_one = isinstance(value, of) and (hint in (bool, object) or not isinstance(value, bool))
        if not is_one:
            yield f"{path} is {value!r}, not of {hint}"


plugins.register_default_plugins()
text = sys.stdin.read()
dashboard = Dashboard.from_json(json.loads(text))
for fault in differences(json.loads(text), json.loads(JSONEncoder().encode(dashboard))):
    print(fault)
for fault in mistyped(dashboard, Dashboard):
    print(fault)
