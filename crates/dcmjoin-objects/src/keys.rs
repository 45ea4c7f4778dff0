//! Keys of S3, for those who sign requests of their own.

use object_store::aws::AwsCredentialProvider;

use crate::cloud;
use crate::error::{Error, ErrorKind, Operation};
use crate::profile::Keys;
use crate::stores::process_variables;

/// Where the process's keys come from, as for [`crate::Stores`]: the environment, a profile, web
/// identity, the role of a container or a machine.
#[derive(Debug)]
pub struct KeySource {
    roles: AwsCredentialProvider,
}

impl KeySource {
    /// Returns the source that the process's environment names. Nobody is asked yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where its settings contradict each other.
    pub fn of_environment() -> Result<Self, Error> {
        let invalid =
            |detail| Error::new(Operation::Open, "the keys".to_owned(), ErrorKind::Invalid, detail);
        Ok(Self { roles: cloud::keys(&process_variables()).map_err(invalid)? })
    }

    /// Returns the keys that count now. Environment and profile are read anew each time; a role is
    /// asked again shortly before its keys end. `None` where nobody gives any.
    pub async fn now(&self) -> Option<Keys> {
        if let Some(keys) = Keys::now() {
            return Some(keys);
        }
        let keys = self.roles.get_credential().await.ok()?;
        let (id, secret) = (keys.key_id.clone(), keys.secret_key.clone());
        Some(Keys { id, secret, token: keys.token.clone() })
    }
}
