"""Makes the calls that come in as lines of JSON and prints what came of them."""

import base64
import datetime
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def undo(value):
    if isinstance(value, dict):
        if list(value) == ["$bytes"]:
            return base64.b64decode(value["$bytes"])
        if list(value) == ["$time"]:
            return datetime.datetime.fromisoformat(value["$time"])
        return {k: undo(v) for k, v in value.items()}
    if isinstance(value, list):
        return [undo(v) for v in value]
    return value


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        return {"$time": value.astimezone(datetime.timezone.utc).isoformat()}
    if hasattr(value, "read"):
        return {"$bytes": base64.b64encode(value.read()).decode()}
    return value


def main():
    session = boto3.Session("210987654321", "secret", region_name="eu-central-1")
    config = Config(retries={"max_attempts": 0}, parameter_validation=False, inject_host_prefix=False)
    for line in sys.stdin:
        call = json.loads(line)
        client = session.client(call["service"], endpoint_url=sys.argv[1], config=config)
        try:
            out = getattr(client, call["method"])(**undo(call["params"]))
            meta = out.pop("ResponseMetadata")
            answer = {"out": plain(out), "status": meta["HTTPStatusCode"], "id": meta.get("RequestId", "")}
        except ClientError as e:
            meta = e.response["ResponseMetadata"]
            answer = {
                "error": e.response["Error"]["Code"],
                "message": e.response["Error"]["Message"],
                "typed": type(e).__name__,
                "status": meta["HTTPStatusCode"],
                "id": meta.get("RequestId", ""),
                "extra": plain({k: v for k, v in e.response.items() if k not in ("Error", "ResponseMetadata")}),
            }
        print(json.dumps(answer), flush=True)


main()
