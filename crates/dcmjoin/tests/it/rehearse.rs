//! A whole campaign on the emulator, and how well it was foretold.

use serde_json::Value;

use crate::archive::dcmjoin;

fn rehearse(args: &[&str]) -> Value {
    let done = dcmjoin(&[&["rehearse", "--json", "--quiet"][..], args].concat());
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{args:?}: {error}");
    serde_json::from_slice(&done.stdout).unwrap()
}

#[track_caller]
fn holds(rehearsal: &Value, archives: u64, days: f64) {
    assert_eq!(rehearsal["schema"], "dcmjoin.rehearsal/1");
    assert!(rehearsal["holds"].as_bool().unwrap());
    for line in rehearsal["lines"].as_array().unwrap() {
        let figure = |name: &str| line[name].as_f64().unwrap_or_default();
        let (planned, actual) = (figure("planned"), figure("actual"));
        assert!((actual - planned).abs() <= planned * 0.05 + 5.0, "{line}");
        let (planned, actual) = (figure("planned_usd"), figure("actual_usd"));
        assert!((actual - planned).abs() <= planned * 0.05 + 1e-5, "{line}");
        if line["what"] == "hours" {
            let took = figure("actual") / 86_400.0;
            assert!(took > days - 1.0 && took <= days + 0.2, "{took} days");
        }
    }
    let archives_done = rehearsal["lines"][1]["actual"].as_u64().unwrap();
    assert!(archives_done >= archives, "{archives_done} restores");
    let books = &rehearsal["books"];
    let (metadata, images) = (&books["metadata"], &books["images"]);
    assert_eq!(metadata["paired"], archives * 2);
    assert_eq!(images["paired"], archives * 2);
    assert!(rehearsal["waves"].as_u64().unwrap() >= 3);
}

#[test]
fn a_campaign_of_days_goes_as_foretold() {
    holds(&rehearse(&["--archives", "300"]), 300, 5.0);
}

/// Copies of this tier are there days before they are read: some are kept for longer.
#[test]
fn copies_that_are_kept_for_longer_are_foretold_too() {
    let rehearsal = rehearse(&["--archives", "300", "--tier", "expedited", "--days", "3"]);
    holds(&rehearsal, 300, 3.0);
    assert!(rehearsal["lines"][1]["actual"].as_u64().unwrap() > 300);
}

#[test]
fn the_table_has_a_line_for_each_kind() {
    let done = dcmjoin(&["rehearse", "--archives", "60", "--days", "2", "--tier", "standard"]);
    let table = String::from_utf8(done.stdout).unwrap();
    for line in
        ["retrieved", "restore", "copies", "GET, HEAD", "PUT, LIST", "queue", "all of it", "hours"]
    {
        assert!(table.lines().any(|words| words.starts_with(line)), "{line}: {table}");
    }
    assert!(done.status.success() && table.contains("The forecast holds"), "{table}");
}
