//! Which crate may know which: the arrows of the architecture.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Problems;
use crate::paths;
use crate::steps::Context;

/// Crates that exist for the tests only; nothing that is shipped depends on them.
const DEV_ONLY: &[&str] = &["dcmjoin-testkit", "xtask"];

/// A crate, and the crates of this repository that it may depend on.
const ARROWS: &[(&str, Knows)] = &[
    ("dcmjoin-model", Knows::These(&[])),
    ("dcmjoin-formats", Knows::These(&["dcmjoin-model"])),
    ("dcmjoin-catalog", Knows::These(&["dcmjoin-model"])),
    ("dcmjoin-index", Knows::These(&["dcmjoin-model"])),
    ("dcmjoin-objects", Knows::These(&["dcmjoin-model"])),
    ("dcmjoin-ledger", Knows::These(&["dcmjoin-model"])),
    (
        "dcmjoin-ledger-postgres",
        Knows::These(&["dcmjoin-model", "dcmjoin-ledger", "dcmjoin-postgres-tls"]),
    ),
    ("dcmjoin-ledger-kafka", Knows::These(&["dcmjoin-model", "dcmjoin-ledger"])),
    ("dcmjoin-ledger-clickhouse", Knows::These(&["dcmjoin-model", "dcmjoin-ledger"])),
    ("dcmjoin-postgres-tls", Knows::These(&[])),
    ("dcmjoin-manifest", Knows::These(&["dcmjoin-model"])),
    ("dcmjoin-restore", Knows::These(&["dcmjoin-model"])),
    ("dcmjoin-synth", Knows::These(&["dcmjoin-model"])),
    ("dcmjoin-emulator", Knows::These(&["dcmjoin-model"])),
    (
        "dcmjoin-pipeline",
        Knows::These(&[
            "dcmjoin-model",
            "dcmjoin-formats",
            "dcmjoin-index",
            "dcmjoin-catalog",
            "dcmjoin-objects",
            "dcmjoin-ledger",
            "dcmjoin-manifest",
            "dcmjoin-restore",
        ]),
    ),
    (
        "dcmjoin-campaign",
        Knows::These(&[
            "dcmjoin-model",
            "dcmjoin-ledger",
            "dcmjoin-manifest",
            "dcmjoin-restore",
            "dcmjoin-objects",
            "dcmjoin-pipeline",
        ]),
    ),
    (
        "dcmjoin-campaign-postgres",
        Knows::These(&[
            "dcmjoin-model",
            "dcmjoin-restore",
            "dcmjoin-campaign",
            "dcmjoin-postgres-tls",
        ]),
    ),
    ("dcmjoin-server", Knows::These(&["dcmjoin-model", "dcmjoin-ledger"])),
    ("dcmjoin", Knows::Shipped),
    ("dcmjoin-testkit", Knows::Shipped),
    ("xtask", Knows::These(&["dcmjoin-model", "dcmjoin-testkit"])),
];

enum Knows {
    These(&'static [&'static str]),
    /// All that is shipped.
    Shipped,
}

impl Knows {
    fn allows(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(&name),
            Self::Shipped => !DEV_ONLY.contains(&name),
        }
    }
}

pub(super) fn check(context: &Context) -> Result<Problems> {
    problems(&paths::metadata(&context.root, false)?)
}

/// Dependencies of tests are free, but for one thing: they are not of `xtask`.
fn problems(metadata: &Value) -> Result<Problems> {
    let mut problems = Problems::new();
    for package in metadata["packages"].as_array().context("no packages")? {
        let name = package["name"].as_str().context("no name")?;
        let Some((_, knows)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            problems.push(format!("{name}: not in the table of {}", file!()));
            continue;
        };
        for dependency in package["dependencies"].as_array().context("no dependencies")? {
            let Some(other) = internal(dependency) else { continue };
            let for_tests = dependency["kind"] == "dev" && other != "xtask";
            if !for_tests && !knows.allows(other) {
                problems.push(format!("{name} must not depend on {other}"));
            }
        }
    }
    Ok(problems)
}

/// Returns the name of a dependency on a crate of this repository.
fn internal(dependency: &Value) -> Option<&str> {
    dependency["path"].as_str()?;
    dependency["name"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(name: &str, other: &str, kind: &str) -> Problems {
        let dependency = json!({"name": other, "kind": kind, "path": "/somewhere"});
        let outside = json!({"name": "serde", "kind": null, "source": "registry"});
        let package = json!({"name": name, "dependencies": [dependency, outside]});
        problems(&json!({"packages": [package]})).unwrap()
    }

    #[test]
    fn arrows_point_one_way() {
        assert!(check("dcmjoin-formats", "dcmjoin-model", "").is_empty());
        assert!(check("dcmjoin", "dcmjoin-pipeline", "").is_empty());
        assert_eq!(check("dcmjoin-model", "dcmjoin-formats", "").len(), 1);
        assert_eq!(check("dcmjoin-formats", "dcmjoin-index", "").len(), 1);
    }

    #[test]
    fn the_testkit_is_for_tests() {
        assert!(check("dcmjoin", "dcmjoin-testkit", "dev").is_empty());
        assert_eq!(check("dcmjoin", "dcmjoin-testkit", "").len(), 1);
        assert_eq!(check("dcmjoin", "xtask", "dev").len(), 1);
    }

    #[test]
    fn a_new_crate_must_be_placed() {
        assert_eq!(check("dcmjoin-new", "dcmjoin-model", "").len(), 1);
    }
}
