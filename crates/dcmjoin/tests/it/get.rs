//! One instance: the same bytes as a run gives it.

use std::fs;

use crate::archive::{Place, dcmjoin, header, image};

fn place() -> Place {
    let place = Place::new();
    place.write("metadata/a.tar", &[header("2.25.1", "P"), header("2.25.2", "P")]);
    place.write("images/a.tar", &[image("2.25.2", 2), image("2.25.1", 1), image("2.25.3", 3)]);
    place
}

fn get(place: &Place, uid: &str, out: &str) -> std::process::Output {
    dcmjoin(&[
        "get",
        uid,
        "--metadata",
        &place.text("metadata"),
        "--images",
        &place.text("images"),
        "-o",
        out,
    ])
}

#[test]
fn one_instance_is_what_a_run_makes_of_it() {
    let place = place();
    place.run(&[]);
    let out = place.text("one.dcm");
    assert!(get(&place, "2.25.1", &out).status.success());
    let expected = &place.instances()["2.25.1.dcm"];
    assert_eq!(&fs::read(&out).unwrap(), expected);
    assert_eq!(&get(&place, "2.25.1", "-").stdout, expected);
}

#[test]
fn what_cannot_be_had_is_told_and_nothing_is_written() {
    let place = place();
    for (uid, words) in
        [("2.25.3", "only the image half"), ("2.25.4", "neither half"), ("not-a-uid", "UID")]
    {
        let out = place.text("none.dcm");
        let done = get(&place, uid, &out);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!fs::exists(&out).unwrap());
    }
}
