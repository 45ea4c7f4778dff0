"""A server under test as boto3 sees it, and what its answers come down to."""

import functools
import json
import time
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

CONFIG = {
    "retries": {"max_attempts": 0},
    "s3": {"addressing_style": "path"},
    "read_timeout": 30,
}


@functools.cache
def client(endpoint, service, secret):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test-key",
        aws_secret_access_key=secret,
        config=botocore.config.Config(**CONFIG),
    )


class Server:
    """A server under test, and a bucket and a queue for one case."""

    def __init__(self, kind, endpoint, name):
        self.kind = kind
        self.endpoint = endpoint
        self.s3 = self.client("s3")
        self.sqs = self.client("sqs")
        self.events = self.client("events")
        self.bucket = name.replace("_", "-")
        self.s3.create_bucket(Bucket=self.bucket)

    def client(self, service, secret="test-secret"):
        return client(self.endpoint, service, secret)

    def queue(self, name=None, **attributes):
        name = name or self.bucket
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def arn(self, url):
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return attributes["Attributes"]["QueueArn"]

    def put(self, key="a.tar", storage="GLACIER", body=b"0123456789"):
        return self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, StorageClass=storage)

    def restore(self, key="a.tar", days=2, tier="Bulk", **more):
        request = {"GlacierJobParameters": {"Tier": tier}}
        if days is not None:
            request["Days"] = days
        return self.s3.restore_object(
            Bucket=self.bucket, Key=key, RestoreRequest=request, **more
        )

    def head(self, key="a.tar", **more):
        return self.s3.head_object(Bucket=self.bucket, Key=key, **more)

    def get(self, key="a.tar", **more):
        answer = self.s3.get_object(Bucket=self.bucket, Key=key, **more)
        answer["Body"] = answer["Body"].read().decode()
        return answer

    def pass_hours(self, hours, key="a.tar"):
        """Has time go by: a clock that is moved, or a server whose restores take seconds."""
        if self.kind == "emulator":
            url = f"{self.endpoint}/_emulator/clock?advance={hours * 3600}"
            urllib.request.urlopen(urllib.request.Request(url, method="POST")).close()
            return
        deadline = time.monotonic() + 30
        while 'ongoing-request="true"' in self.head(key).get("Restore", ""):
            if time.monotonic() > deadline:
                raise TimeoutError("the restore does not end")
            time.sleep(0.1)

    def receive(self, url, count):
        """Receives so many messages, in whatever order, and deletes them."""
        bodies = []
        deadline = time.monotonic() + 10
        while len(bodies) < count and time.monotonic() < deadline:
            answer = self.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            for message in answer.get("Messages", []):
                bodies.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


def status(answer):
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def refusal(call, *args, **more):
    """Returns status and code of what a call is refused with, or that it is not."""
    try:
        return [status(call(*args, **more)), "taken"]
    except botocore.exceptions.ClientError as error:
        return [status(error.response), error.response["Error"]["Code"]]


def field_names(value):
    """Returns the paths of all fields of a JSON document, sorted."""
    if isinstance(value, dict):
        paths = []
        for name, inner in value.items():
            below = field_names(inner)
            paths += [f"{name}.{path}" for path in below] if below else [name]
        return sorted(paths)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [f"0.{path}" for path in field_names(value[0])]
    return []
