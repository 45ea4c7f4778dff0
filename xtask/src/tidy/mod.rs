//! `cargo xtask tidy`: rules of the house that no compiler checks.
//!
//! A rule without a check rots; so each rule is a function that lists where it is broken.

mod arrows;
mod deny;
mod leftovers;
mod links;
mod sizes;
mod words;

use anyhow::Result;

use crate::steps::{Context, Tally};

/// Where a rule is broken, one text a place.
type Problems = Vec<String>;

/// A rule: its text, and the function that lists where it is broken.
type Rule = (&'static str, fn(&Context) -> Result<Problems>);

const RULES: &[Rule] = &[
    ("crates depend along the arrows only", arrows::check),
    ("deny.toml's bans, licences and sources hold", deny::check),
    ("no file is too long", sizes::check),
    ("every reason and every warning is documented", words::check),
    ("nothing is left unfinished", leftovers::check),
    ("links in documents lead somewhere", links::check),
];

/// Checks all rules; each is one check.
pub(crate) fn run(context: &Context) -> Result<Tally> {
    let mut tally = Tally::default();
    for (rule, check) in RULES {
        let problems = check(context)?;
        if problems.is_empty() {
            println!("ok: {rule}");
            tally.passed += 1;
            continue;
        }
        println!("BROKEN: {rule}");
        for problem in problems {
            println!("  {problem}");
        }
        tally.failed += 1;
    }
    Ok(tally)
}
