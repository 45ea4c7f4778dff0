//! Arbitrary and damaged bytes: no panic, and what is recognised lies within the payload.

use dcmjoin_model::{PixelDescription, TransferSyntax};
use proptest::prelude::*;

use super::build::{
    J2k, Jpeg, colour, grey, grey_frames, items, j2k, jp2_box, jp2_head, jpeg, rle,
};
use super::{Bytes, PayloadLimits, PixelValue, recognise};

fn samples() -> Vec<Vec<u8>> {
    let open_part = J2k { part_length: Some(0), ..J2k::new() }.build();
    let lossless = Jpeg { samples: 3, ss: 1, ..Jpeg::new(0xc3) }.build();
    vec![
        jpeg().repeat(2),
        lossless,
        Jpeg::new(0xf7).build(),
        j2k().repeat(2),
        open_part,
        rle(3),
        [jp2_head(), jp2_box(*b"jp2c", &j2k())].concat(),
        items(&[&jpeg(), &j2k(), &rle(1)]),
        items(&[&jpeg()[..20], &jpeg()[20..]]),
    ]
}

fn headers() -> impl Strategy<Value = PixelDescription> {
    prop_oneof![
        Just(PixelDescription::default()),
        Just(grey()),
        Just(grey_frames(2)),
        Just(grey_frames(u32::MAX)),
        Just(colour("YBR_FULL_422")),
        Just(PixelDescription { bits_allocated: Some(1), ..grey_frames(3) }),
        Just(PixelDescription { rows: Some(0), ..grey() }),
        Just(PixelDescription { rows: Some(u32::MAX), columns: Some(u32::MAX), ..grey() }),
    ]
}

fn claims() -> impl Strategy<Value = Option<TransferSyntax>> {
    proptest::option::of(proptest::sample::select(TransferSyntax::ALL))
}

fn check(payload: &Bytes, header: &PixelDescription, claimed: Option<TransferSyntax>) {
    let Ok(got) = recognise(payload.clone(), header, claimed, &PayloadLimits::default()) else {
        return;
    };
    let length = match &got.value {
        PixelValue::Native(value) => value.len(),
        PixelValue::Encapsulated(frames) => frames.iter().flatten().map(Bytes::len).sum(),
    };
    assert!(length <= payload.len() || Some(length as u64) == header.native_bytes());
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        header in headers(),
        claimed in claims(),
    ) {
        check(&payload.into(), &header, claimed);
    }

    #[test]
    fn damaged_payloads_do_not_panic(
        sample in proptest::sample::select(samples()),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<proptest::sample::Index>(),
        whole in any::<bool>(),
        header in headers(),
        claimed in claims(),
    ) {
        let mut payload = sample;
        for (at, byte) in damage {
            let at = at.index(payload.len());
            payload[at] = byte;
        }
        if !whole {
            payload.truncate(cut.index(payload.len()));
        }
        check(&payload.into(), &header, claimed);
    }
}
