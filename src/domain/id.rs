//! The id of a spec: `S` and at least four upper-case hex digits, as in `SD979`. A lander, which lands specs, has an id
//! with `L` instead of `S`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a spec, `S` and four to sixteen upper-case hex digits; or that of a lander, with `L` instead of `S`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpecId(String);

/// The error for a text that is not a spec's id; it contains the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSpecId(String);

impl SpecId {
    /// Makes an id from the lowest `digits` hex digits of `random`. The queue requests four digits, and more
    /// if it finds that ids with four digits are already in use.
    pub fn from_random(random: u64, digits: usize) -> SpecId {
        let digits = digits.clamp(4, 16);
        let mask = if digits == 16 { u64::MAX } else { (1 << (4 * digits)) - 1 };
        SpecId(format!("S{:0digits$X}", random & mask))
    }

    /// Makes the id of a lander like [`SpecId::from_random`].
    pub(crate) fn lander_from_random(random: u64, digits: usize) -> SpecId {
        let SpecId(text) = SpecId::from_random(random, digits);
        SpecId(format!("L{}", &text[1..]))
    }

    /// Returns whether this is the id of a lander.
    pub(crate) fn is_lander(&self) -> bool {
        self.0.starts_with('L')
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the branch with this spec's result: `boi/<SPEC>`.
    pub fn branch(&self) -> String {
        format!("boi/{}", self.0)
    }
}

impl FromStr for SpecId {
    type Err = InvalidSpecId;

    fn from_str(text: &str) -> Result<SpecId, InvalidSpecId> {
        let upper = text.trim().to_ascii_uppercase();
        let digits = upper.strip_prefix(['S', 'L']).unwrap_or("");
        if (4..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(SpecId(upper))
        } else {
            Err(InvalidSpecId(text.to_owned()))
        }
    }
}

impl TryFrom<String> for SpecId {
    type Error = InvalidSpecId;

    fn try_from(text: String) -> Result<SpecId, InvalidSpecId> {
        text.parse()
    }
}

impl From<SpecId> for String {
    fn from(id: SpecId) -> String {
        id.0
    }
}

impl fmt::Display for SpecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for InvalidSpecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a spec's id: an id is `S` and four to sixteen hex digits, as in SD979", self.0)
    }
}

impl std::error::Error for InvalidSpecId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_padded_masked_and_parse_back() {
        assert_eq!(SpecId::from_random(0xABCD_0012, 4).as_str(), "S0012");
        assert_eq!(SpecId::from_random(0xABCD_0012, 5).as_str(), "SD0012");
        assert_eq!(SpecId::from_random(u64::MAX, 99).as_str(), "SFFFFFFFFFFFFFFFF");
        assert_eq!("sd979".parse::<SpecId>().unwrap().branch(), "boi/SD979");
        for bad in ["", "S", "S12", "D979", "SXYZW", "S0123456789ABCDEF0", "../SD979"] {
            let refused = bad.parse::<SpecId>().unwrap_err().to_string();
            let words = "is not a spec's id: an id is `S` and four to sixteen hex digits, as in SD979";
            assert_eq!(refused, format!("`{bad}` {words}"));
        }
    }
}
