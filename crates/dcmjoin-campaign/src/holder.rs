//! Who holds a campaign: a process, told so that another one of the same machine can see whether it
//! is gone.

use std::path::Path;

/// Returns this process as a holder. Processes of different containers do not see each other, so the
/// namespace belongs to the name.
#[must_use]
pub fn this_process() -> String {
    format!("process {} on {}", std::process::id(), machine())
}

fn machine() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", host.trim(), namespace.display())
}

/// Returns whether a holder is a process of this machine that is gone, or was this one in an
/// earlier life: who asks does not hold the campaign.
pub(crate) fn is_gone(holder: &str) -> bool {
    let parts = holder.strip_prefix("process ").and_then(|rest| rest.split_once(" on "));
    let Some((process, machine_then)) = parts else { return false };
    let Ok(process) = process.parse::<u32>() else { return false };
    machine_then == machine()
        && Path::new("/proc/self").exists()
        && (process == std::process::id() || !Path::new(&format!("/proc/{process}")).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_gone_is() {
        let machine = machine();
        assert!(is_gone(&this_process()));
        assert!(is_gone(&format!("process {} on {machine}", u32::MAX)));
        let parent = std::os::unix::process::parent_id();
        for alive in [
            format!("process {parent} on {machine}"),
            format!("process {} on elsewhere", u32::MAX),
            "rehearsal".to_owned(),
        ] {
            assert!(!is_gone(&alive), "{alive}");
        }
    }
}
