//! `dcmjoin work unpaired`: the halves of a campaign that have no partner.

use dcmjoin_ledger::tasks::LEASE;
use dcmjoin_objects::Stores;
use dcmjoin_pipeline::RunError;
use dcmjoin_pipeline::staged::{self, Unpaired, UnpairedList, WorkError};
use serde_json::{Value, json};

use crate::cli::{Talk, UnpairedArgs, UnpairedFrom};
use crate::commands::store::Store;
use crate::commands::work::log_at;
use crate::exit::Exit;
use crate::text;

/// Prints the halves that are given up, and says how many wait.
pub(crate) async fn unpaired(
    store: &Store,
    facts: Option<&str>,
    args: &UnpairedArgs,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let (tasks, name, rule) = (store.tasks(), &args.campaign, args.give_up);
    let each = |half: &Unpaired| match args.all || half.is_given_up {
        true => print(half, talk).map_err(cannot_print),
        false => Ok(()),
    };
    let list = match args.from {
        UnpairedFrom::Closing => {
            staged::unpaired(&Stores::default(), &*tasks, name, rule, each).await?
        }
        UnpairedFrom::Facts => {
            let facts = log_at(store, facts, LEASE, &std::env::temp_dir()).await?;
            staged::unpaired_facts(&*tasks, &*facts, name, rule, each).await?
        }
    };
    if !talk.quiet {
        text::talk(&in_words(name.as_str(), &list));
    }
    Ok(Exit::Complete)
}

fn cannot_print(_: anyhow::Error) -> WorkError {
    let place = "standard output".to_owned();
    RunError::Io { action: "write to", place, kind: std::io::ErrorKind::BrokenPipe }.into()
}

fn print(half: &Unpaired, talk: &Talk) -> anyhow::Result<()> {
    if talk.json {
        return text::data(&format!("{}\n", as_json(half)?));
    }
    let row = &half.row;
    let state = if half.is_given_up { "given up" } else { "waits" };
    let since = row.since.map_or_else(|| "-".to_owned(), String::from);
    text::data(&format!(
        "{state:<8}  {:<8}  {since}  {}  {}\n",
        row.half.as_str(),
        row.uid.as_str(),
        row.lies.archive
    ))
}

fn as_json(half: &Unpaired) -> anyhow::Result<Value> {
    let mut told = serde_json::to_value(&half.row)?;
    told["given_up"] = json!(half.is_given_up);
    if let Some(attempts) = half.attempts {
        told["attempts"] = json!(attempts);
    }
    Ok(told)
}

fn in_words(name: &str, list: &UnpairedList) -> String {
    let (given_up, waiting) = (text::count(list.count.given_up), text::count(list.count.waiting));
    let when = match &list.closing {
        Some((run, finished)) => {
            format!("as the closing {run} found at {}", String::from(*finished))
        }
        None => "of those in the fact log now".to_owned(),
    };
    format!("campaign {name}: {given_up} halves given up ({}), {waiting} wait, {when}", list.rule)
}
