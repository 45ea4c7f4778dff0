//! A dictionary of what headers have in common, made of the first ones.
//!
//! Headers of one scanner repeat each other's tags and texts, and one header alone is too short for
//! a compressor to learn them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use zstd::zstd_safe::{CDict, DDict};

use super::ZSTD_LEVEL;

/// Headers from which the dictionary is made. Twice as many make the rest smaller by 3 %.
const SAMPLES: usize = 500;
/// One header in so many is a sample, so that more than one study is among them.
const SAMPLE_ONE_IN: u64 = 4;
/// Of a longer header only so much is a sample: what headers share is short.
const SAMPLE_BYTES_MAX: usize = 8 << 10;
/// A smaller dictionary makes headers larger, a larger one does not make them smaller.
const DICTIONARY_BYTES: usize = 64 << 10;

/// A dictionary, ready for use.
pub(super) struct Dictionary {
    pub(super) encoder: CDict<'static>,
    pub(super) decoder: DDict<'static>,
}

/// Takes samples until they are enough for a dictionary.
pub(super) struct Trainer {
    seen: AtomicU64,
    /// None as soon as the dictionary is being made.
    samples: Mutex<Option<Samples>>,
    /// None where nothing can be learnt from the samples.
    dictionary: OnceLock<Option<Dictionary>>,
}

#[derive(Default)]
struct Samples {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl Trainer {
    pub(super) fn new() -> Self {
        let samples = Mutex::new(Some(Samples::default()));
        Self { seen: AtomicU64::new(0), samples, dictionary: OnceLock::new() }
    }

    /// Returns the dictionary, where there is one yet.
    pub(super) fn dictionary(&self) -> Option<&Dictionary> {
        self.dictionary.get()?.as_ref()
    }

    /// Looks at a header. Returns a dictionary's bytes to the one caller whose header completed the
    /// samples: it makes the dictionary, while others go on without.
    pub(super) fn look_at(&self, header: &[u8]) -> Option<Vec<u8>> {
        if self.dictionary.get().is_some()
            || !self.seen.fetch_add(1, Relaxed).is_multiple_of(SAMPLE_ONE_IN)
        {
            return None;
        }
        let Samples { bytes, lengths } = self.complete_by(header)?;
        let dictionary = zstd::dict::from_continuous(&bytes, &lengths, DICTIONARY_BYTES).ok();
        self.dictionary.get_or_init(|| dictionary.as_deref().and_then(Dictionary::of));
        dictionary
    }

    fn complete_by(&self, header: &[u8]) -> Option<Samples> {
        let mut slot = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let samples = slot.as_mut()?;
        let sample = &header[..header.len().min(SAMPLE_BYTES_MAX)];
        samples.bytes.extend_from_slice(sample);
        samples.lengths.push(sample.len());
        if samples.lengths.len() < SAMPLES {
            return None;
        }
        slot.take()
    }
}

impl Dictionary {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (encoder, decoder) = (CDict::try_create(bytes, ZSTD_LEVEL), DDict::try_create(bytes));
        Some(Self { encoder: encoder?, decoder: decoder? })
    }
}
