"""Reads a dashboard into Grafana's own model of one and writes it again: what is not the same afterwards, Grafana would
not understand. The dashboard on standard input, the differences on standard output."""

import json
import sys

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


plugins.register_default_plugins()
text = sys.stdin.read()
dashboard = Dashboard.from_json(json.loads(text))
for difference in differences(json.loads(text), json.loads(JSONEncoder().encode(dashboard))):
    print(difference)
