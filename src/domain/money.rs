//! Amounts of money.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of US dollars, stored as a whole number of millionths. Its serialized form is a number of
/// dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Usd(u64);

impl Usd {
    /// No money.
    pub const ZERO: Usd = Usd(0);

    /// Returns the amount nearest to `dollars`; `None` if `dollars` is negative, not a number or too large.
    pub fn from_dollars(dollars: f64) -> Option<Usd> {
        let micros = (dollars * 1e6).round();
        (0.0..1e18).contains(&micros).then_some(Usd(micros as u64))
    }

    /// Returns the amount in dollars.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Returns the cost of tokens. Each part is the price of a million tokens, and the number of tokens.
    pub fn of_tokens<const N: usize>(parts: [(Usd, u64); N]) -> Usd {
        let sum: u128 = parts.iter().map(|(price, tokens)| u128::from(price.0) * u128::from(*tokens)).sum();
        Usd(u64::try_from((sum + 500_000) / 1_000_000).unwrap_or(u64::MAX))
    }

    /// Returns this amount minus `spent`; 0 if `spent` is larger.
    #[must_use]
    pub fn less(self, spent: Usd) -> Usd {
        Usd(self.0.saturating_sub(spent.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Usd) {
        self.0 = self.0.saturating_add(other.0);
    }
}

/// The prices of a model's tokens, each for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The price of tokens that the model reads, except those from the prompt cache.
    pub input: Usd,
    /// The price of tokens that the model reads from the prompt cache.
    pub cached: Usd,
    /// The price of tokens that the model writes.
    pub output: Usd,
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An amount that is not a whole number of cents is shown with as many places as it needs.
        match self.0 {
            0 => f.write_str("$0"),
            micros if micros.is_multiple_of(10_000) => write!(f, "${:.2}", self.dollars()),
            _ => {
                let text = format!("{:.6}", self.dollars());
                write!(f, "${}", text.trim_end_matches('0'))
            }
        }
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Usd, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Usd::from_dollars(dollars).ok_or_else(|| {
            de::Error::custom(format!(
                "{dollars} is not an amount of US dollars: a number from 0 to below 10^12 is required"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_reads_back_and_no_other_number_is_one() {
        for (dollars, shown) in
            [(0.0, "$0"), (1.5, "$1.50"), (0.25, "$0.25"), (0.000_57, "$0.00057"), (200.0, "$200.00")]
        {
            let amount = Usd::from_dollars(dollars).unwrap();
            assert_eq!(amount.to_string(), shown);
            let text = serde_json::to_string(&amount).unwrap();
            assert_eq!(serde_json::from_str::<Usd>(&text).unwrap(), amount);
        }
        for wrong in [-0.01, f64::NAN, f64::INFINITY, 1e20] {
            assert_eq!(Usd::from_dollars(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_cost_of_tokens_is_rounded_and_bounded() {
        let usd = |dollars| Usd::from_dollars(dollars).unwrap();
        let million = 1_000_000;
        assert_eq!(Usd::of_tokens([(usd(3.0), million), (usd(0.3), million), (usd(15.0), million)]), usd(18.3));
        assert_eq!(Usd::of_tokens([(usd(3.0), 24), (usd(15.0), 18)]), usd(0.000_342));
        assert_eq!(Usd::of_tokens([(usd(0.3), 1)]), Usd::ZERO);
        assert_eq!(Usd::of_tokens([(usd(0.5), 1)]), usd(0.000_001));
        assert_eq!(Usd::of_tokens([(usd(15.0), u64::MAX), (usd(15.0), u64::MAX)]).0, u64::MAX);
    }

    #[test]
    fn what_is_left_is_never_negative() {
        let usd = |dollars| Usd::from_dollars(dollars).unwrap();
        assert_eq!(usd(2.0).less(usd(0.5)), usd(1.5));
        assert_eq!(usd(0.5).less(usd(2.0)), Usd::ZERO);
    }
}
