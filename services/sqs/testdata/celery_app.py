"""A Celery worker and its caller over the SQS transport."""
import os, sys
from urllib.parse import quote
from celery import Celery

host = os.environ["DHOW_ENDPOINT"].removeprefix("http://")
app = Celery("dhow", broker=f"sqs://111111111111:x@{host}")
app.conf.update(broker_transport_options={"region": "eu-west-1", "is_secure": False, "wait_time_seconds": 5, "polling_interval": 0.1},
                task_default_queue="celery-jobs", worker_enable_remote_control=False, task_acks_late=True)


@app.task(name="note")
def note(path, text):
    with open(path, "a") as f:
        f.write(text + "\n")


if __name__ == "__main__":
    for i in range(20):
        note.delay(sys.argv[1], f"job {i}")
