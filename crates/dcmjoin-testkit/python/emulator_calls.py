"""Asks an S3 and SQS server one call after another, and prints what each was answered.

    python emulator_calls.py KIND ENDPOINT

KIND is emulator, ministack or moto: how time is made to pass. Each line of the output is a JSON
list of a case's name and its answer; an answer holds what a client sees, and nothing that differs
from run to run. Every case makes a bucket, and a queue, of its own.
"""

import datetime
import json
import re
import sys

from emulator_server import Server, field_names, refusal, status

CASES = []


def case(function):
    CASES.append(function)
    return function


# Objects


@case
def put_and_get(server):
    put = server.put(storage="STANDARD")
    got = server.get()
    return [status(put), put["ETag"], status(got), got["Body"], got.get("StorageClass")]


@case
def get_range(server):
    server.put(storage="STANDARD")
    got = server.get(Range="bytes=2-5")
    return [status(got), got["Body"], got["ContentRange"], got["ContentLength"]]


@case
def get_range_beyond_the_end(server):
    server.put(storage="STANDARD")
    return refusal(server.get, Range="bytes=10-")


@case
def get_if_match_another(server):
    server.put(storage="STANDARD")
    return refusal(server.get, IfMatch='"another"')


@case
def get_what_is_not_there(server):
    return [refusal(server.get), refusal(server.head)]


@case
def put_if_none_match(server):
    put = dict(Bucket=server.bucket, Key="k", Body=b"x", IfNoneMatch="*")
    first = refusal(server.s3.put_object, **put)
    return [first, refusal(server.s3.put_object, **put)]


@case
def put_if_match(server):
    tag = server.put(key="k", storage="STANDARD")["ETag"]
    put = dict(Bucket=server.bucket, Key="k", Body=b"y", IfMatch=tag)
    first = refusal(server.s3.put_object, **put)
    return [first, refusal(server.s3.put_object, **put)]


@case
def put_with_a_wrong_digest(server):
    put = dict(Bucket=server.bucket, Key="k", Body=b"x", ContentMD5="kAFQmDzST7DWlj99KOF/cg==")
    return refusal(server.s3.put_object, **put)


@case
def put_with_an_unknown_class(server):
    return refusal(server.put, storage="GLACIAL")


@case
def list_in_byte_order(server):
    for key in ["o/a/b", "o/a", "o/a-b", "o/a.b", "ü", "z"]:
        server.put(key=key, storage="STANDARD")
    pages = server.s3.get_paginator("list_objects_v2").paginate(
        Bucket=server.bucket, PaginationConfig={"PageSize": 2}
    )
    return [[item["Key"] for item in page.get("Contents", [])] for page in pages]


@case
def list_with_delimiter(server):
    for key in ["o/a/b", "o/a", "o/c/d", "z"]:
        server.put(key=key, storage="STANDARD")
    page = server.s3.list_objects_v2(Bucket=server.bucket, Prefix="o/", Delimiter="/")
    prefixes = [item["Prefix"] for item in page["CommonPrefixes"]]
    return [[item["Key"] for item in page["Contents"]], prefixes, page["KeyCount"]]


@case
def upload_of_small_parts(server):
    upload = server.s3.create_multipart_upload(Bucket=server.bucket, Key="k")
    place = dict(Bucket=server.bucket, Key="k", UploadId=upload["UploadId"])
    parts = []
    for number in (1, 2):
        part = server.s3.upload_part(PartNumber=number, Body=b"small", **place)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    complete = server.s3.complete_multipart_upload
    return refusal(complete, MultipartUpload={"Parts": parts}, **place)


@case
def upload_in_parts(server):
    upload = server.s3.create_multipart_upload(Bucket=server.bucket, Key="k")
    place = dict(Bucket=server.bucket, Key="k", UploadId=upload["UploadId"])
    parts = []
    for number, body in ((1, b"a" * (5 << 20)), (2, b"tail")):
        part = server.s3.upload_part(PartNumber=number, Body=body, **place)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    done = server.s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **place)
    got = server.get("k", Range="bytes=5242879-")
    return [status(done), done["ETag"], got["Body"], got["ContentRange"]]


@case
def versions_of_an_object(server):
    server.s3.put_bucket_versioning(
        Bucket=server.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    first = server.put(storage="STANDARD", body=b"first")["VersionId"]
    server.put(storage="STANDARD", body=b"second")
    server.s3.delete_object(Bucket=server.bucket, Key="a.tar")
    listed = server.s3.list_object_versions(Bucket=server.bucket)
    return [
        refusal(server.get),
        server.get(VersionId=first)["Body"],
        [item["IsLatest"] for item in listed["Versions"]],
        [item["IsLatest"] for item in listed["DeleteMarkers"]],
        refusal(server.get, VersionId="nonsense"),
    ]


@case
def wrong_secret(server):
    s3 = server.client("s3", secret="another-secret")
    return refusal(s3.list_objects_v2, Bucket=server.bucket)


# Restores


@case
def get_archived(server):
    server.put()
    try:
        server.get()
        return "taken"
    except server.s3.exceptions.InvalidObjectState as error:
        response = error.response
        return [status(response), response["Error"]["Code"], response.get("StorageClass")]


@case
def get_instant_retrieval(server):
    server.put(storage="GLACIER_IR")
    got = server.get()
    return [got["Body"], got["StorageClass"]]


@case
def head_archived(server):
    server.put()
    head = server.head()
    return [head["StorageClass"], head.get("Restore")]


@case
def copy_archived(server):
    server.put()
    source = {"Bucket": server.bucket, "Key": "a.tar"}
    return refusal(server.s3.copy_object, Bucket=server.bucket, Key="copy", CopySource=source)


@case
def restore_without_days(server):
    server.put()
    return refusal(server.restore, days=None)


@case
def restore_what_is_not_archived(server):
    server.put(storage="STANDARD")
    return refusal(server.restore)


@case
def restore_what_is_not_there(server):
    return refusal(server.restore)


@case
def restore_deep_archive_expedited(server):
    server.put(storage="DEEP_ARCHIVE")
    return refusal(server.restore, tier="Expedited")


@case
def restore_and_wait(server):
    server.put()
    accepted = status(server.restore())
    running = 'ongoing-request="true"' in server.head().get("Restore", "")
    before = [accepted, running, refusal(server.get)]
    server.pass_hours(12)
    head = server.head()
    pattern = r'ongoing-request="false", expiry-date="\w{3}, \d\d \w{3} \d{4} 00:00:00 GMT"'
    form = bool(re.fullmatch(pattern, head["Restore"]))
    return [before, form, head["StorageClass"], server.get()["Body"]]


@case
def restore_running_again(server):
    server.put()
    return [refusal(server.restore), refusal(server.restore)]


@case
def restore_running_faster(server):
    server.put()
    return [refusal(server.restore), refusal(server.restore, tier="Expedited")]


@case
def restore_running_with_other_days(server):
    server.put()
    return [refusal(server.restore), refusal(server.restore, tier="Expedited", days=9)]


def expiry(head):
    date = re.search(r'expiry-date="([^"]*)"', head["Restore"])[1]
    return datetime.datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT")


@case
def restore_available_again(server):
    server.put()
    server.restore(days=9)
    server.pass_hours(12)
    first = expiry(server.head())
    longer = status(server.restore(days=20))
    second = expiry(server.head())
    shorter = status(server.restore(days=2))
    third = expiry(server.head())
    return [longer, shorter, second > first, third < first]


@case
def list_restore_status(server):
    server.put()
    server.put(key="b.tar")
    server.restore()
    ask = dict(Bucket=server.bucket)
    plain = [item.get("RestoreStatus") for item in server.s3.list_objects_v2(**ask)["Contents"]]
    ask["OptionalObjectAttributes"] = ["RestoreStatus"]
    page = server.s3.list_objects_v2(**ask)["Contents"]
    return [plain, [item.get("RestoreStatus") for item in page]]


@case
def copy_restored(server):
    server.put()
    server.restore()
    server.pass_hours(12)
    source = {"Bucket": server.bucket, "Key": "a.tar"}
    copy = refusal(server.s3.copy_object, Bucket=server.bucket, Key="copy", CopySource=source)
    return [copy, server.head("copy").get("StorageClass")]


# Events


@case
def event_bridge(server):
    url = server.queue()
    server.s3.put_bucket_notification_configuration(
        Bucket=server.bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [server.bucket]}}}
    pattern["detail-type"] = ["Object Restore Initiated", "Object Restore Completed"]
    server.events.put_rule(Name=server.bucket, EventPattern=json.dumps(pattern))
    target = {"Id": "1", "Arn": server.arn(url)}
    server.events.put_targets(Rule=server.bucket, Targets=[target])
    server.put(key="a b.tar")
    server.restore(key="a b.tar")
    server.pass_hours(12, key="a b.tar")
    events = {event["detail-type"]: event for event in server.receive(url, 2)}
    answer = []
    for kind in ("Initiated", "Completed"):
        event = events.get(f"Object Restore {kind}")
        if event is None:
            answer.append("lost")
            continue
        detail = event["detail"]
        answer.append([field_names(event), detail["object"]["key"], detail["requester"]])
    return answer


@case
def classic_notification(server):
    url = server.queue()
    queue = {"QueueArn": server.arn(url), "Events": ["s3:ObjectRestore:*"]}
    server.s3.put_bucket_notification_configuration(
        Bucket=server.bucket, NotificationConfiguration={"QueueConfigurations": [queue]}
    )
    server.put(key="a b.tar")
    server.restore(key="a b.tar")
    server.pass_hours(12, key="a b.tar")
    bodies = server.receive(url, 3)
    test = sum("Records" not in body for body in bodies)
    records = [body["Records"][0] for body in bodies if "Records" in body]
    records = sorted(records, key=lambda record: record["eventName"])
    return [
        test,
        [[record["eventName"], record["s3"]["object"]["key"]] for record in records],
        ["glacierEventData" in record for record in records],
    ]


# Queues


@case
def queue_hides_and_deletes(server):
    url = server.queue(VisibilityTimeout="1000")
    sent = server.sqs.send_message(QueueUrl=url, MessageBody="hello")
    first = server.sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"][0]
    hidden = "Messages" in server.sqs.receive_message(QueueUrl=url)
    handle = dict(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    server.sqs.change_message_visibility(VisibilityTimeout=0, **handle)
    again = server.sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"][0]
    handle["ReceiptHandle"] = again["ReceiptHandle"]
    deleted = status(server.sqs.delete_message(**handle))
    counts = [m["Attributes"]["ApproximateReceiveCount"] for m in (first, again)]
    return [first["Body"], first["MD5OfBody"] == sent["MD5OfMessageBody"], hidden, counts, deleted]


@case
def queue_of_dead_letters(server):
    dead = server.queue(server.bucket + "-dead")
    policy = {"deadLetterTargetArn": server.arn(dead), "maxReceiveCount": "2"}
    url = server.queue(VisibilityTimeout="0", RedrivePolicy=json.dumps(policy))
    server.sqs.send_message(QueueUrl=url, MessageBody="poison")
    counts = [len(server.sqs.receive_message(QueueUrl=url).get("Messages", [])) for _ in range(3)]
    letters = server.sqs.receive_message(QueueUrl=dead).get("Messages", [])
    return [counts, [letter["Body"] for letter in letters]]


@case
def queue_batches(server):
    url = server.queue()
    entries = [{"Id": str(number), "MessageBody": str(number)} for number in range(11)]
    send = server.sqs.send_message_batch
    too_many = refusal(send, QueueUrl=url, Entries=entries)
    sent = send(QueueUrl=url, Entries=entries[:10])
    messages = server.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    delete = [
        {"Id": message["Body"], "ReceiptHandle": message["ReceiptHandle"]} for message in messages
    ]
    deleted = server.sqs.delete_message_batch(QueueUrl=url, Entries=delete)
    return [too_many, len(sent["Successful"]), sorted(e["Id"] for e in deleted["Successful"])]


@case
def queue_refusals(server):
    url = server.queue()
    return [
        refusal(server.sqs.get_queue_url, QueueName="none"),
        refusal(server.sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=11),
        refusal(server.sqs.delete_message, QueueUrl=url, ReceiptHandle="nonsense"),
        refusal(server.sqs.send_message, QueueUrl=url + "-none", MessageBody="x"),
    ]


def main():
    kind, endpoint = sys.argv[1:]
    for function in CASES:
        name = function.__name__
        try:
            answer = function(Server(kind, endpoint, name))
        except Exception as error:  # What one server cannot do at all is an answer, too.
            answer = f"{type(error).__name__}: {error}"[:200]
        print(json.dumps([name, answer], default=str), flush=True)


if __name__ == "__main__":
    main()
