//! deny.toml without cargo-deny: the same file, read for its bans, licences and sources.
//!
//! cargo-deny takes minutes to build, and says more (duplicates, advisories); the rules that must
//! hold in every run are few, and are checked here in a second.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Problems;
use crate::paths;
use crate::steps::Context;

pub(super) fn check(context: &Context) -> Result<Problems> {
    let text = fs::read_to_string(context.root.join("deny.toml")).context("read deny.toml")?;
    let rules: Value = basic_toml::from_str(&text).context("read deny.toml")?;
    let metadata = paths::metadata(&context.root, true)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let mut problems = banned(&rules, &metadata)?;
    problems.extend(packages.iter().filter_map(|package| unlicensed(&rules, package)));
    problems.extend(packages.iter().filter_map(foreign));
    Ok(problems)
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Returns who depends on a banned crate and is none of its wrappers.
fn banned(rules: &Value, metadata: &Value) -> Result<Problems> {
    let nodes = metadata["resolve"]["nodes"].as_array().context("no resolved nodes")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let names: BTreeMap<&str, &str> = packages
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
        .collect();
    let name = |id: &Value| id.as_str().and_then(|id| names.get(id)).copied().unwrap_or_default();
    let mut problems = Problems::new();
    for rule in rules["bans"]["deny"].as_array().context("no bans.deny in deny.toml")? {
        let banned = rule["crate"].as_str().context("a ban without `crate`")?;
        for node in nodes {
            let by = name(&node["id"]);
            let mut dependencies = node["dependencies"].as_array().into_iter().flatten();
            if dependencies.any(|id| name(id) == banned)
                && !strings(&rule["wrappers"]).any(|wrapper| wrapper == by)
            {
                problems.push(format!("{by} depends on {banned}, which deny.toml bans there"));
            }
        }
    }
    Ok(problems)
}

/// Returns the problem of a package whose licence is not allowed.
fn unlicensed(rules: &Value, package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let exceptions = rules["licenses"]["exceptions"].as_array().into_iter().flatten();
    let own = exceptions.filter(|exception| exception["crate"] == name);
    let allowed: Vec<&str> = own
        .flat_map(|exception| strings(&exception["allow"]))
        .chain(strings(&rules["licenses"]["allow"]))
        .collect();
    let licence = package["license"].as_str().unwrap_or_default();
    (!satisfied(licence, &allowed)).then(|| format!("{name}: licence `{licence}`"))
}

/// Returns true where the allowed licences satisfy an SPDX expression: one side of each `OR`, both
/// of each `AND`. The old `A/B` means `A OR B`.
fn satisfied(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    either(&mut words, allowed) && words.next().is_none()
}

type Words<'a, 'b> = &'a mut std::iter::Peekable<std::str::SplitWhitespace<'b>>;

fn either(words: Words<'_, '_>, allowed: &[&str]) -> bool {
    let mut holds = both(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        holds |= both(words, allowed);
    }
    holds
}

fn both(words: Words<'_, '_>, allowed: &[&str]) -> bool {
    let mut holds = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        holds &= one(words, allowed);
    }
    holds
}

fn one(words: Words<'_, '_>, allowed: &[&str]) -> bool {
    match words.next() {
        Some("(") => {
            let holds = either(words, allowed);
            words.next_if_eq(&")").is_some() && holds
        }
        Some(licence) => {
            let exception = words.next_if_eq(&"WITH").and_then(|_| words.next());
            let whole = exception.map(|exception| format!("{licence} WITH {exception}"));
            allowed.contains(&whole.as_deref().unwrap_or(licence))
        }
        None => false,
    }
}

/// Returns the problem of a package that is neither in the repository nor in the registry.
fn foreign(package: &Value) -> Option<String> {
    let source = package["source"].as_str()?;
    let name = package["name"].as_str().unwrap_or_default();
    (!source.starts_with("registry+")).then(|| format!("{name}: from {source}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn licence_expressions() {
        let check = |expression| satisfied(expression, &["MIT", "Apache-2.0 WITH LLVM-exception"]);
        assert!(check("MIT"));
        assert!(check("MIT/Apache-2.0"));
        assert!(check("Apache-2.0 OR MIT"));
        assert!(check("GPL-3.0 OR (MIT AND Apache-2.0 WITH LLVM-exception)"));
        assert!(!check("MIT AND GPL-3.0"));
        assert!(!check("Apache-2.0"));
        assert!(!check(""));
        assert!(!check("MIT)"));
    }

    #[test]
    fn bans_hold_but_for_wrappers() {
        let rules = json!({"bans": {"deny": [{"crate": "store", "wrappers": ["objects"]}]}});
        let package = |name: &str| json!({"name": name, "id": name});
        let check = |user: &str| {
            let metadata = json!({
                "packages": [package("store"), package(user)],
                "resolve": {"nodes": [{"id": user, "dependencies": ["store"]}]},
            });
            banned(&rules, &metadata).unwrap().len()
        };
        assert_eq!(check("objects"), 0);
        assert_eq!(check("pipeline"), 1);
    }
}
