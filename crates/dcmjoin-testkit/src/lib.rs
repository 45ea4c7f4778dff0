//! For tests only: real servers, the Python of the checks, and the program as a child process.
//!
//! - [`SeaweedFs`] is an S3 server of its own for each test that wants one;
//! - [`FaultProxy`] stands before such a server, and spoils requests and answers by script;
//! - [`StandIn`] is a server that others wrote to stand in for AWS: `MiniStack`, or moto;
//! - [`Postgres`] is a cluster of `PostgreSQL` of a test's own, [`Database`] a database of its own in a
//!   cluster that the tests of a program share;
//! - [`Kafka`] is Apache Kafka itself, one broker or three;
//! - [`ClickHouse`] is its real engine behind an HTTP front that is not;
//! - [`Disk`] is a small file system of a test's own, to be filled; the servers above can be put on one;
//! - [`Python`] runs scripts in the environment that `cargo xtask tools` made;
//! - [`program`] starts the built program with nothing of the developer's own environment.
//!
//! **Invariants.** Everything binds to the loopback and to free ports; every server dies with the
//! test that started it, also where that test is killed; waits have deadlines and poll a
//! condition. What is missing is an error that says how to get it, never a skipped test.

mod aws;
mod child;
mod clickhouse;
mod disk;
mod faults;
mod kafka;
mod ports;
mod postgres;
mod python;
mod s3;
mod seaweedfs;
mod tools;

pub use aws::StandIn;
pub use clickhouse::ClickHouse;
pub use disk::{Ballast, Disk};
pub use faults::{Fault, FaultProxy, Rule, Seen};
pub use kafka::Kafka;
pub use postgres::{Database, Postgres};
pub use python::Python;
pub use s3::{Access, Answer, Ask, Bucket};
pub use seaweedfs::SeaweedFs;

use std::path::Path;
use std::process::Command;

/// Returns a command for the built program, without the developer's own settings and credentials.
#[must_use]
pub fn program(binary: impl AsRef<Path>) -> Command {
    let mut command = Command::new(binary.as_ref());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["AWS_", "DCMJOIN_", "RUST_LOG"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    // No answer from the machine's own credential service, whatever machine this is.
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("NO_COLOR", "1");
    command
}
