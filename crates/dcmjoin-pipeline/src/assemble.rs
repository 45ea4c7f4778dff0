//! The step *assemble*: a header and a payload to a Part 10 file, or the reason why not.

use bytes::Bytes;
use dcmjoin_formats::header::Header;
use dcmjoin_formats::part10::{self, Part10};
use dcmjoin_formats::payload::{self, PayloadLimits};
use dcmjoin_formats::sop_class::{self, PixelNeed};
use dcmjoin_model::{PayloadKind, Reason, Rejection, Warnings};

/// An instance, ready to be published.
#[derive(Debug)]
pub struct Instance {
    /// The file.
    pub file: Part10,
    /// The form of its payload, where it has one.
    pub kind: Option<PayloadKind>,
    /// What was noted on the way of both halves.
    pub warnings: Warnings,
}

/// Assembles an instance of both halves.
///
/// # Errors
/// The [`Rejection`] of a payload that does not belong to such a header.
pub fn pair(
    header: &Header,
    payload: Bytes,
    limits: &PayloadLimits,
) -> Result<Instance, Rejection> {
    if payload.is_empty() {
        return without_payload(header, limits);
    }
    let unexpected = |what: &str| {
        let detail = format!("expected no image half {what}, got {} bytes", payload.len());
        Err(Rejection::new(Reason::PayloadUnexpected, detail))
    };
    if header.float_pixels {
        return unexpected("beside the header's float pixel data");
    }
    if need(header) == PixelNeed::Never && header.pixels.rows.is_none() {
        return unexpected("of this SOP Class");
    }
    with_payload(header, payload, limits)
}

/// Returns true where a header is an instance by itself: it carries its pixels, or its SOP Class
/// has none, or may have none and the header describes none.
#[must_use]
pub fn is_header_only(header: &Header) -> bool {
    let carries = header.inline_pixels.is_some() || header.float_pixels;
    carries
        || match need(header) {
            PixelNeed::Never => true,
            PixelNeed::Optional => header.pixels.rows.is_none(),
            PixelNeed::Needed | PixelNeed::Unknown => false,
        }
}

fn need(header: &Header) -> PixelNeed {
    sop_class::pixels(&header.sop_class)
}

/// Assembles an instance of its header alone.
///
/// # Errors
/// The [`Rejection`] of pixel data that the header itself carries.
pub fn header_only(header: &Header, limits: &PayloadLimits) -> Result<Instance, Rejection> {
    match &header.inline_pixels {
        Some(pixels) if !pixels.is_empty() => with_payload(header, pixels.clone(), limits),
        _ => file(header, None),
    }
}

/// An empty image half is as good as none, and says besides that there are no pixels to come.
fn without_payload(header: &Header, limits: &PayloadLimits) -> Result<Instance, Rejection> {
    if is_header_only(header) || header.pixels.rows.is_none() {
        return header_only(header, limits);
    }
    let detail = "expected pixels for the header's Rows and Columns, got an empty image half";
    Err(Rejection::new(Reason::PayloadEmpty, detail))
}

fn with_payload(
    header: &Header,
    payload: Bytes,
    limits: &PayloadLimits,
) -> Result<Instance, Rejection> {
    let pixels = payload::recognise(payload, &header.pixels, header.transfer_syntax, limits)?;
    file(header, Some(&pixels))
}

fn file(header: &Header, pixels: Option<&payload::Pixels>) -> Result<Instance, Rejection> {
    let file = part10::assemble(header, pixels)?;
    let mut warnings = header.warnings.clone();
    if let Some(pixels) = pixels {
        warnings.extend(&pixels.warnings);
    }
    Ok(Instance { file, kind: pixels.map(|pixels| pixels.kind), warnings })
}
