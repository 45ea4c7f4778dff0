//! The proof's own tests: its checks find what is wrong with a file.

use std::path::Path;

use dcmjoin_testkit::Python;

#[test]
fn checks_find_spoiled_files() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let mut command = Python::find().unwrap().command();
    let output = command.args(["-m", "unittest", "-q"]).current_dir(scripts).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
