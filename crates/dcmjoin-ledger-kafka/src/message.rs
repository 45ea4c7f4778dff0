//! Facts and pairs as records. The key says which fact or pair it is, so that compaction keeps each
//! once, and one without a value forgets it; it begins with the fingerprint, big-endian. The key of a pair
//! is the beginning of the keys of its facts.

use dcmjoin_ledger::facts::Fact;
use dcmjoin_model::{Half, SopInstanceUid};
use serde::{Deserialize, Serialize};

/// The form of keys, after the fingerprint.
const FORM: u8 = 1;
/// The value of a pair that is done: its key says all.
pub(crate) const DONE: &[u8] = b"done";

/// Which fact.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FactKey<'a> {
    form: u8,
    pub(crate) campaign: &'a str,
    pub(crate) uid: &'a str,
    is_image: bool,
    pub(crate) archive: &'a str,
    pub(crate) offset: u64,
}

/// The rest of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FactValue<'a> {
    pub(crate) version: Option<&'a str>,
    pub(crate) length: u64,
    pub(crate) digest: u128,
    pub(crate) crc32c: u32,
}

/// Which pair.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PairKey<'a> {
    form: u8,
    pub(crate) campaign: &'a str,
    pub(crate) uid: &'a str,
}

impl FactKey<'_> {
    pub(crate) fn half(&self) -> Half {
        if self.is_image { Half::Image } else { Half::Metadata }
    }
}

pub(crate) fn fact_key(campaign: &str, fact: &Fact) -> Vec<u8> {
    let key = FactKey {
        form: FORM,
        campaign,
        uid: fact.uid.as_str(),
        is_image: fact.half == Half::Image,
        archive: &fact.archive,
        offset: fact.offset,
    };
    extend(fact.fingerprint, &key)
}

pub(crate) fn fact_value(fact: &Fact) -> Vec<u8> {
    let value = FactValue {
        version: fact.version.as_deref(),
        length: fact.length,
        digest: fact.digest,
        crc32c: fact.crc32c,
    };
    postcard::to_allocvec(&value).expect("numbers and texts have a form")
}

pub(crate) fn pair_key(campaign: &str, fingerprint: u128, uid: &str) -> Vec<u8> {
    extend(fingerprint, &PairKey { form: FORM, campaign, uid })
}

fn extend(fingerprint: u128, key: &impl Serialize) -> Vec<u8> {
    let bytes = fingerprint.to_be_bytes().to_vec();
    postcard::to_extend(key, bytes).expect("numbers and texts have a form")
}

/// Returns fingerprint and key of a record, or nothing where it is not of this program.
pub(crate) fn read_fact_key(bytes: &[u8]) -> Option<(u128, FactKey<'_>)> {
    let (fingerprint, rest) = bytes.split_first_chunk()?;
    let key: FactKey<'_> = postcard::from_bytes(rest).ok()?;
    let is_known = key.form == FORM && SopInstanceUid::parse(key.uid).is_ok();
    is_known.then_some((u128::from_be_bytes(*fingerprint), key))
}

/// Returns how much of a fact's key is the key of its pair.
pub(crate) fn pair_key_len(bytes: &[u8]) -> Option<usize> {
    let (_, rest) = bytes.split_first_chunk::<16>()?;
    let (_, after): (PairKey<'_>, _) = postcard::take_from_bytes(rest).ok()?;
    Some(bytes.len() - after.len())
}

pub(crate) fn read_fact_value(bytes: &[u8]) -> Option<FactValue<'_>> {
    postcard::from_bytes(bytes).ok()
}

pub(crate) fn read_pair_key(bytes: &[u8]) -> Option<(u128, PairKey<'_>)> {
    let (fingerprint, rest) = bytes.split_first_chunk()?;
    let key: PairKey<'_> = postcard::from_bytes(rest).ok()?;
    (key.form == FORM).then_some((u128::from_be_bytes(*fingerprint), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let fact = Fact {
            fingerprint: 1 << 127 | 5,
            uid: SopInstanceUid::parse("2.25.99").unwrap(),
            half: Half::Image,
            archive: "s3://a/b.tar".to_owned(),
            version: Some("v".to_owned()),
            offset: 512,
            length: 7,
            digest: 3,
            crc32c: 4,
        };
        let bytes = fact_key("one", &fact);
        assert_eq!(bytes[..16], fact.fingerprint.to_be_bytes());
        let (fingerprint, key) = read_fact_key(&bytes).unwrap();
        assert_eq!((fingerprint, key.campaign, key.uid), (fact.fingerprint, "one", "2.25.99"));
        assert_eq!((key.half(), key.archive, key.offset), (Half::Image, "s3://a/b.tar", 512));
        let value = fact_value(&fact);
        let value = read_fact_value(&value).unwrap();
        assert_eq!((value.version, value.length, value.digest, value.crc32c), (Some("v"), 7, 3, 4));
        let of_fact = pair_key("one", fact.fingerprint, "2.25.99");
        let bytes = fact_key("one", &fact);
        assert_eq!(bytes[..pair_key_len(&bytes).unwrap()], of_fact);
        assert_eq!(bytes[of_fact.len()], 1, "the half follows");
        let bytes = pair_key("one", 9, "2.25.99");
        let (fingerprint, key) = read_pair_key(&bytes).unwrap();
        assert_eq!((fingerprint, key.campaign, key.uid), (9, "one", "2.25.99"));
    }

    #[test]
    fn what_is_not_of_this_program_is_not_understood() {
        for bytes in [&b""[..], b"short", &[0; 17], b"0123456789abcdef and something else"] {
            assert!(read_fact_key(bytes).is_none());
            assert!(read_pair_key(bytes).is_none());
        }
    }
}
