//! GNU tar as the reference: what it lists, and what it extracts.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use dcmjoin_formats::tar::{Member, MemberKind};

use super::Listing;

/// One line of GNU tar's verbose listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The first letter of the mode.
    pub(crate) letter: char,
    /// For a sparse file its real size; none for devices.
    pub(crate) size: Option<u64>,
    pub(crate) name: String,
}

/// What GNU tar made of an archive.
#[derive(Debug)]
pub(crate) struct GnuListing {
    pub(crate) lines: Vec<Line>,
    /// Whether it was content.
    pub(crate) ok: bool,
    pub(crate) stderr: String,
}

pub(crate) fn command() -> Command {
    let mut command = Command::new("tar");
    command.env("LC_ALL", "C").env("TZ", "UTC").env_remove("TAR_OPTIONS");
    command
}

/// Runs GNU tar in a folder; it may complain, but must have run.
pub(crate) fn run<S: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Output {
    command()
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("run GNU tar")
}

/// Lists an archive that comes through a pipe, so that nothing can be guessed from its length.
pub(crate) fn list(archive: &[u8], more: &[&str]) -> GnuListing {
    let mut arguments =
        vec!["--list", "--verbose", "--numeric-owner", "--quoting-style=escape", "--file=-"];
    arguments.extend(more);
    let output = piped(command().args(arguments), archive);
    let text = String::from_utf8(output.stdout).expect("escaped output");
    GnuListing {
        lines: text.lines().map(parse_line).collect(),
        ok: output.status.success(),
        stderr: String::from_utf8_lossy(&output.stderr).into(),
    }
}

/// Returns the contents of all members of these names, one after the other.
pub(crate) fn contents(archive: &[u8], names: &[&str]) -> Vec<u8> {
    if names.is_empty() {
        return Vec::new();
    }
    let mut list = tempfile::NamedTempFile::new().expect("a file for names");
    list.write_all((names.join("\0") + "\0").as_bytes()).expect("write names");
    let mut command = command();
    command.args(["--extract", "--to-stdout", "--ignore-zeros", "--absolute-names", "--file=-"]);
    command.args(["--no-wildcards", "--no-recursion", "--null", "--verbatim-files-from", "-T"]);
    piped(command.arg(list.path()), archive).stdout
}

fn piped(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("run GNU tar");
    let mut stdin = child.stdin.take().expect("piped");
    std::thread::scope(|scope| {
        // GNU tar may stop reading before the end.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("wait for GNU tar")
    })
}

/// Reads `-rw-r--r-- 0/0  3 1970-01-01 00:00 name`.
fn parse_line(line: &str) -> Line {
    let mut rest = line;
    let mut field = || {
        rest = rest.trim_start();
        let (field, tail) = rest.split_once(' ').unwrap_or_else(|| panic!("a listing: {line:?}"));
        rest = tail;
        field
    };
    let letter = field().chars().next().expect("a mode");
    field();
    let size = field().parse().ok();
    field();
    field();
    let name = match letter {
        'l' => rest.split(" -> ").next(),
        'h' => rest.split(" link to ").next(),
        'V' => rest.strip_suffix("--Volume Header--"),
        'M' => rest.split("--Continued at byte ").next(),
        '?' => rest.rsplit_once(" unknown file type ").map(|(name, _)| name),
        _ => Some(rest),
    };
    Line { letter, size, name: unescape(name.unwrap_or(rest)) }
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let escaped = rest.next().expect("an escape");
        bytes.push(match escaped {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'0'..=b'3' => {
                let mut digit = || rest.next().expect("three digits") - b'0';
                let (second, third) = (digit(), digit());
                (escaped - b'0') << 6 | second << 3 | third
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns whether a member of ours is the one that GNU tar lists.
pub(crate) fn same(line: &Line, seen: &super::Seen) -> bool {
    let member = &seen.member;
    let kind = match line.letter {
        _ if member.kind == MemberKind::Sparse => true,
        // Listed by its flag, extracted by its name.
        'C' if line.name.ends_with('/') => member.kind == MemberKind::Folder,
        '-' | 'C' => member.kind == MemberKind::File,
        'd' => member.kind == MemberKind::Folder,
        'l' | 'h' => member.kind == MemberKind::Link,
        'c' | 'b' | 'p' => member.kind == MemberKind::Special,
        _ => member.kind == MemberKind::Other,
    };
    // A sparse file's size is not what is stored, nor is a folder's.
    let size = !member.kind.has_data() || line.size == Some(member.range.len());
    kind && size && line.name == member.name
}

/// Checks that our members are the first that GNU tar lists.
#[track_caller]
pub(crate) fn check_prefix(listing: &Listing, gnu: &GnuListing, what: &str) {
    for (at, seen) in listing.members.iter().enumerate() {
        let line = gnu.lines.get(at);
        assert!(
            line.is_some_and(|line| same(line, seen)),
            "{what}: member {at}: ours {:?}, GNU tar's {line:?}; {}",
            seen.member,
            gnu.stderr
        );
    }
}

/// Checks that listing and contents are those of GNU tar.
#[track_caller]
pub(crate) fn check_same(archive: &[u8], what: &str) -> Listing {
    let listing = super::parse(archive);
    let gnu = list(archive, &["--ignore-zeros"]);
    check_prefix(&listing, &gnu, what);
    if let Err(error) = &listing.end {
        panic!("{what}: {error}");
    }
    assert_eq!(listing.members.len(), gnu.lines.len(), "{what}: {:?}", gnu.lines.last());
    let is_sparse = |name: &str| {
        let mut sparse =
            listing.members.iter().filter(|seen| seen.member.kind == MemberKind::Sparse);
        sparse.any(|seen| seen.member.name == name)
    };
    // GNU tar does not extract labels and continued files, and expands sparse ones.
    let extracted = |member: &Member| {
        let letter = gnu.lines[member.index as usize].letter;
        member.kind.has_data() && !matches!(letter, 'V' | 'M') && !is_sparse(&member.name)
    };
    let with_data: Vec<_> = listing.members.iter().filter(|seen| extracted(&seen.member)).collect();
    let names: Vec<_> = with_data.iter().map(|seen| seen.member.name.as_str()).collect();
    let ours: Vec<u8> = with_data.iter().flat_map(|seen| &seen.data).copied().collect();
    assert!(ours == contents(archive, &names), "{what}: contents differ");
    listing
}
