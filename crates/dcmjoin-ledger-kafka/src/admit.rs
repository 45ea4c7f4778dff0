//! Whether a secured listener lets this program in. The client itself tries again for ever, as after any
//! outage; who mistyped a password should hear of it at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dcmjoin_ledger::Error;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::log::{OUTAGE_MAX, Shared, broke};

/// How long one question is waited for.
const ASK: Duration = Duration::from_millis(500);

/// Remembers why the client was not let in.
#[derive(Default)]
struct Refusal(Mutex<Option<RDKafkaErrorCode>>);

impl ClientContext for Refusal {
    fn error(&self, error: KafkaError, _: &str) {
        if let Some(code @ (RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL)) =
            error.rdkafka_error_code()
        {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        }
    }
}

impl ConsumerContext for Refusal {}

/// Returns once a broker has let this program in.
///
/// # Errors
/// [`Error::Invalid`] where one refuses it, or is not the one that its certificate should say;
/// [`Error::Store`] where none answers.
pub(crate) fn admitted(shared: &Shared) -> Result<(), Error> {
    let made = shared.config().create_with_context(Refusal::default());
    let client: BaseConsumer<Refusal> = made.map_err(|error| broke(&error))?;
    let until = Instant::now() + OUTAGE_MAX;
    loop {
        let asked = client.fetch_metadata(None, ASK);
        // What happened meanwhile is told by a poll.
        let _ = client.poll(Duration::ZERO);
        let refusal = *client.context().0.lock().unwrap_or_else(PoisonError::into_inner);
        match (asked, refusal) {
            (Ok(_), _) => return Ok(()),
            (Err(_), Some(code)) => {
                return Err(Error::Invalid(format!(
                    "expected the brokers to let this program in, got {code:?}: see to \
                     ssl.ca.location, the user and KAFKA_PASSWORD"
                )));
            }
            (Err(error), None) if Instant::now() >= until => return Err(broke(&error)),
            (Err(_), None) => {}
        }
    }
}
