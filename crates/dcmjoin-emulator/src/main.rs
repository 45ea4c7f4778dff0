//! `dcmjoin-emulator`: the emulator as a program of its own.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use dcmjoin_emulator::{
    Access, Body, Emulator, KeyPair, Options, Route, Shape, StorageClass, Time,
};

/// An S3 server with Glacier's restores on a virtual clock, on the loopback.
///
/// It prints one line of JSON with its endpoint and a key pair, and runs until its standard input
/// ends. `GET /_emulator/clock` tells the time, `POST /_emulator/clock?advance=SECONDS` moves it,
/// `GET /_emulator/ledger` tells what was asked.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Port; 0 for a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// What the clock shows at the start, as 2026-01-02T03:04:05Z; the real time if not given.
    #[arg(long, value_parser = Time::parse)]
    start: Option<Time>,
    /// Virtual seconds a real second; 0 for a clock that is moved by hand.
    #[arg(long, default_value_t = 0.0)]
    factor: f64,
    /// Seed of all chance.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Serve requests that are not signed, too.
    #[arg(long)]
    open: bool,
    /// Make a bucket; events of its restores go to the queue `events`.
    #[arg(long, value_name = "NAME")]
    bucket: Vec<String>,
    /// How many archived objects each bucket has from the start.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    objects: u64,
    /// How long each of them is.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    object_bytes: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let pair = KeyPair::new("test-key", "test-secret");
    let mut options = Options {
        factor: arguments.factor,
        seed: arguments.seed,
        port: arguments.port,
        access: if arguments.open { Access::Open } else { Access::Keys(vec![pair.clone()]) },
        ..Options::default()
    };
    if let Some(start) = arguments.start {
        options.start = start;
    }
    let emulator = Emulator::start(options)?;
    fill(&emulator, arguments)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        r#"{{"endpoint": "{}", "access_key": "{}", "secret_key": "{}"}}"#,
        emulator.endpoint(),
        pair.access_key,
        pair.secret_key
    )
    .context("tell where the emulator is")?;
    out.flush().context("tell where the emulator is")?;
    // Whoever started it keeps its input open, and ends with it.
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())
        .context("wait for the end")?;
    Ok(())
}

fn fill(emulator: &Emulator, arguments: &Arguments) -> Result<()> {
    let storage = emulator.storage();
    emulator.queues().create("events");
    for bucket in &arguments.bucket {
        storage.create_bucket(bucket).with_context(|| format!("bucket {bucket}"))?;
        storage.add_route(bucket, Route::to_queue(Shape::EventBridge, "events"))?;
        for seed in 0..arguments.objects {
            let body = Body::Generated { length: arguments.object_bytes, seed };
            storage.put(bucket, &format!("{seed:07}.tar"), body, StorageClass::Glacier)?;
        }
    }
    Ok(())
}
