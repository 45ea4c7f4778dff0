//! Queues, by SQS's own protocol.

use dcmjoin_emulator::{Route, Shape, Target};
use dcmjoin_testkit::Ask;
use serde_json::{Value, json};

use super::*;

impl Scene {
    fn sqs(&self, name: &str, input: &Value) -> (u16, Value) {
        self.json("AmazonSQS", "sqs", name, input)
    }

    fn json(&self, target: &str, service: &str, name: &str, input: &Value) -> (u16, Value) {
        let target = format!("{target}.{name}");
        let headers =
            [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        let body = input.to_string();
        let body = body.as_bytes();
        let ask = Ask { method: "POST", headers: &headers, body, service, ..Ask::default() };
        let answer = self.send(&ask);
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    fn queue(&self, name: &str, attributes: &Value) -> Value {
        let input = json!({"QueueName": name, "Attributes": attributes});
        self.sqs("CreateQueue", &input).1["QueueUrl"].clone()
    }

    fn receive(&self, url: &Value) -> Vec<Value> {
        let input = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "AttributeNames": ["All"]});
        self.sqs("ReceiveMessage", &input).1["Messages"].as_array().cloned().unwrap_or_default()
    }
}

#[test]
fn messages_are_hidden_and_come_again() {
    let scene = Scene::new();
    let url = scene.queue("q", &json!({"VisibilityTimeout": "60"}));
    let (status, sent) = scene.sqs("SendMessage", &json!({"QueueUrl": url, "MessageBody": "hi"}));
    assert_eq!(status, 200);
    assert_eq!(sent["MD5OfMessageBody"], "49f68a5c8493ec2c0bf489821c21fc3b");
    let first = scene.receive(&url).remove(0);
    assert_eq!((&first["Body"], &first["MessageId"]), (&json!("hi"), &sent["MessageId"]));
    assert!(scene.receive(&url).is_empty());
    scene.advance(MINUTE);
    let again = scene.receive(&url).remove(0);
    assert_eq!(again["Attributes"]["ApproximateReceiveCount"], "2");
    let handle = &again["ReceiptHandle"];
    let input = json!({"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 0});
    assert_eq!(scene.sqs("ChangeMessageVisibility", &input).0, 200);
    let third = scene.receive(&url).remove(0);
    let entries = json!([{"Id": "a", "ReceiptHandle": third["ReceiptHandle"]}]);
    let (_, deleted) =
        scene.sqs("DeleteMessageBatch", &json!({"QueueUrl": url, "Entries": entries}));
    assert_eq!(deleted["Successful"][0]["Id"], "a");
    scene.advance(HOUR);
    assert!(scene.receive(&url).is_empty());
}

#[test]
fn dead_letters_go_to_their_queue() {
    let scene = Scene::new();
    let dead = scene.queue("dead", &json!({}));
    let policy = json!({
        "deadLetterTargetArn": "arn:aws:sqs:us-east-1:111122223333:dead",
        "maxReceiveCount": 2,
    });
    let url = scene.queue("q", &json!({"RedrivePolicy": policy.to_string()}));
    scene.emulator.queues().send("q", "poison");
    for _ in 0..2 {
        assert_eq!(scene.receive(&url).len(), 1);
        scene.advance(MINUTE);
    }
    assert!(scene.receive(&url).is_empty());
    assert_eq!(scene.receive(&dead)[0]["Body"], "poison");
    let input = json!({"QueueUrl": dead, "AttributeNames": ["All"]});
    let (_, answer) = scene.sqs("GetQueueAttributes", &input);
    assert_eq!(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"], "1");
}

#[test]
fn refusals_have_the_codes_of_sqs() {
    let scene = Scene::new();
    let check = |name: &str, input: Value, code: &str| {
        let (status, answer) = scene.sqs(name, &input);
        assert_eq!((status, answer["__type"].as_str()), (400, Some(code)), "{name}");
    };
    let no_queue = "com.amazonaws.sqs#QueueDoesNotExist";
    check("GetQueueUrl", json!({"QueueName": "none"}), no_queue);
    check("ReceiveMessage", json!({"QueueUrl": "http://x/1/none"}), no_queue);
    let url = scene.queue("q", &json!({}));
    let handle = json!({"QueueUrl": url, "ReceiptHandle": "nonsense"});
    check("DeleteMessage", handle, "com.amazonaws.sqs#ReceiptHandleIsInvalid");
    let empty = json!({"QueueUrl": url, "Entries": []});
    check("DeleteMessageBatch", empty, "com.amazonaws.sqs#EmptyBatchRequest");
    let many = json!({"QueueUrl": url, "MaxNumberOfMessages": 11});
    check("ReceiveMessage", many, "InvalidParameterValue");
    check("SendPigeon", json!({}), "UnknownOperationException");
    let wrong = scene.client.with_wrong_secret();
    let headers = [("x-amz-target", "AmazonSQS.ListQueues")];
    let ask =
        Ask { method: "POST", headers: &headers, body: b"{}", service: "sqs", ..Ask::default() };
    assert_eq!(wrong.send(&ask).unwrap().status, 403);
}

#[test]
fn a_bucket_notifies_a_queue_that_s3_was_told_of() {
    let scene = Scene::archived();
    let url = scene.queue("q", &json!({}));
    let configure = |queue: &str| {
        let body = format!(
            "<NotificationConfiguration><QueueConfiguration>\
             <Queue>arn:aws:sqs:us-east-1:111122223333:{queue}</Queue>\
             <Event>s3:ObjectRestore:Completed</Event></QueueConfiguration>\
             </NotificationConfiguration>"
        );
        let query = &[("notification", "")];
        let body = body.as_bytes();
        scene.send(&Ask { method: "PUT", path: "/archive", query, body, ..Ask::default() })
    };
    refused(&configure("none"), 400, "InvalidArgument");
    assert_eq!(configure("q").status, 200);
    let test = scene.receive(&url).remove(0);
    assert!(test["Body"].as_str().unwrap().contains("s3:TestEvent"));
    scene.restore("a.tar", "Expedited", 1);
    scene.advance(5 * MINUTE);
    let bodies: Vec<String> =
        scene.receive(&url).iter().map(|m| m["Body"].as_str().unwrap().to_owned()).collect();
    let event = bodies.iter().find(|body| body.contains("Records")).unwrap();
    assert!(event.contains("ObjectRestore:Completed"));
    assert!(!bodies.iter().any(|body| body.contains("ObjectRestore:Post")));
}

#[test]
fn rules_of_the_bus_send_events_to_queues() {
    let scene = Scene::archived();
    let url = scene.queue("q", &json!({}));
    let pattern = json!({
        "source": ["aws.s3"],
        "detail-type": ["Object Restore Completed"],
        "detail": {"bucket": {"name": ["archive"]}},
    });
    let events = |name, input| scene.json("AWSEvents", "events", name, &input);
    let rule = json!({"Name": "restores", "EventPattern": pattern.to_string()});
    assert_eq!(events("PutRule", rule).0, 200);
    let targets = json!([
        {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:111122223333:q"},
        {"Id": "2", "Arn": "arn:aws:lambda:us-east-1:111122223333:function:f"},
    ]);
    let (_, answer) = events("PutTargets", json!({"Rule": "restores", "Targets": targets}));
    assert_eq!(answer["FailedEntryCount"], 1);
    let body =
        b"<NotificationConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
    let query = &[("notification", "")];
    scene.send(&Ask { method: "PUT", path: "/archive", query, body, ..Ask::default() });
    scene.restore("a.tar", "Expedited", 1);
    scene.advance(5 * MINUTE);
    let received = scene.receive(&url);
    assert_eq!(received.len(), 1);
    let event: Value = serde_json::from_str(received[0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!(event["detail-type"], "Object Restore Completed");
}

#[test]
fn events_go_to_another_server() {
    let other = Scene::new();
    let url = other.queue("restores", &json!({}));
    let scene = Scene::archived();
    let route = |url: &str| Route {
        target: Target::External(url.to_owned()),
        ..Route::to_queue(Shape::EventBridge, "")
    };
    let storage = scene.emulator.storage();
    storage.add_route("archive", route(url.as_str().unwrap())).unwrap();
    scene.restore("a.tar", "Expedited", 1);
    scene.advance(5 * MINUTE);
    let input = json!({"QueueUrl": url, "WaitTimeSeconds": 20, "MaxNumberOfMessages": 10});
    let mut types = Vec::new();
    while types.len() < 2 {
        let (_, answer) = other.sqs("ReceiveMessage", &input);
        let messages = answer["Messages"].as_array().expect("an event within 20 s");
        for message in messages {
            let event: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
            types.push(event["detail-type"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(types, ["Object Restore Initiated", "Object Restore Completed"]);
    assert_eq!(scene.emulator.ledger().forward_failed, 0);
}

#[test]
fn a_receiver_that_waits_is_woken() {
    let scene = Scene::archived();
    let url = scene.queue("q", &json!({}));
    let route = Route::to_queue(Shape::Notification, "q");
    scene.emulator.storage().add_route("archive", route).unwrap();
    let input = json!({"QueueUrl": url, "WaitTimeSeconds": 20});
    let answer = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| scene.sqs("ReceiveMessage", &input).1);
        scene.restore("a.tar", "Bulk", 1);
        waiting.join().unwrap()
    });
    assert!(answer["Messages"][0]["Body"].as_str().unwrap().contains("ObjectRestore:Post"));
}
