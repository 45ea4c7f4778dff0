//! Rules of the event bus: which events go to which queues.
//!
//! Source: the EventBridge user guide, "Creating Amazon EventBridge event patterns". Of the
//! comparisons, exact values, `prefix`, `suffix`, `anything-but` and `exists` are there.

use std::collections::BTreeMap;

use serde_json::Value;

/// A rule of the default bus.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) pattern: Value,
    pub(crate) enabled: bool,
    /// Queues by the targets' ids.
    pub(crate) targets: BTreeMap<String, String>,
}

impl Rule {
    pub(crate) fn takes(&self, event: &Value) -> bool {
        self.enabled && matches(&self.pattern, Some(event))
    }
}

/// Every field of a pattern must be met; of the values that a field lists, one.
fn matches(pattern: &Value, value: Option<&Value>) -> bool {
    match pattern {
        Value::Object(fields) => fields
            .iter()
            .all(|(name, pattern)| matches(pattern, value.and_then(|value| value.get(name)))),
        Value::Array(choices) => choices.iter().any(|choice| meets(choice, value)),
        _ => false,
    }
}

fn meets(choice: &Value, value: Option<&Value>) -> bool {
    let Value::Object(comparison) = choice else { return value == Some(choice) };
    let text = value.and_then(Value::as_str);
    comparison.iter().all(|(name, argument)| match (name.as_str(), argument) {
        ("exists", Value::Bool(exists)) => value.is_some() == *exists,
        ("prefix", Value::String(prefix)) => text.is_some_and(|text| text.starts_with(prefix)),
        ("suffix", Value::String(suffix)) => text.is_some_and(|text| text.ends_with(suffix)),
        ("anything-but", Value::Array(others)) => {
            value.is_some_and(|value| !others.contains(value))
        }
        ("anything-but", other) => value.is_some_and(|value| value != other),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(pattern: &Value, expect: bool) {
        let event = json!({
            "source": "aws.s3",
            "detail-type": "Object Restore Completed",
            "detail": {"bucket": {"name": "archive"}, "object": {"key": "image/7.tar"}},
        });
        assert_eq!(matches(pattern, Some(&event)), expect, "{pattern}");
    }

    #[test]
    fn all_fields_and_one_value_of_each_must_be_met() {
        check(&json!({"source": ["aws.s3"]}), true);
        check(&json!({"source": ["aws.ec2", "aws.s3"]}), true);
        check(&json!({"source": ["aws.s3"], "detail-type": ["Object Created"]}), false);
        check(&json!({"detail": {"bucket": {"name": ["archive"]}}}), true);
        check(&json!({"detail": {"bucket": {"name": ["other"]}}}), false);
        check(&json!({"detail": {"nothing": {"at": ["all"]}}}), false);
    }

    #[test]
    fn comparisons() {
        let key = |comparison: Value| json!({"detail": {"object": {"key": [comparison]}}});
        check(&key(json!({"prefix": "image/"})), true);
        check(&key(json!({"suffix": ".zip"})), false);
        check(&key(json!({"anything-but": ["image/7.tar"]})), false);
        check(&key(json!({"exists": true})), true);
        check(&json!({"detail": {"object": {"version-id": [{"exists": false}]}}}), true);
        check(&key(json!({"numeric": [">", 5]})), false);
    }
}
