//! `dcmjoin dead-letters`: tasks that were given up.

use anyhow::Context as _;
use dcmjoin_ledger::TaskStore;
use dcmjoin_ledger::tasks::{BATCH_MAX, DeadLetter};
use serde_json::{Value, json};

use crate::cli::{DeadLettersArgs, DeadLettersCommand, LettersArgs, Talk};
use crate::commands::store::Store;
use crate::exit::Exit;
use crate::text;

/// Lists, shows, retries or drops dead letters.
pub(crate) fn run(args: &DeadLettersArgs, talk: &Talk) -> anyhow::Result<Exit> {
    super::runtime()?.block_on(async {
        let tasks = Store::open(&args.tasks).await?.tasks();
        let tasks = &*tasks;
        match &args.command {
            DeadLettersCommand::List => list(tasks, talk).await?,
            DeadLettersCommand::Show { id } => show(tasks, *id, talk).await?,
            DeadLettersCommand::Retry(which) => {
                let ids = ids(tasks, which).await?;
                told("retried", tasks.retry(&ids).await?, talk)?;
            }
            DeadLettersCommand::Drop(which) => {
                let ids = ids(tasks, which).await?;
                told("dropped", tasks.drop_dead(&ids).await?, talk)?;
            }
        }
        Ok(Exit::Complete)
    })
}

async fn all(tasks: &dyn TaskStore) -> anyhow::Result<Vec<DeadLetter>> {
    let mut letters: Vec<DeadLetter> = Vec::new();
    loop {
        let after = letters.last().map_or(0, |letter| letter.id);
        let some = tasks.dead(after, BATCH_MAX).await?;
        if some.is_empty() {
            return Ok(letters);
        }
        letters.extend(some);
    }
}

async fn ids(tasks: &dyn TaskStore, which: &LettersArgs) -> anyhow::Result<Vec<i64>> {
    match which.all {
        true => Ok(all(tasks).await?.iter().map(|letter| letter.id).collect()),
        false => Ok(which.ids.clone()),
    }
}

async fn list(tasks: &dyn TaskStore, talk: &Talk) -> anyhow::Result<()> {
    for letter in all(tasks).await? {
        match talk.json {
            true => text::data(&format!("{}\n", as_json(&letter)))?,
            false => text::data(&format!(
                "{:>8}  {}  {:<8}  {}  {}\n",
                letter.id,
                letter.campaign,
                letter.stage.as_str(),
                letter.failure.code,
                letter.url
            ))?,
        }
    }
    Ok(())
}

async fn show(tasks: &dyn TaskStore, id: i64, talk: &Talk) -> anyhow::Result<()> {
    let found = tasks.dead(id - 1, 1).await?.into_iter().find(|letter| letter.id == id);
    let letter = found.with_context(|| format!("there is no dead letter {id}"))?;
    if talk.json {
        return text::data(&format!("{}\n", as_json(&letter)));
    }
    text::data(&format!(
        "dead letter {id}\n  campaign  {}\n  stage     {}\n  archive   {}\n  attempts  {}\n  \
         failure   {}: {}\n",
        letter.campaign,
        letter.stage.as_str(),
        letter.url,
        letter.attempts,
        letter.failure.code,
        letter.failure.detail
    ))
}

fn told(word: &str, count: u64, talk: &Talk) -> anyhow::Result<()> {
    match (talk.json, talk.quiet) {
        (true, _) => text::data(&format!("{}\n", json!({ word: count }))),
        (false, true) => Ok(()),
        (false, false) => text::data(&format!("{} {word}\n", text::count(count))),
    }
}

fn as_json(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "campaign": letter.campaign.as_str(),
        "stage": letter.stage.as_str(),
        "archive": letter.url,
        "attempts": letter.attempts,
        "code": letter.failure.code,
        "detail": letter.failure.detail,
    })
}
