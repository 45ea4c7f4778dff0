//! EventBridge's default bus: rules that send events to queues.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answer, INVALID_PARAMETER, Refusal};
use crate::event::{ACCOUNT, REGION};
use crate::rule::Rule;
use crate::world::World;

/// EventBridge's own bound of an account.
const RULES_MAX: usize = 300;

const NOT_FOUND: Refusal = Refusal::new("ResourceNotFoundException", "Rule does not exist.");

pub(super) fn call(world: &mut World, name: &str, input: &Value) -> Answer {
    match name {
        "PutRule" => put_rule(world, input),
        "PutTargets" => put_targets(world, input),
        "RemoveTargets" => remove_targets(world, input),
        "DeleteRule" => {
            world.rules.remove(text(input, "Name")?);
            Ok(json!({}))
        }
        "ListRules" => Ok(json!({
            "Rules": world.rules.iter().map(|(name, rule)| described(name, rule)).collect::<Vec<_>>(),
        })),
        _ => Err(Refusal::new("UnknownOperationException", "The operation is not known.")),
    }
}

fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, Refusal> {
    input[name].as_str().ok_or(INVALID_PARAMETER)
}

fn arn(name: &str) -> String {
    format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}")
}

fn described(name: &str, rule: &Rule) -> Value {
    json!({
        "Name": name,
        "Arn": arn(name),
        "EventPattern": rule.pattern.to_string(),
        "State": if rule.enabled { "ENABLED" } else { "DISABLED" },
        "EventBusName": "default",
    })
}

fn put_rule(world: &mut World, input: &Value) -> Answer {
    let name = text(input, "Name")?;
    let pattern: Option<Value> = serde_json::from_str(text(input, "EventPattern")?).ok();
    let pattern = pattern
        .filter(Value::is_object)
        .ok_or(Refusal::new("InvalidEventPatternException", "Event pattern is not valid."))?;
    if world.rules.len() >= RULES_MAX && !world.rules.contains_key(name) {
        return Err(Refusal::new("LimitExceededException", "There are too many rules."));
    }
    let enabled = input["State"] != "DISABLED";
    let targets = world.rules.remove(name).map(|rule| rule.targets).unwrap_or_default();
    world.rules.insert(name.to_owned(), Rule { pattern, enabled, targets });
    Ok(json!({"RuleArn": arn(name)}))
}

/// Targets are queues of the emulator, by their ARN; others are counted as failed.
fn put_targets(world: &mut World, input: &Value) -> Answer {
    let targets = input["Targets"].as_array().ok_or(INVALID_PARAMETER)?;
    let rule = world.rules.get_mut(text(input, "Rule")?).ok_or(NOT_FOUND)?;
    let mut failed = Vec::new();
    for target in targets {
        let id = text(target, "Id")?;
        let arn = text(target, "Arn")?;
        match arn.strip_prefix("arn:aws:sqs:").and_then(|rest| rest.rsplit(':').next()) {
            Some(queue) => drop(rule.targets.insert(id.to_owned(), queue.to_owned())),
            None => failed.push(json!({
                "TargetId": id,
                "ErrorCode": "ValidationException",
                "ErrorMessage": "The target is not a queue.",
            })),
        }
    }
    Ok(json!({"FailedEntryCount": failed.len(), "FailedEntries": failed}))
}

fn remove_targets(world: &mut World, input: &Value) -> Answer {
    let rule = world.rules.get_mut(text(input, "Rule")?).ok_or(NOT_FOUND)?;
    let ids = input["Ids"].as_array().ok_or(INVALID_PARAMETER)?;
    let gone = |ids: &[Value], targets: &mut BTreeMap<String, String>| {
        ids.iter().filter_map(Value::as_str).for_each(|id| drop(targets.remove(id)));
    };
    gone(ids, &mut rule.targets);
    Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
}
