//! The data dictionary (PS3.6): the VR of a tag, and the tag of a keyword.
//!
//! Input -> output: a tag or keyword in, a [`Rule`] or tag out. Absent on purpose: private
//! dictionaries; a private element carries its VR in the document, or is inferred from its value.

mod table;

use super::vr::Vr;

/// What the dictionary says of a tag's VR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// This one.
    One(Vr),
    /// One of several, by other attributes.
    Choice(Choice),
}

/// VRs that depend on other attributes (PS3.6 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// OB or OW.
    ObOw,
    /// US or SS.
    UsSs,
    /// US or OW.
    UsOw,
    /// US, SS or OW.
    UsSsOw,
}

impl Choice {
    /// Reads `US or SS` and its like, with any words or signs between the names.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let has =
            |vr: &str| name.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == vr);
        match (has("OB"), has("OW"), has("US"), has("SS")) {
            (true, true, false, false) => Some(Self::ObOw),
            (false, false, true, true) => Some(Self::UsSs),
            (false, true, true, false) => Some(Self::UsOw),
            (false, true, true, true) => Some(Self::UsSsOw),
            _ => None,
        }
    }
}

/// Short names, so that the table has one line an element.
mod names {
    use super::{Choice, Rule, Rule::One, Vr};

    macro_rules! names {
        ($($vr:ident)*) => { $(pub(super) const $vr: Rule = One(Vr::$vr);)* };
    }
    names!(AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST);
    names!(SV TM UC UI UL UN UR US UT UV);
    pub(super) const OB_OW: Rule = Rule::Choice(Choice::ObOw);
    pub(super) const US_SS: Rule = Rule::Choice(Choice::UsSs);
    pub(super) const US_OW: Rule = Rule::Choice(Choice::UsOw);
    pub(super) const US_SS_OW: Rule = Rule::Choice(Choice::UsSsOw);
}

/// Returns what the dictionary says of a tag's VR, or `None` for a tag that it does not know.
pub(super) fn rule(tag: u32) -> Option<Rule> {
    if let Ok(at) = table::ELEMENTS.binary_search_by_key(&tag, |entry| entry.0) {
        return Some(table::ELEMENTS[at].1);
    }
    // In private groups only the creators are known: they are LO (PS3.5 7.8.1).
    if tag & 0x0001_0000 != 0 {
        return (0x0010..=0x00FF).contains(&(tag & 0xFFFF)).then_some(Rule::One(Vr::LO));
    }
    table::REPEATING.iter().find(|&&(mask, under, _)| tag & mask == under).map(|entry| entry.2)
}

/// Returns the tag of a keyword.
pub(super) fn tag(keyword: &str) -> Option<u32> {
    let entry = |at: u16| &table::ELEMENTS[usize::from(at)];
    table::BY_KEYWORD
        .binary_search_by(|&at| entry(at).2.cmp(keyword))
        .ok()
        .map(|found| entry(table::BY_KEYWORD[found]).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_tags_keywords_and_repeating_groups() {
        assert_eq!(rule(0x0008_0018), Some(Rule::One(Vr::UI)));
        assert_eq!(rule(0x0028_0120), Some(Rule::Choice(Choice::UsSs)));
        assert_eq!(rule(0x6002_3000), Some(Rule::Choice(Choice::ObOw)));
        assert_eq!(rule(0x5000_0010), Some(Rule::One(Vr::US)));
        assert_eq!(rule(0x0009_0010), Some(Rule::One(Vr::LO)));
        assert_eq!(rule(0x0009_1010), None);
        assert_eq!(rule(0x6001_3000), None);
        assert_eq!(tag("PatientID"), Some(0x0010_0020));
        assert_eq!(tag("patientid"), None);
        assert_eq!(tag(""), None);
    }

    #[test]
    fn tables_are_in_order() {
        assert!(table::ELEMENTS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let keyword = |at: &u16| table::ELEMENTS[usize::from(*at)].2;
        assert!(table::BY_KEYWORD.windows(2).all(|pair| keyword(&pair[0]) < keyword(&pair[1])));
    }

    #[test]
    fn reads_ambiguous_names() {
        assert_eq!(Choice::from_name("OB or OW"), Some(Choice::ObOw));
        assert_eq!(Choice::from_name("US/SS"), Some(Choice::UsSs));
        assert_eq!(Choice::from_name("US or SS or OW"), Some(Choice::UsSsOw));
        assert_eq!(Choice::from_name("US or OW"), Some(Choice::UsOw));
        assert_eq!(Choice::from_name("OB"), None);
    }
}
