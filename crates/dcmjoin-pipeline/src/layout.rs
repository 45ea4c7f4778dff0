//! How the key of an output object is made.

use std::fmt;
use std::str::FromStr;

use dcmjoin_formats::header::Header;
use dcmjoin_index::Fingerprint;
use dcmjoin_model::{Reason, Rejection};

use crate::error::RunError;

/// A key template: text with the fields `{uid}`, `{study}`, `{series}` and `{hash}`.
///
/// `{hash}` is four hexadecimal digits of the UID's fingerprint: object stores split their load by
/// prefix, and UIDs share theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    template: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Uid,
    Study,
    Series,
    Hash,
}

impl Default for Layout {
    fn default() -> Self {
        let parts = vec![Part::Uid, Part::Text(".dcm".to_owned())];
        Self { template: "{uid}.dcm".to_owned(), parts }
    }
}

impl FromStr for Layout {
    type Err = RunError;

    fn from_str(template: &str) -> Result<Self, RunError> {
        let invalid = |detail: String| RunError::Invalid { place: "--layout".to_owned(), detail };
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((text, field)) = rest.split_once('{') {
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            let (name, after) =
                field.split_once('}').ok_or_else(|| invalid("a { lacks its }".to_owned()))?;
            parts.push(match name {
                "uid" => Part::Uid,
                "study" => Part::Study,
                "series" => Part::Series,
                "hash" => Part::Hash,
                _ => {
                    return Err(invalid(format!(
                        "expected {{uid}}, {{study}}, {{series}} or {{hash}}, got {{{name}}}"
                    )));
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if !parts.contains(&Part::Uid) {
            return Err(invalid(
                "expected {uid} in it: without it instances overwrite each other".to_owned(),
            ));
        }
        let unsafe_part =
            |part: &str| matches!(part, "" | "." | "..") || part.starts_with("_dcmjoin");
        if template.split('/').any(unsafe_part)
            || template.contains(['\\', '\0', '}']) && !template.contains('{')
        {
            return Err(invalid(
                "empty parts, . and .. and _dcmjoin cannot be in a key".to_owned(),
            ));
        }
        Ok(Self { template: template.to_owned(), parts })
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.template)
    }
}

impl Layout {
    /// Returns the key of an instance. UIDs hold digits and dots only, so no header can reach out
    /// of the output.
    ///
    /// # Errors
    /// `layout_field` where the header lacks a UID that the template names.
    pub fn key(&self, header: &Header) -> Result<String, Rejection> {
        let missing = |tag: &str| {
            let detail = format!("expected a UID in {tag} for the layout, got none");
            Rejection::new(Reason::LayoutField, detail)
        };
        let mut key = String::with_capacity(72);
        for part in &self.parts {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Uid => key.push_str(header.uid.as_str()),
                Part::Study => {
                    key.push_str(
                        header.study.as_ref().ok_or_else(|| missing("(0020,000D)"))?.as_str(),
                    );
                }
                Part::Series => {
                    key.push_str(
                        header.series.as_ref().ok_or_else(|| missing("(0020,000E)"))?.as_str(),
                    );
                }
                Part::Hash => {
                    key.push_str(&format!("{:04x}", Fingerprint::of(&header.uid).0 >> 112));
                }
            }
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_checked_before_any_work() {
        for good in ["{uid}.dcm", "{study}/{series}/{uid}.dcm", "{hash}/{uid}", "a/{uid}"] {
            assert!(good.parse::<Layout>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "x.dcm",
            "{uid",
            "{name}/{uid}",
            "/{uid}",
            "../{uid}",
            "a//{uid}",
            "_dcmjoin/{uid}",
        ] {
            assert!(bad.parse::<Layout>().is_err(), "{bad}");
        }
    }
}
