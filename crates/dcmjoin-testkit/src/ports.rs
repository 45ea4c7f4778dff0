//! Free ports for servers that cannot be told to choose their own.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// `SeaweedFS` takes a second port, this far above each one it is given.
pub(crate) const TWIN_DISTANCE: u16 = 10_000;
/// Ports are taken from here on, below those that the system gives to clients (from 32768) even
/// with the twin's distance added.
const FIRST: u16 = 12_000;
/// How many ports there are to choose from.
const COUNT: u16 = 10_000;

/// Returns ports that are free now, each with its twin.
///
/// Another process can take one before it is used: a caller tries again with others.
pub(crate) fn with_twins<const N: usize>() -> Result<[u16; N]> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time start at different places.
    let start = std::process::id().wrapping_mul(97) as u16;
    let mut ports = [0; N];
    let mut found = 0;
    for _ in 0..COUNT {
        if found == N {
            return Ok(ports);
        }
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = FIRST + offset;
        if is_free(port) && is_free(port + TWIN_DISTANCE) {
            ports[found] = port;
            found += 1;
        }
    }
    bail!("no {N} free ports from {FIRST} on")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_stay_in_their_range() {
        let mut ports = [with_twins::<4>().unwrap(), with_twins::<4>().unwrap()].concat();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 8);
        assert!(ports.iter().all(|port| (FIRST..FIRST + COUNT).contains(port)));
    }
}
