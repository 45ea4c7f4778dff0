//! A listener that lets in users alone, over TLS, as companies run it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The user, and the password, that the listener knows.
pub(super) const USER: &str = "worker";
pub(super) const PASSWORD: &str = "let-me-in";
/// Of the file with the broker's key, which nobody else reads.
const STORE_PASSWORD: &str = "of-a-test";
/// What the certificate says, and so what clients must call the broker.
const HOST: &str = "localhost";

/// Where the listener is, and what clients know of it.
#[derive(Debug)]
pub(super) struct Secured {
    port: u16,
    store: PathBuf,
    pub(super) certificate: PathBuf,
}

impl Secured {
    /// Makes a key, with a certificate that it signs itself.
    pub(super) fn new(folder: &Path, port: u16) -> Result<Self> {
        let (store, certificate) = (folder.join("broker.p12"), folder.join("broker.pem"));
        let kept = |command: &str| {
            let mut keytool = Command::new("keytool");
            keytool.args([command, "-alias", "broker", "-storetype", "PKCS12"]);
            keytool.args(["-storepass", STORE_PASSWORD, "-keystore"]).arg(&store);
            keytool
        };
        let mut make = kept("-genkeypair");
        make.args(["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "2"]);
        run(make.args(["-dname", "CN=broker", "-ext", &format!("SAN=dns:{HOST}")]))?;
        run(kept("-exportcert").args(["-rfc", "-file"]).arg(&certificate))?;
        Ok(Self { port, store, certificate })
    }

    pub(super) fn bootstrap(&self) -> String {
        format!("{HOST}:{}", self.port)
    }

    /// Returns what the storage tool is told.
    pub(super) fn user() -> String {
        format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]")
    }

    /// Returns the broker's settings beside those of its other listeners.
    pub(super) fn settings(&self) -> String {
        format!(
            "listener.name.secured.sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.secured.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             listener.name.secured.ssl.keystore.type=PKCS12\n\
             listener.name.secured.ssl.keystore.location={}\n\
             listener.name.secured.ssl.keystore.password={STORE_PASSWORD}\n",
            self.store.display()
        )
    }

    /// Returns the listener's address.
    pub(super) fn listener(&self) -> String {
        format!(",SECURED://{}", self.bootstrap())
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().context("start keytool")?;
    if !output.status.success() {
        bail!("keytool ended with {}: {}", output.status, String::from_utf8_lossy(&output.stdout));
    }
    Ok(())
}
