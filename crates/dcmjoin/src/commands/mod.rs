//! One file a subcommand, each with a `run` that returns how the program ends.

#[cfg(feature = "cloud")]
pub(crate) mod campaign;
pub(crate) mod catalog;
pub(crate) mod completions;
pub(crate) mod dead_letters;
pub(crate) mod demo;
mod depths;
pub(crate) mod get;
pub(crate) mod inspect;
#[cfg(feature = "cloud")]
pub(crate) mod ledger;
#[cfg(feature = "cloud")]
pub(crate) mod orchestrate;
pub(crate) mod plan;
#[cfg(feature = "cloud")]
pub(crate) mod rehearse;
pub(crate) mod run;
pub(crate) mod store;
pub(crate) mod synth;
mod unpaired;
pub(crate) mod work;

use std::sync::Arc;

use dcmjoin_pipeline::{Progress, RunError};

/// Runs a future on a runtime of its own; Ctrl-C asks the run to stop, a second one ends it.
pub(crate) fn on_runtime<T>(
    progress: &Arc<Progress>,
    work: impl Future<Output = Result<T, RunError>>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stopping = tokio::spawn(stop_on_signal(Arc::clone(progress)));
        let done = work.await;
        stopping.abort();
        Ok(done?)
    })
}

async fn stop_on_signal(progress: Arc<Progress>) {
    signal().await;
    crate::text::talk("stopping after the instances on their way; once more to stop at once");
    progress.stop();
    signal().await;
    std::process::exit(crate::exit::Exit::Stopped as i32);
}

/// Returns a runtime for what is no run.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

pub(crate) async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
