//! SQS: its calls, in its JSON protocol.
//!
//! Source: the Amazon SQS API reference. Message attributes, FIFO queues and permissions are
//! absent; long polling waits in real time.

use std::time::Duration;

use s3s::crypto::{Checksum as _, Md5};
use serde_json::{Map, Value, json};

use super::{Answer, INVALID_PARAMETER, Refusal};
use crate::event::{ACCOUNT, REGION, uuid};
use crate::object::Hex;
use crate::queue::{BadHandle, MESSAGE_BYTES_MAX, Queue, Received, Redrive, VISIBILITY_MOST};
use crate::time::Time;
use crate::world::World;

/// Entries of a batch, and messages of a receipt.
const BATCH_MAX: usize = 10;
const WAIT_SECS_MAX: u64 = 20;
const DELAY_SECS_MAX: u64 = 900;

const NO_QUEUE: Refusal =
    Refusal::new("com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.")
        .old("AWS.SimpleQueueService.NonExistentQueue");
const BAD_HANDLE: Refusal = Refusal::new(
    "com.amazonaws.sqs#ReceiptHandleIsInvalid",
    "The input receipt handle is invalid.",
);
const NOT_IN_FLIGHT: Refusal = Refusal::new(
    "com.amazonaws.sqs#MessageNotInflight",
    "The message referred to is not in flight.",
)
.old("AWS.SimpleQueueService.MessageNotInflight");
const EMPTY_BATCH: Refusal = Refusal::new(
    "com.amazonaws.sqs#EmptyBatchRequest",
    "The batch request doesn't contain any entries.",
)
.old("AWS.SimpleQueueService.EmptyBatchRequest");
const LONG_BATCH: Refusal = Refusal::new(
    "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
    "The batch request contains more entries than permissible.",
)
.old("AWS.SimpleQueueService.TooManyEntriesInBatchRequest");

pub(super) fn call(world: &mut World, name: &str, input: &Value, host: &str) -> Answer {
    match name {
        "CreateQueue" => create(world, input, host),
        "GetQueueUrl" => {
            let name = text(input, "QueueName")?;
            world.queues.get(name).ok_or(NO_QUEUE)?;
            Ok(json!({"QueueUrl": url(host, name)}))
        }
        "ListQueues" => {
            let prefix = input["QueueNamePrefix"].as_str().unwrap_or_default();
            let names = world.queues.keys().filter(|name| name.starts_with(prefix));
            Ok(json!({"QueueUrls": names.map(|name| url(host, name)).collect::<Vec<_>>()}))
        }
        "DeleteQueue" => {
            world.queues.remove(name_of(input)?).ok_or(NO_QUEUE)?;
            Ok(json!({}))
        }
        "PurgeQueue" => {
            queue(world, input)?.purge();
            Ok(json!({}))
        }
        "GetQueueAttributes" => attributes(world, input),
        "SetQueueAttributes" => {
            let attributes = input["Attributes"].as_object().ok_or(INVALID_PARAMETER)?;
            set(queue(world, input)?, attributes)?;
            Ok(json!({}))
        }
        "SendMessage" => send(world, name_of(input)?, input),
        "SendMessageBatch" => batch(input, |entry| send(world, name_of(input)?, entry)),
        "DeleteMessage" => delete(world, input, input),
        "DeleteMessageBatch" => batch(input, |entry| delete(world, input, entry)),
        "ChangeMessageVisibility" => change(world, input, input),
        "ChangeMessageVisibilityBatch" => batch(input, |entry| change(world, input, entry)),
        _ => Err(Refusal::new("UnknownOperationException", "The operation is not known.")),
    }
}

fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, Refusal> {
    input[name].as_str().ok_or(INVALID_PARAMETER)
}

/// Returns the name at the end of a queue's URL.
fn name_of(input: &Value) -> Result<&str, Refusal> {
    Ok(text(input, "QueueUrl")?.rsplit('/').next().unwrap_or_default())
}

fn url(host: &str, name: &str) -> String {
    format!("http://{host}/{ACCOUNT}/{name}")
}

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

fn queue<'a>(world: &'a mut World, input: &Value) -> Result<&'a mut Queue, Refusal> {
    world.queues.get_mut(name_of(input)?).ok_or(NO_QUEUE)
}

fn now(world: &World) -> Time {
    world.time_of(world.options.queue_time)
}

fn create(world: &mut World, input: &Value, host: &str) -> Answer {
    let name = text(input, "QueueName")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 80 || !name.chars().all(fits) {
        return Err(INVALID_PARAMETER);
    }
    let mut queue = Queue::new(name, now(world));
    if let Some(attributes) = input["Attributes"].as_object() {
        set(&mut queue, attributes)?;
    }
    world.queues.entry(name.to_owned()).or_insert(queue);
    Ok(json!({"QueueUrl": url(host, name)}))
}

/// Sets what the emulator knows of; other attributes are taken, and mean nothing.
fn set(queue: &mut Queue, attributes: &Map<String, Value>) -> Result<(), Refusal> {
    for (name, value) in attributes {
        let value = value.as_str().ok_or(INVALID_PARAMETER)?;
        let seconds = |most: u64| {
            let seconds = value.parse().ok().filter(|seconds| *seconds <= most);
            seconds.map(Duration::from_secs).ok_or(INVALID_PARAMETER)
        };
        match name.as_str() {
            "VisibilityTimeout" => queue.visibility = seconds(VISIBILITY_MOST.as_secs())?,
            "DelaySeconds" => queue.delay = seconds(DELAY_SECS_MAX)?,
            "MessageRetentionPeriod" => queue.retention = seconds(14 * 24 * 60 * 60)?,
            "ReceiveMessageWaitTimeSeconds" => queue.wait = seconds(WAIT_SECS_MAX)?,
            "RedrivePolicy" => queue.redrive = redrive(value)?,
            _ => {}
        }
    }
    Ok(())
}

fn redrive(policy: &str) -> Result<Option<Redrive>, Refusal> {
    if policy.is_empty() {
        return Ok(None);
    }
    let policy: Value = serde_json::from_str(policy).map_err(|_| INVALID_PARAMETER)?;
    let queue = text(&policy, "deadLetterTargetArn")?.rsplit(':').next().unwrap_or_default();
    let most = &policy["maxReceiveCount"];
    let most = most.as_u64().or_else(|| most.as_str()?.parse().ok());
    let receives_max = most.and_then(|most| u32::try_from(most).ok()).filter(|most| *most > 0);
    let receives_max = receives_max.ok_or(INVALID_PARAMETER)?;
    Ok(Some(Redrive { queue: queue.to_owned(), receives_max }))
}

fn attributes(world: &mut World, input: &Value) -> Answer {
    let now = now(world);
    let queue = queue(world, input)?;
    queue.settle(now);
    let counts = queue.counts();
    let mut all = json!({
        "QueueArn": arn(&queue.name),
        "ApproximateNumberOfMessages": counts.visible.to_string(),
        "ApproximateNumberOfMessagesNotVisible": counts.in_flight.to_string(),
        "ApproximateNumberOfMessagesDelayed": counts.delayed.to_string(),
        "CreatedTimestamp": (queue.created.millis() / 1000).to_string(),
        "VisibilityTimeout": queue.visibility.as_secs().to_string(),
        "DelaySeconds": queue.delay.as_secs().to_string(),
        "MessageRetentionPeriod": queue.retention.as_secs().to_string(),
        "MaximumMessageSize": MESSAGE_BYTES_MAX.to_string(),
        "ReceiveMessageWaitTimeSeconds": queue.wait.as_secs().to_string(),
    });
    if let Some(redrive) = &queue.redrive {
        let policy = json!({
            "deadLetterTargetArn": arn(&redrive.queue),
            "maxReceiveCount": redrive.receives_max,
        });
        all["RedrivePolicy"] = policy.to_string().into();
    }
    let wanted: Vec<&str> = input["AttributeNames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if let (Value::Object(all), false) = (&mut all, wanted.contains(&"All")) {
        all.retain(|name, _| wanted.contains(&name.as_str()));
    }
    Ok(json!({"Attributes": all}))
}

fn send(world: &mut World, name: &str, input: &Value) -> Answer {
    let body = text(input, "MessageBody")?;
    if body.is_empty() || body.len() > MESSAGE_BYTES_MAX {
        return Err(INVALID_PARAMETER);
    }
    let delay = input["DelaySeconds"].as_u64();
    if delay.is_some_and(|delay| delay > DELAY_SECS_MAX) {
        return Err(INVALID_PARAMETER);
    }
    let (id, now) = (world.next_id(), now(world));
    let queue = world.queues.get_mut(name).ok_or(NO_QUEUE)?;
    queue.send(id, body.into(), now, delay.map(Duration::from_secs));
    world.arrived = true;
    Ok(json!({"MessageId": uuid(id), "MD5OfMessageBody": md5(body)}))
}

fn md5(body: &str) -> String {
    Hex(&Md5::checksum(body.as_bytes())).to_string()
}

/// Does each entry by itself, and says of each how it went.
fn batch(input: &Value, mut each: impl FnMut(&Value) -> Answer) -> Answer {
    let entries = input["Entries"].as_array().ok_or(INVALID_PARAMETER)?;
    match entries.len() {
        0 => return Err(EMPTY_BATCH),
        BATCH_MAX.. if entries.len() > BATCH_MAX => return Err(LONG_BATCH),
        _ => {}
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        let id = text(entry, "Id")?;
        match each(entry) {
            Ok(mut answer) => {
                answer["Id"] = id.into();
                successful.push(answer);
            }
            Err(refusal) if refusal.code == NO_QUEUE.code => return Err(refusal),
            Err(Refusal { code, message, .. }) => {
                let code = code.rsplit('#').next();
                failed
                    .push(json!({"Id": id, "Code": code, "Message": message, "SenderFault": true}));
            }
        }
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}

fn delete(world: &mut World, input: &Value, entry: &Value) -> Answer {
    let handle = text(entry, "ReceiptHandle")?;
    queue(world, input)?.delete(handle).map_err(|_| BAD_HANDLE)?;
    Ok(json!({}))
}

fn change(world: &mut World, input: &Value, entry: &Value) -> Answer {
    let handle = text(entry, "ReceiptHandle")?;
    let seconds = entry["VisibilityTimeout"].as_u64().ok_or(INVALID_PARAMETER)?;
    let visibility = Duration::from_secs(seconds);
    if visibility > VISIBILITY_MOST {
        return Err(INVALID_PARAMETER);
    }
    let now = now(world);
    let changed = queue(world, input)?.change_visibility(handle, now, visibility);
    world.arrived = true;
    changed.map(|()| json!({})).map_err(|bad| match bad {
        BadHandle::Malformed => BAD_HANDLE,
        BadHandle::NotInFlight => NOT_IN_FLIGHT,
    })
}

/// Returns how long a receiver wants to wait.
pub(super) fn wait(world: &mut World, input: &Value) -> Result<Duration, Refusal> {
    let default = queue(world, input)?.wait;
    match input["WaitTimeSeconds"].as_u64() {
        Some(seconds) if seconds > WAIT_SECS_MAX => Err(INVALID_PARAMETER),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Ok(default),
    }
}

pub(super) fn receive(world: &mut World, input: &Value) -> Answer {
    let count = input["MaxNumberOfMessages"].as_u64().unwrap_or(1) as usize;
    let visibility = input["VisibilityTimeout"].as_u64().map(Duration::from_secs);
    if !(1..=BATCH_MAX).contains(&count) || visibility.is_some_and(|asked| asked > VISIBILITY_MOST)
    {
        return Err(INVALID_PARAMETER);
    }
    let now = now(world);
    let queue = queue(world, input)?;
    let (received, dead) = queue.receive(now, count, visibility);
    let dead_letters = queue.redrive.as_ref().map(|redrive| redrive.queue.clone());
    if let Some(queue) = dead_letters.and_then(|name| world.queues.get_mut(&name)) {
        dead.into_iter().for_each(|message| queue.adopt(message, now));
    }
    if received.is_empty() {
        return Ok(json!({}));
    }
    let wanted: Vec<&str> = ["AttributeNames", "MessageSystemAttributeNames"]
        .iter()
        .filter_map(|name| input[name].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let messages = received.iter().map(|received| message(received, &wanted));
    Ok(json!({"Messages": messages.collect::<Vec<_>>()}))
}

fn message(received: &Received, wanted: &[&str]) -> Value {
    let message = &received.message;
    let first = message.first_received.unwrap_or(message.sent);
    let mut attributes = json!({
        "SenderId": ACCOUNT,
        "SentTimestamp": message.sent.millis().to_string(),
        "ApproximateReceiveCount": message.receives.to_string(),
        "ApproximateFirstReceiveTimestamp": first.millis().to_string(),
    });
    if let (Value::Object(all), false) = (&mut attributes, wanted.contains(&"All")) {
        all.retain(|name, _| wanted.contains(&name.as_str()));
    }
    let body = message.body.text();
    let mut value = json!({
        "MessageId": uuid(message.id),
        "ReceiptHandle": received.handle,
        "MD5OfBody": md5(&body),
        "Body": body,
    });
    if attributes.as_object().is_some_and(|attributes| !attributes.is_empty()) {
        value["Attributes"] = attributes;
    }
    value
}
