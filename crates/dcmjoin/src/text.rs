//! What people read: numbers, sizes, errors. Standard output is data, standard error is talk.

use std::fmt::Write as _;
use std::io::Write as _;

use dcmjoin_pipeline::RunError;
use dcmjoin_pipeline::staged::WorkError;

/// Writes data to standard output; a reader that went away (`| head`) is no error.
pub(crate) fn data(text: &str) -> anyhow::Result<()> {
    bytes(text.as_bytes())
}

/// Writes bytes to standard output.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes talk to standard error.
pub(crate) fn talk(text: &str) {
    let mut err = std::io::stderr().lock();
    // Nobody is left to be told that standard error is closed.
    let _ = writeln!(err, "{text}");
}

/// What was asked for makes no sense, with what to do about it.
#[derive(Debug)]
pub(crate) struct Hinted {
    message: String,
    hint: Option<&'static str>,
}

impl Hinted {
    pub(crate) fn new(message: impl Into<String>, hint: &'static str) -> Self {
        Self { message: message.into(), hint: Some(hint) }
    }

    /// Returns the text of an error with its hint.
    pub(crate) fn of(error: &impl std::error::Error, hint: Option<&'static str>) -> Self {
        Self { message: error.to_string(), hint }
    }
}

impl std::fmt::Display for Hinted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// Writes an error with its causes and, where there is one, what to do about it.
pub(crate) fn error(error: &anyhow::Error) {
    talk(&format!("error: {error:#}"));
    if let Some(hint) = error.downcast_ref::<RunError>().and_then(RunError::hint) {
        talk(&format!("hint: {hint}"));
    } else if let Some(hint) = error.downcast_ref::<Hinted>().and_then(|error| error.hint) {
        talk(&format!("hint: {hint}"));
    } else if let Some(hint) =
        error.downcast_ref::<dcmjoin_objects::Error>().and_then(|error| error.kind.hint())
    {
        talk(&format!("hint: {hint}"));
    } else if let Some(hint) = error.downcast_ref::<WorkError>().and_then(WorkError::hint) {
        talk(&format!("hint: {hint}"));
    } else if let Some(hint) =
        error.downcast_ref::<dcmjoin_ledger::Error>().and_then(dcmjoin_ledger::Error::hint)
    {
        talk(&format!("hint: {hint}"));
    } else if let Some(hint) = campaign_hint(error) {
        talk(&format!("hint: {hint}"));
    }
}

#[cfg(feature = "cloud")]
fn campaign_hint(error: &anyhow::Error) -> Option<&'static str> {
    error.downcast_ref::<dcmjoin_campaign::Error>().and_then(dcmjoin_campaign::Error::hint)
}

#[cfg(not(feature = "cloud"))]
fn campaign_hint(_: &anyhow::Error) -> Option<&'static str> {
    None
}

/// Returns a count with thousands apart: `1,234,567`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number of bytes in the unit that people read: `1.5 GB`, powers of 1,000.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let mut text = String::new();
    let digits = usize::from(unit > 0 && value < 9.95);
    // Writing to a string cannot fail.
    let _ = write!(text, "{value:.digits$} {}", UNITS[unit]);
    text
}

/// Returns a number of seconds as people say it: `42 s`, `3 min 10 s`, `2 h 5 min`.
pub(crate) fn duration(seconds: f64) -> String {
    #[expect(clippy::cast_sign_loss, reason = "durations are not negative")]
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 999, 1500, 15_000_000].map(size), ["0 B", "999 B", "1.5 kB", "15 MB"]);
        assert_eq!(
            [1.25, 42.0, 190.0, 7500.0].map(duration),
            ["1.2 s", "42 s", "3 min 10 s", "2 h 5 min"]
        );
    }
}
