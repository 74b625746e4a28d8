"""ledger keeps the books of the shop: it drains QUEUE_URL of the same order events that the worker gets.

It knows nothing of dhow's SDK, only Apache Avro's Python and boto3. The schemas it fetches from the endpoint that dhow has
in every container, with one GET each: the one that it reads with, READS ("1.0.0"), when it starts, and that of a message
when it meets the first of its version.
"""

import base64
import functools
import io
import json
import os
import signal
import sys
import urllib.request

import avro.io
import avro.schema
import boto3

QUEUE_URL, READS = os.environ["QUEUE_URL"], os.environ["READS"]


@functools.lru_cache(maxsize=None)
def schema(name, version):
    """The schema NAME (REGISTRY/NAME) in a version, which never changes."""
    with urllib.request.urlopen(f"{os.environ['DHOW_SCHEMA_URI']}/schemas/{name}/versions/{version}", timeout=10) as answer:
        return avro.schema.parse(answer.read().decode())


def read(event):
    """The order of an event: written with the version that it names, read with our own."""
    detail = event["detail"]
    writer = schema(detail["dataschema"], detail["dataschemaversion"])
    data = io.BytesIO(base64.b64decode(detail["data_base64"], validate=True))
    order = avro.io.DatumReader(writer, schema("shop/order", READS)).read(avro.io.BinaryDecoder(data))
    if data.read():
        raise ValueError("bytes are left over")
    return order, detail["dataschemaversion"]


def main():
    ending = []
    signal.signal(signal.SIGTERM, lambda *_: ending.append(True))  # what was received is booked first
    schema("shop/order", READS)
    queue = boto3.client("sqs", region_name=os.environ["AWS_REGION"], endpoint_url=os.environ.get("AWS_ENDPOINT_URL"))
    print(f"reads shop/order@{READS}", flush=True)
    booked = {}
    while not ending:
        received = queue.receive_message(QueueUrl=QUEUE_URL, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        for message in received.get("Messages", []):
            try:
                order, version = read(json.loads(message["Body"]))
            except Exception as e:  # it comes back, and becomes a dead letter in the end
                print(f"message {message['MessageId']} cannot be read: {e!r}", file=sys.stderr, flush=True)
                continue
            currency = order.get("currency", "EUR")  # which 1.0.0 does not have
            booked[currency] = booked.get(currency, 0) + order["total"]
            print(f"order {order['id']}: {order['total']:.2f} {currency} booked (written as {version})", flush=True)
            queue.delete_message(QueueUrl=QUEUE_URL, ReceiptHandle=message["ReceiptHandle"])
    print("booked", ", ".join(f"{total:.2f} {currency}" for currency, total in booked.items()) or "nothing", flush=True)


if __name__ == "__main__":
    main()
