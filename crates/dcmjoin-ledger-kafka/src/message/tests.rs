use super::*;

#[derive(Default)]
struct Heard {
    is: Vec<(Vec<u8>, Vec<u8>)>,
    is_not: Vec<Vec<u8>>,
    forgets: Vec<String>,
}

impl Told for Heard {
    fn is(&mut self, key: &[u8], value: &[u8]) {
        self.is.push((key.to_vec(), value.to_vec()));
    }

    fn is_not(&mut self, key: &[u8]) {
        self.is_not.push(key.to_vec());
    }

    fn forgets(&mut self, campaign: &str) {
        self.forgets.push(campaign.to_owned());
    }
}

fn fact(number: u32) -> Fact {
    Fact {
        fingerprint: 1 << 127 | u128::from(number),
        uid: SopInstanceUid::parse(&format!("2.25.{}", number + 1)).unwrap(),
        half: Half::Image,
        archive: "s3://a/b.tar".to_owned(),
        version: Some("v".to_owned()),
        offset: 512,
        length: 7,
        digest: 3,
        crc32c: number,
    }
}

#[test]
fn facts_come_back_as_they_were() {
    let count = u32::try_from(BATCH_MAX).unwrap() + 1;
    let facts: Vec<_> = (0..count).map(fact).collect();
    let items = facts_to_items(Parts::default(), "one", &facts);
    assert_eq!(items.len(), 2, "a record has its bound");
    assert_eq!(
        items,
        facts_to_items(Parts::default(), "one", &facts),
        "the same facts are the same records"
    );
    assert_ne!(items[0].key, facts_to_items(Parts::default(), "one", &facts[..9])[0].key);
    let mut heard = Heard::default();
    for item in &items {
        assert_eq!(item.partition, 8, "of 16");
        assert!(is_of(&item.key, "one") && !is_of(&item.key, "other"));
        tell_facts(&item.key, item.value.as_deref(), &mut heard);
    }
    assert_eq!(heard.is.len(), facts.len());
    for ((bytes, value), fact) in heard.is.iter().zip(&facts) {
        let (fingerprint, key) = read_fact_key(bytes).unwrap();
        let uid = fact.uid.as_str();
        assert_eq!((fingerprint, key.campaign, key.uid), (fact.fingerprint, "one", uid));
        assert_eq!((key.half(), key.archive, key.offset), (Half::Image, "s3://a/b.tar", 512));
        let FactValue { version, length, digest, crc32c } = read_fact_value(value).unwrap();
        assert_eq!((version, length, digest, crc32c), (Some("v"), 7, 3, fact.crc32c));
        let pair = pair_key("one", fact.fingerprint, uid);
        assert_eq!(bytes[..pair_key_len(bytes).unwrap()], pair);
        assert_eq!(bytes[pair.len()], 1, "the half follows");
    }
}

#[test]
fn facts_of_other_archives_and_partitions_have_records_of_their_own() {
    let mut facts: Vec<_> = (0..4).map(fact).collect();
    facts[1].archive = "s3://a/c.tar".to_owned();
    facts[2].version = None;
    facts[3].fingerprint = 5;
    let items = facts_to_items(Parts::default(), "one", &facts);
    assert_eq!(items.len(), 4);
    assert_eq!(items[0].partition, 0);
}

#[test]
fn pairs_come_back_as_they_were() {
    let keys: Vec<_> = (0..3).map(|number| pair_key("one", number, "2.25.99")).collect();
    let items = done_to_items(Parts::default(), keys.iter().map(Vec::as_slice));
    assert_eq!(items.len(), 1);
    let mut heard = Heard::default();
    tell_pairs(&items[0].key, items[0].value.as_deref(), &mut heard);
    let came: Vec<_> = heard.is.into_iter().map(|(key, _)| key).collect();
    assert_eq!(came, keys);
    let (fingerprint, key) = read_pair_key(&keys[2]).unwrap();
    assert_eq!((fingerprint, key.campaign, key.uid), (2, "one", "2.25.99"));
}

#[test]
fn a_mark_forgets_and_the_end_of_a_batch_says_nothing() {
    let (mut heard, mark) = (Heard::default(), mark("one", 7));
    assert!(!is_of(&mark.key, "one"), "a mark stays");
    tell_facts(&mark.key, mark.value.as_deref(), &mut heard);
    tell_pairs(&mark.key, mark.value.as_deref(), &mut heard);
    assert_eq!(heard.forgets, ["one", "one"]);
    let batch = &facts_to_items(Parts::default(), "one", &[fact(1)])[0];
    tell_facts(&batch.key, None, &mut heard);
    assert!(heard.is.is_empty() && heard.is_not.is_empty());
}

#[test]
fn records_of_one_fact_or_pair_are_read() {
    let mut heard = Heard::default();
    let batch = &facts_to_items(Parts::default(), "one", &[fact(1)])[0];
    tell_facts(&batch.key, batch.value.as_deref(), &mut heard);
    let (key, value) = heard.is.pop().unwrap();
    tell_facts(&key, Some(&value), &mut heard);
    assert_eq!(heard.is.pop().unwrap(), (key.clone(), value));
    tell_facts(&key, None, &mut heard);
    let pair = pair_key("one", 9, "2.25.99");
    tell_pairs(&pair, Some(b"done"), &mut heard);
    tell_pairs(&pair, None, &mut heard);
    assert_eq!(heard.is.pop().unwrap().0, pair);
    assert!(is_of(&key, "one") && is_of(&pair, "one"));
    assert_eq!(heard.is_not, [key, pair]);
}

#[test]
fn what_is_not_of_this_program_is_not_understood() {
    let mut heard = Heard::default();
    for bytes in [&b""[..], b"short", &[0; 17], b"0123456789abcdef and something else"] {
        tell_facts(bytes, Some(b"value"), &mut heard);
        tell_pairs(bytes, Some(b"value"), &mut heard);
        tell_facts(
            &facts_to_items(Parts::default(), "one", &[fact(1)])[0].key,
            Some(bytes),
            &mut heard,
        );
    }
    assert!(heard.is.is_empty() && heard.is_not.is_empty() && heard.forgets.is_empty());
}
