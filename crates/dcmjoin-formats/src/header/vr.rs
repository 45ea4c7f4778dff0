//! Value representations (PS3.5 6.2): how each is written, and what it can hold.

/// A value representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[rustfmt::skip]
pub(super) enum Vr {
    AE, AS, AT, CS, DA, DS, DT, FD, FL, IS, LO, LT, OB, OD, OF, OL, OV, OW, PN, SH, SL, SQ, SS, ST,
    SV, TM, UC, UI, UL, UN, UR, US, UT, UV,
}

/// The forms in which values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Text; `chars_max` of `None` where only the length field limits it.
    Text(TextForm),
    /// DS: a decimal number as text.
    DecimalString,
    /// IS: an integer as text.
    IntegerString,
    /// PN: up to three groups of text.
    PersonName,
    /// AT: a tag.
    Tag,
    /// Numbers of a fixed width, little-endian.
    Numbers(Number),
    /// Bytes, given as `InlineBinary`; where JSON has numbers, they are of this width.
    Bytes(Number),
    /// SQ: items.
    Items,
}

/// How a text VR is checked and joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextForm {
    /// The most characters a value may have, 0 for no limit but the length field's.
    pub(super) chars_max: u16,
    /// Whether a backslash separates values.
    pub(super) multi: bool,
    /// Whether (0008,0005) governs it (PS3.5 6.1.2.2).
    pub(super) charset: bool,
}

/// The binary numbers of DICOM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// An integer of `bytes` bytes.
    Integer {
        /// Width in bytes.
        bytes: u8,
        /// Two's complement, or unsigned.
        signed: bool,
    },
    /// IEEE 754 binary32.
    Float,
    /// IEEE 754 binary64.
    Double,
}

impl Number {
    /// Returns the width in bytes.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Integer { bytes, .. } => bytes as usize,
            Self::Float => 4,
            Self::Double => 8,
        }
    }
}

const fn text(chars_max: u16, multi: bool, charset: bool) -> Form {
    Form::Text(TextForm { chars_max, multi, charset })
}

const fn integer(bytes: u8, signed: bool) -> Number {
    Number::Integer { bytes, signed }
}

impl Vr {
    /// Returns the VR of a two-letter name.
    #[rustfmt::skip]
    pub(super) const fn from_name(name: [u8; 2]) -> Option<Self> {
        Some(match &name {
            b"AE" => Self::AE, b"AS" => Self::AS, b"AT" => Self::AT, b"CS" => Self::CS,
            b"DA" => Self::DA, b"DS" => Self::DS, b"DT" => Self::DT, b"FD" => Self::FD,
            b"FL" => Self::FL, b"IS" => Self::IS, b"LO" => Self::LO, b"LT" => Self::LT,
            b"OB" => Self::OB, b"OD" => Self::OD, b"OF" => Self::OF, b"OL" => Self::OL,
            b"OV" => Self::OV, b"OW" => Self::OW, b"PN" => Self::PN, b"SH" => Self::SH,
            b"SL" => Self::SL, b"SQ" => Self::SQ, b"SS" => Self::SS, b"ST" => Self::ST,
            b"SV" => Self::SV, b"TM" => Self::TM, b"UC" => Self::UC, b"UI" => Self::UI,
            b"UL" => Self::UL, b"UN" => Self::UN, b"UR" => Self::UR, b"US" => Self::US,
            b"UT" => Self::UT, b"UV" => Self::UV,
            _ => return None,
        })
    }

    /// Returns the two letters that stand in the file.
    #[rustfmt::skip]
    pub(super) const fn name(self) -> [u8; 2] {
        *match self {
            Self::AE => b"AE", Self::AS => b"AS", Self::AT => b"AT", Self::CS => b"CS",
            Self::DA => b"DA", Self::DS => b"DS", Self::DT => b"DT", Self::FD => b"FD",
            Self::FL => b"FL", Self::IS => b"IS", Self::LO => b"LO", Self::LT => b"LT",
            Self::OB => b"OB", Self::OD => b"OD", Self::OF => b"OF", Self::OL => b"OL",
            Self::OV => b"OV", Self::OW => b"OW", Self::PN => b"PN", Self::SH => b"SH",
            Self::SL => b"SL", Self::SQ => b"SQ", Self::SS => b"SS", Self::ST => b"ST",
            Self::SV => b"SV", Self::TM => b"TM", Self::UC => b"UC", Self::UI => b"UI",
            Self::UL => b"UL", Self::UN => b"UN", Self::UR => b"UR", Self::US => b"US",
            Self::UT => b"UT", Self::UV => b"UV",
        }
    }

    /// Returns true where the length field has 32 bits, after two reserved bytes (PS3.5 7.1.2).
    pub(super) const fn has_long_length(self) -> bool {
        matches!(
            self,
            Self::OB
                | Self::OD
                | Self::OF
                | Self::OL
                | Self::OV
                | Self::OW
                | Self::SQ
                | Self::SV
                | Self::UC
                | Self::UN
                | Self::UR
                | Self::UT
                | Self::UV
        )
    }

    /// Returns how values are written (PS3.5 table 6.2-1).
    pub(super) const fn form(self) -> Form {
        match self {
            Self::AE | Self::CS => text(16, true, false),
            Self::AS => text(4, true, false),
            Self::DA => text(8, true, false),
            Self::DT => text(26, true, false),
            Self::TM => text(14, true, false),
            // UIDs have checks of their own.
            Self::UI => text(0, true, false),
            Self::UR => text(0, false, false),
            Self::LO => text(64, true, true),
            Self::SH => text(16, true, true),
            Self::UC => text(0, true, true),
            Self::LT => text(10_240, false, true),
            Self::ST => text(1_024, false, true),
            Self::UT => text(0, false, true),
            Self::DS => Form::DecimalString,
            Self::IS => Form::IntegerString,
            Self::PN => Form::PersonName,
            Self::AT => Form::Tag,
            Self::SQ => Form::Items,
            Self::FD => Form::Numbers(Number::Double),
            Self::FL => Form::Numbers(Number::Float),
            Self::SS => Form::Numbers(integer(2, true)),
            Self::US => Form::Numbers(integer(2, false)),
            Self::SL => Form::Numbers(integer(4, true)),
            Self::UL => Form::Numbers(integer(4, false)),
            Self::SV => Form::Numbers(integer(8, true)),
            Self::UV => Form::Numbers(integer(8, false)),
            Self::OB | Self::UN => Form::Bytes(integer(1, false)),
            Self::OW => Form::Bytes(integer(2, false)),
            Self::OL => Form::Bytes(integer(4, false)),
            Self::OV => Form::Bytes(integer(8, false)),
            Self::OF => Form::Bytes(Number::Float),
            Self::OD => Form::Bytes(Number::Double),
        }
    }

    /// Returns the byte that makes an odd length even (PS3.5 6.2).
    pub(super) const fn padding(self) -> u8 {
        match self.form() {
            Form::Text(_) if matches!(self, Self::UI) => 0,
            Form::Text(_) | Form::DecimalString | Form::IntegerString | Form::PersonName => b' ',
            Form::Tag | Form::Numbers(_) | Form::Bytes(_) | Form::Items => 0,
        }
    }
}
