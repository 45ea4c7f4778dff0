//! A journal behind TLS: the server's certificate is checked, and so is its name.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use dcmjoin_testkit::{Postgres, program};

use super::talk;

/// Gives a server a certificate for `localhost` that it signed itself; returns the certificate.
fn certify(server: &Postgres) -> PathBuf {
    let folder = server.sql("SHOW data_directory").unwrap();
    let folder = Path::new(folder.trim());
    let (key, certificate) = (folder.join("server.key"), folder.join("server.crt"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl is needed: apt-get install openssl");
    assert!(made.status.success(), "{}", talk(&made));
    let owner = std::fs::metadata(folder).unwrap();
    for file in [&key, &certificate] {
        chown(file, Some(owner.uid()), Some(owner.gid())).unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    server.sql("ALTER SYSTEM SET ssl = on").unwrap();
    server.restart().unwrap();
    certificate
}

#[test]
fn a_journal_is_reached_by_tls_where_its_certificate_is_trusted() {
    let server = Postgres::start().unwrap();
    let url = server.create_database().unwrap();
    let certificate = certify(&server);
    let list = |host: &str, trusted: Option<&Path>| {
        let ledger = format!("{}?sslmode=require", url.replace("127.0.0.1", host));
        let mut command = program(env!("CARGO_BIN_EXE_dcmjoin"));
        command.args(["campaign", "list", "--ledger", &ledger]);
        command.envs(trusted.map(|file| ("SSL_CERT_FILE", file)));
        command.output().unwrap()
    };
    let trusted = list("localhost", Some(&certificate));
    assert!(trusted.status.success(), "{}", talk(&trusted));
    assert_eq!(list("localhost", None).status.code(), Some(1), "nobody trusts the certificate");
    assert_eq!(list("127.0.0.1", Some(&certificate)).status.code(), Some(1), "it is another's");
}
