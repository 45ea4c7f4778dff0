//! Arguments that make no sense are refused before any work, with the code that is documented.

use crate::archive::{Place, dcmjoin};

fn check(args: &[&str], code: i32, words: &str) {
    let done = dcmjoin(args);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(words), "{args:?}: expected {words:?} in {said}");
}

#[test]
fn help_names_every_command() {
    let help = String::from_utf8(dcmjoin(&["--help"]).stdout).unwrap();
    for command in ["run", "get", "inspect", "catalog", "plan", "synth", "demo", "completions"] {
        assert!(help.contains(&format!("  {command} ")), "{help}");
    }
}

#[test]
fn bad_arguments_end_with_2() {
    let run = |more: &[&'static str]| -> Vec<&'static str> {
        [&["run", "--metadata", "m", "--images", "i", "--output", "o"][..], more].concat()
    };
    check(&["run", "--metadata", "m"], 2, "--images");
    check(&run(&["--layout", "x.dcm"]), 2, "{uid}");
    check(&run(&["--layout", "../{uid}"]), 2, "..");
    check(&run(&["--memory", "1"]), 2, "64");
    check(&["run", "--metadata", "ftp://h/x", "--images", "i", "--output", "o"], 2, "s3://");
    check(
        &["run", "--metadata", "s3://key:secret@b/x", "--images", "i", "--output", "o"],
        2,
        "credentials",
    );
}

#[test]
fn a_missing_folder_is_an_error_with_its_name() {
    check(
        &["run", "--metadata", "/nowhere/m", "--images", "/nowhere/i", "--output", "/tmp/o"],
        1,
        "/nowhere/m",
    );
}

#[test]
fn a_folder_without_archives_ends_with_2() {
    let place = Place::new();
    let report = place.run(&[]);
    assert_eq!(report.code, 2, "{}", report.error);
    assert!(report.error.contains(".tar") && report.error.contains("hint"), "{}", report.error);
}

#[test]
fn completions_are_printed_for_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let done = dcmjoin(&["completions", shell]);
        assert!(String::from_utf8_lossy(&done.stdout).contains("dcmjoin"), "{shell}");
    }
}
