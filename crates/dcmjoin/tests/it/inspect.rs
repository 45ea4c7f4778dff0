//! What things hold, told by their bytes.

use std::fs;

use serde_json::Value;

use crate::archive::{Place, dcmjoin, header, image};

fn inspect(args: &[&str]) -> Value {
    let done = dcmjoin(&[&["inspect", "--json"], args].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn every_form_is_recognised() {
    let place = Place::new();
    let (_, json) = header("2.25.1", "P");
    let (_, pixels) = image("2.25.1", 1);
    place.write("metadata/a.tar", &[header("2.25.1", "P")]);
    place.write("images/a.tar", &[image("2.25.1", 1)]);
    fs::write(place.path("h.json"), json).unwrap();
    fs::write(place.path("p.j2c"), pixels).unwrap();
    place.run(&[]);

    let tar = inspect(&[&place.text("images/a.tar")]);
    assert_eq!(tar["members"][0]["name"], "2.25.1.j2c");
    assert_eq!(tar["members"][0]["offset"], 512);
    let document = inspect(&[&place.text("h.json")]);
    assert_eq!(
        (&document["form"], &document["native_bytes"]),
        (&"DICOM JSON header".into(), &16.into())
    );
    let bare = inspect(&[&place.text("p.j2c")]);
    assert_eq!(bare["kind"], "native");
    assert!(bare["hint"].as_str().unwrap().contains("--header"));
    let paired = inspect(&[&place.text("p.j2c"), "--header", &place.text("h.json")]);
    assert_eq!(paired["transfer_syntax_uid"], "1.2.840.10008.1.2.1");
    let file = inspect(&[&place.text("out/2.25.1.dcm")]);
    assert_eq!(
        (&file["form"], &file["sop_instance_uid"]),
        (&"Part 10 file".into(), &"2.25.1".into())
    );
    assert_eq!(file["pixel_data"]["bytes"], 16);
}

#[test]
fn a_hostile_name_does_not_reach_the_terminal() {
    let place = Place::new();
    place.write("images/a.tar", &[("\u{1b}[31m2.25.1.j2c".to_owned(), vec![1])]);
    let done = dcmjoin(&["inspect", &place.text("images/a.tar")]);
    assert!(!String::from_utf8_lossy(&done.stdout).contains('\u{1b}'));
}

#[test]
fn a_broken_header_is_an_error_without_its_values() {
    let place = Place::new();
    fs::write(
        place.path("h.json"),
        r#"{"00100010":{"vr":"PN","Value":[{"Alphabetic":"Secret^Name"#,
    )
    .unwrap();
    let done = dcmjoin(&["inspect", &place.text("h.json")]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1));
    assert!(said.contains("json_syntax") && !said.contains("Secret"), "{said}");
}
