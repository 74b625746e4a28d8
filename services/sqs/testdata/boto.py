"""A producer's and a consumer's day, by boto3; it checks MD5s by itself."""
import sys, boto3
from botocore.config import Config
from botocore.exceptions import ClientError

sqs = boto3.client("sqs", endpoint_url=sys.argv[1], region_name="eu-west-1", config=Config(retries={"max_attempts": 0}))
url = sqs.create_queue(QueueName="boto.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})["QueueUrl"]
sent = sqs.send_message_batch(QueueUrl=url, Entries=[
    {"Id": str(i), "MessageBody": f"body {i} \u00fc\U0001f6a2", "MessageGroupId": "g", "MessageAttributes": {
        "n": {"DataType": "Number.int", "StringValue": str(i)}, "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}}
    for i in range(10)])
assert len(sent["Successful"]) == 10 and not sent.get("Failed"), sent
seen = []
while len(seen) < 10:
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=4, WaitTimeSeconds=5, AttributeNames=["All"], MessageAttributeNames=["All"])["Messages"]
    for m in got:
        assert m["MessageAttributes"]["b"]["BinaryValue"] == b"\x00\xff", m
        assert m["Attributes"]["MessageGroupId"] == "g" and len(m["Attributes"]["SequenceNumber"]) == 20, m
        seen.append(int(m["MessageAttributes"]["n"]["StringValue"]))
    done = sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(got)])
    assert not done.get("Failed"), done
assert seen == list(range(10)), seen
assert "Messages" not in sqs.receive_message(QueueUrl=url)
try:
    sqs.get_queue_url(QueueName="none")
    raise AssertionError("a queue that does not exist was found")
except sqs.exceptions.QueueDoesNotExist as e:
    assert e.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue", e.response
standard = sqs.create_queue(QueueName="boto", Attributes={"DelaySeconds": "900"})["QueueUrl"]
sqs.send_message(QueueUrl=standard, MessageBody="now", DelaySeconds=0)
sqs.send_message_batch(QueueUrl=standard, Entries=[{"Id": "a", "MessageBody": "now too", "DelaySeconds": 0}, {"Id": "b", "MessageBody": "later"}])
bodies = sorted(m["Body"] for m in sqs.receive_message(QueueUrl=standard, MaxNumberOfMessages=10)["Messages"])
assert bodies == ["now", "now too"], bodies
try:
    sqs.receive_message(QueueUrl=standard, MaxNumberOfMessages=0)
    raise AssertionError("no messages were given on purpose")
except ClientError as e:
    assert "Value 0 for parameter MaxNumberOfMessages is invalid" in str(e), e
print("done")
