//! An instance's header: a DICOM JSON document that looks like a scanner's, with nothing real in it.
//!
//! Names are phantoms, dates lie in 2020, institutions say that they are synthetic; UIDs are under
//! roots for tests. Everything follows from the plan, so slices of a series agree with each other,
//! and documents refer to images that are in the data set.

mod data_set;
mod documents;
mod enhanced;
mod image;
mod json;
mod modality;
mod private;
mod subject;

use data_set::DataSet;
use json::Spelling;

use crate::layout::Version;
use crate::payload::gzip;
use crate::plan::Instance;
use crate::random::{Random, Use};
use crate::recipe::{Recipe, Scene};
use crate::roles::Fault;
use crate::uids::{self, Named};

/// SOP Class UID.
const SOP_CLASS: u32 = 0x0008_0016;
/// SOP Instance UID.
const SOP_INSTANCE: u32 = 0x0008_0018;

/// Appends an instance's document to the buffer.
pub(crate) fn write(instance: &Instance<'_>, version: Version, buffer: &mut Vec<u8>) {
    let mut data_set = complete(instance);
    spoil(&mut data_set, instance, version);
    data_set.sort();
    let spelling = spelling(instance, version);
    let document = json::document(&data_set, spelling);
    match (version, spelling) {
        (Version::Broken(Fault::HeaderCutShort), _) => {
            buffer.extend_from_slice(&document.as_bytes()[..document.len() / 2]);
        }
        (_, Spelling::Gzip) => buffer.extend_from_slice(&gzip(document.as_bytes())),
        _ => buffer.extend_from_slice(document.as_bytes()),
    }
}

/// Returns the header as it should be.
fn complete(instance: &Instance<'_>) -> DataSet {
    let mut data_set = DataSet::default();
    subject::add(&mut data_set, instance);
    if instance.series.recipe.is_header_only() {
        documents::add(&mut data_set, instance);
        return data_set;
    }
    image::add(&mut data_set, instance);
    match instance.spec().scene {
        Scene::HeadCt => modality::ct(&mut data_set, instance),
        Scene::HeadMr if instance.series.recipe == Recipe::MrEnhanced => {
            enhanced::mr(&mut data_set, instance);
        }
        Scene::HeadMr => modality::mr(&mut data_set, instance),
        Scene::Chest => modality::radiograph(&mut data_set, instance),
        Scene::Sector => modality::ultrasound(&mut data_set, instance),
        Scene::Screen => modality::capture(&mut data_set),
        Scene::Bones => modality::nuclear(&mut data_set, instance),
        Scene::Mask => enhanced::segmentation(&mut data_set, instance),
        Scene::Nothing => {}
    }
    private::add(&mut data_set, instance);
    data_set
}

/// Turns the right header into another version.
fn spoil(data_set: &mut DataSet, instance: &Instance<'_>, version: Version) {
    match version {
        Version::Other => {
            data_set.text(0x0020_4000, "LT", "Corrected copy, sent later");
        }
        Version::Broken(Fault::HeaderMisnamed) => {
            let stranger = uids::of(instance.plan.seed, Named::Stranger, instance.index);
            data_set.text(SOP_INSTANCE, "UI", stranger);
        }
        Version::Broken(Fault::HeaderWithoutUid) => data_set.remove(SOP_INSTANCE),
        Version::Broken(Fault::HeaderWithoutSopClass) => data_set.remove(SOP_CLASS),
        Version::Broken(Fault::HeaderWithBulkDataUri) => {
            data_set.bulk(0x0042_0011, "OB", "bulk/00420011.bin");
        }
        Version::Broken(Fault::PayloadOfOtherSize) => {
            data_set.int(0x0028_0010, "US", instance.geometry().rows * 2);
        }
        Version::Right | Version::Broken(_) => {}
    }
}

/// Returns how an instance's document is spelt. Broken ones are spelt as usual, so that they break
/// for one reason only.
fn spelling(instance: &Instance<'_>, version: Version) -> Spelling {
    let (plan, index) = (instance.plan, u64::from(instance.index));
    let mut random = Random::of(plan.seed, Use::Instance, index, 1);
    if matches!(version, Version::Broken(_)) || !random.chance(plan.other_spellings) {
        return Spelling::Usual;
    }
    *random.pick(&Spelling::OTHERS)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use serde_json::Value;

    use super::*;
    use crate::options::{Shares, SynthOptions};
    use crate::plan::Plan;

    fn parse(document: &[u8]) -> Value {
        let mut text = Vec::new();
        if document.starts_with(&[0x1F, 0x8B]) {
            flate2::read::GzDecoder::new(document).read_to_end(&mut text).unwrap();
        } else {
            text.extend_from_slice(document);
        }
        let text = String::from_utf8(text).unwrap();
        serde_json::from_str(text.trim_start_matches('\u{FEFF}')).unwrap()
    }

    fn headers(options: &SynthOptions, version: Version) -> Vec<(Recipe, String, Vec<u8>)> {
        let plan = Plan::new(options);
        let header = |instance: Instance<'_>| {
            let mut buffer = Vec::new();
            write(&instance, version, &mut buffer);
            (instance.series.recipe, instance.uid(), buffer)
        };
        plan.instances().map(header).collect()
    }

    #[test]
    fn every_header_says_who_it_is_and_has_its_pixels_described() {
        for (recipe, uid, document) in headers(&SynthOptions::new(600, 3), Version::Right) {
            let header = parse(&document);
            let element = |upper: &str| {
                let element = header.get(upper).or_else(|| header.get(upper.to_lowercase()));
                element.cloned().unwrap_or_default()
            };
            assert_eq!(element("00080018")["Value"][0], uid.as_str(), "{recipe:?}");
            assert_eq!(element("00080016")["Value"][0], recipe.spec().sop_class);
            let pixels = !recipe.is_header_only();
            assert_eq!(element("00280010").is_object(), pixels, "{recipe:?}");
            let count = header.as_object().unwrap().len();
            assert!((40..=250).contains(&count), "{recipe:?}: {count} elements");
        }
    }

    #[test]
    fn elements_and_members_are_sorted_as_pydicom_sorts_them() {
        let options = SynthOptions { shares: Shares::CLEAN, ..SynthOptions::new(60, 3) };
        for (recipe, _, document) in headers(&options, Version::Right) {
            let header: serde_json::Map<String, Value> = serde_json::from_slice(&document).unwrap();
            let resorted = header.keys().all(|key| key.len() == 8 && *key == key.to_uppercase());
            assert!(resorted, "{recipe:?}");
            let text = String::from_utf8(document).unwrap();
            let tops: Vec<_> =
                header.keys().map(|key| text.find(&format!("\"{key}\": {{"))).collect();
            assert!(tops.iter().all(Option::is_some));
        }
    }

    #[test]
    fn a_share_is_spelt_in_other_ways() {
        let mut options = SynthOptions::new(400, 3);
        options.shares.other_spellings = 0.5;
        let documents = headers(&options, Version::Right);
        let count = |test: fn(&[u8]) -> bool| {
            documents.iter().filter(|(_, _, document)| test(document)).count()
        };
        assert!(count(|document| document.starts_with(&[0x1F, 0x8B])) > 10);
        assert!(count(|document| document.starts_with(&[0xEF, 0xBB, 0xBF])) > 10);
        assert!(count(|document| document.starts_with(b"{\"00080005\":{\"vr\"")) > 10);
        assert!(
            (150..250).contains(&count(|document| document.starts_with(b"{\"00080005\": {\"V")))
        );
    }

    #[test]
    fn faults_are_what_they_say() {
        let options = SynthOptions::new(5, 3);
        let with = |fault| headers(&options, Version::Broken(fault)).remove(0);
        let (_, uid, document) = with(Fault::HeaderMisnamed);
        assert_ne!(parse(&document)["00080018"]["Value"][0], uid.as_str());
        let (.., document) = with(Fault::HeaderCutShort);
        assert!(serde_json::from_slice::<Value>(&document).is_err());
        assert!(parse(&with(Fault::HeaderWithoutUid).2).get("00080018").is_none());
        assert!(parse(&with(Fault::HeaderWithoutSopClass).2).get("00080016").is_none());
        let (.., document) = with(Fault::HeaderWithBulkDataUri);
        assert!(parse(&document)["00420011"]["BulkDataURI"].is_string());
    }
}
