//! A dictionary of what headers have in common, made of the first ones.
//!
//! Headers of one scanner repeat each other's tags and texts, and one header alone is too short for
//! a compressor to learn them.

use std::fmt;
use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use zstd::zstd_safe::{CDict, DDict, get_dict_id_from_dict};

use super::frame::Frame;
use super::{ZSTD_LEVEL, plain};

/// Headers from which the dictionary is made. Twice as many make the rest smaller by 3 %.
const SAMPLES: usize = 500;
/// One header in so many is a sample, so that more than one study is among them.
const SAMPLE_ONE_IN: u64 = 4;
/// Of a longer header only so much is a sample: what headers share is short.
const SAMPLE_BYTES_MAX: usize = 8 << 10;
/// A smaller dictionary makes headers larger, a larger one does not make them smaller.
const DICTIONARY_BYTES: usize = 64 << 10;

/// Dictionaries of other stores that are remembered: each takes 100 kB of memory, and there is one for
/// each run that packed headers.
pub(super) const OTHERS_MAX: usize = 64;

/// A store's own dictionary, ready for use.
pub(super) struct Dictionary {
    number: NonZeroU32,
    pub(super) bytes: Vec<u8>,
    pub(super) encoder: CDict<'static>,
    pub(super) decoder: DDict<'static>,
}

/// Another store's dictionary.
pub(super) struct Other {
    number: NonZeroU32,
    pub(super) bytes: Vec<u8>,
    pub(super) decoder: DDict<'static>,
}

/// Dictionaries of other stores.
#[derive(Default)]
pub(super) struct Others(RwLock<Vec<Arc<Other>>>);

/// The dictionaries of one file of frames, as far as the store does not remember them.
#[derive(Default)]
pub struct Learnt(Vec<Other>);

impl fmt::Debug for Learnt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Learnt").field(&self.0.len()).finish()
    }
}

impl Learnt {
    pub(super) fn is_own(&self, number: NonZeroU32) -> bool {
        self.with_number(number).is_some()
    }

    fn with_number(&self, number: NonZeroU32) -> Option<&Other> {
        self.0.iter().find(|other| other.number == number)
    }

    /// Decompresses the body of a frame.
    pub(super) fn plain(&self, frame: &Frame) -> io::Result<Vec<u8>> {
        let own = frame.dictionary().and_then(|number| self.with_number(number));
        let own = own.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        plain(frame.body(), Some(&own.decoder))
    }
}

impl Other {
    fn of(bytes: &[u8]) -> io::Result<Self> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let number = get_dict_id_from_dict(bytes).ok_or_else(invalid)?;
        let decoder = DDict::try_create(bytes).ok_or_else(invalid)?;
        Ok(Self { number, bytes: bytes.to_vec(), decoder })
    }
}

impl Others {
    pub(super) fn with_number(&self, number: NonZeroU32) -> Option<Arc<Other>> {
        let others = self.0.read().unwrap_or_else(PoisonError::into_inner);
        others.iter().find(|other| other.number == number).cloned()
    }

    /// Remembers a dictionary. Where there is no room, or another one has its number, it is left with
    /// the file that it came from.
    pub(super) fn learn(
        &self,
        bytes: &[u8],
        is_taken: impl Fn(NonZeroU32) -> bool,
        learnt: &mut Learnt,
    ) -> io::Result<()> {
        let other = Other::of(bytes)?;
        let mut others = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match others.iter().find(|known| known.number == other.number) {
            Some(known) if known.bytes == other.bytes => {}
            None if others.len() < OTHERS_MAX && !is_taken(other.number) => {
                others.push(Arc::new(other));
            }
            _ => learnt.0.push(other),
        }
        Ok(())
    }
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

    /// Returns the dictionary, where it has this number.
    pub(super) fn with_number(&self, number: NonZeroU32) -> Option<&Dictionary> {
        self.dictionary().filter(|ours| ours.number == number)
    }

    /// Looks at a header. The one caller whose header completes the samples makes the dictionary, while
    /// others go on without.
    pub(super) fn look_at(&self, header: &[u8], others: &Others) {
        if self.dictionary.get().is_some()
            || !self.seen.fetch_add(1, Relaxed).is_multiple_of(SAMPLE_ONE_IN)
        {
            return;
        }
        let Some(Samples { bytes, lengths }) = self.complete_by(header) else { return };
        let made = zstd::dict::from_continuous(&bytes, &lengths, DICTIONARY_BYTES).ok();
        let made = made.and_then(Dictionary::of);
        // Nobody remembers another one while the lock is held.
        let others = others.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_free = |ours: &Dictionary| others.iter().all(|other| other.number != ours.number);
        self.dictionary.get_or_init(|| made.filter(is_free));
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
    fn of(bytes: Vec<u8>) -> Option<Self> {
        let number = get_dict_id_from_dict(&bytes)?;
        let (encoder, decoder) = (CDict::try_create(&bytes, ZSTD_LEVEL), DDict::try_create(&bytes));
        Some(Self { number, bytes, encoder: encoder?, decoder: decoder? })
    }
}
