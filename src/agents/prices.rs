//! Estimates the cost of an agent's run from its tokens, for agents that report no cost.
//!
//! The user's prices come first. Each is for all models whose name begins with the name in the configuration;
//! if several match, the longest one applies. If none matches, the built-in table applies. The table is for
//! exact models: a newer model whose name begins with that of an older one has no built-in price, because a
//! wrong cost would be worse than an unknown one.

use std::collections::BTreeMap;

use crate::domain::money::{Price, Usd};
use crate::domain::outcome::Usage;

/// Prices in US dollars for a million tokens: input, input from the prompt cache, output. As of October 2026,
/// from the vendors' pages:
///
/// - Anthropic: <https://platform.claude.com/docs/en/about-claude/pricing>
/// - OpenAI: <https://developers.openai.com/api/docs/pricing>
/// - Google: <https://ai.google.dev/gemini-api/docs/pricing>
///
/// These are the standard prices for short prompts, without surcharges (long prompts, writes to the prompt
/// cache, fast modes) and without discounts (batches, promotions). If a vendor has no price for a model's
/// cached input, the table has the price of input there.
const BUILT_IN: [(&str, f64, f64, f64); 51] = [
    ("claude-fable-5-1", 10.0, 0.25, 50.0),
    ("claude-fable-5", 10.0, 1.0, 50.0),
    ("claude-mythos-5-1", 10.0, 0.25, 50.0),
    ("claude-mythos-5", 10.0, 1.0, 50.0),
    ("claude-opus-5-5", 4.0, 0.2, 20.0),
    ("claude-opus-5", 5.0, 0.5, 25.0),
    ("claude-opus-4-8", 5.0, 0.5, 25.0),
    ("claude-opus-4-7", 5.0, 0.5, 25.0),
    ("claude-opus-4-6", 5.0, 0.5, 25.0),
    ("claude-opus-4-5", 5.0, 0.5, 25.0),
    ("claude-opus-4-1", 15.0, 1.5, 75.0),
    ("claude-opus-4-0", 15.0, 1.5, 75.0),
    ("claude-opus-4", 15.0, 1.5, 75.0),
    ("claude-sonnet-5-5", 2.0, 0.1, 10.0),
    ("claude-sonnet-5", 2.0, 0.2, 10.0),
    ("claude-sonnet-4-6", 3.0, 0.3, 15.0),
    ("claude-sonnet-4-5", 3.0, 0.3, 15.0),
    ("claude-sonnet-4-0", 3.0, 0.3, 15.0),
    ("claude-sonnet-4", 3.0, 0.3, 15.0),
    ("claude-haiku-4-5", 1.0, 0.1, 5.0),
    ("claude-3-7-sonnet", 3.0, 0.3, 15.0),
    ("claude-3-5-sonnet", 3.0, 0.3, 15.0),
    ("claude-3-5-haiku", 0.8, 0.08, 4.0),
    ("gpt-5.6-sol", 5.0, 0.5, 30.0),
    ("gpt-5.6-terra", 2.0, 0.2, 12.0),
    ("gpt-5.6-luna", 0.2, 0.02, 1.2),
    ("gpt-5.5", 5.0, 0.5, 30.0),
    ("gpt-5.5-pro", 30.0, 30.0, 180.0),
    ("gpt-5.4", 2.5, 0.25, 15.0),
    ("gpt-5.4-mini", 0.75, 0.075, 4.5),
    ("gpt-5.4-nano", 0.2, 0.02, 1.25),
    ("gpt-5.3-codex", 1.75, 0.175, 14.0),
    ("gpt-5.2", 1.75, 0.175, 14.0),
    ("gpt-5.2-codex", 1.75, 0.175, 14.0),
    ("gpt-5.1", 1.25, 0.125, 10.0),
    ("gpt-5.1-codex", 1.25, 0.125, 10.0),
    ("gpt-5.1-codex-max", 1.25, 0.125, 10.0),
    ("gpt-5.1-codex-mini", 0.25, 0.025, 2.0),
    ("gpt-5", 1.25, 0.125, 10.0),
    ("gpt-5-codex", 1.25, 0.125, 10.0),
    ("gpt-5-mini", 0.25, 0.025, 2.0),
    ("gpt-5-nano", 0.05, 0.005, 0.4),
    ("gpt-4.1", 2.0, 0.5, 8.0),
    ("gpt-4.1-mini", 0.4, 0.1, 1.6),
    ("o3", 2.0, 0.5, 8.0),
    ("o4-mini", 1.1, 0.275, 4.4),
    ("gemini-3.5-flash", 1.5, 0.15, 9.0),
    ("gemini-3.1-pro", 2.0, 0.2, 12.0),
    ("gemini-2.5-pro", 1.25, 0.125, 10.0),
    ("gemini-2.5-flash", 0.3, 0.03, 2.5),
    ("gemini-2.5-flash-lite", 0.1, 0.01, 0.4),
];

/// The prefixes that some agents put before the name of a model to name its vendor, as in `openai/gpt-5`.
const VENDORS: [&str; 3] = ["anthropic/", "openai/", "google/"];

/// Returns the estimated cost of a run on `model`. `prices` are the user's prices. Returns `None` if no price
/// is known for the model, or if the run reported no tokens.
pub(crate) fn estimate(usage: &Usage, model: &str, prices: &BTreeMap<String, Price>) -> Option<Usd> {
    if usage.input_tokens == 0 && usage.output_tokens == 0 {
        return None;
    }
    let price = price_of(model, prices)?;
    let cached = usage.cached_tokens.min(usage.input_tokens);
    let read = usage.input_tokens - cached;
    Some(Usd::of_tokens([(price.input, read), (price.cached, cached), (price.output, usage.output_tokens)]))
}

/// Returns the price of a model's tokens; `None`: no price is known.
pub(crate) fn price_of(model: &str, prices: &BTreeMap<String, Price>) -> Option<Price> {
    let own = prices.iter().filter(|(name, _)| model.starts_with(name.as_str()));
    own.max_by_key(|(name, _)| name.len()).map(|(_, price)| *price).or_else(|| built_in(model))
}

fn built_in(model: &str) -> Option<Price> {
    let model = VENDORS.iter().find_map(|vendor| model.strip_prefix(vendor)).unwrap_or(model);
    let is_of = |name: &str| model.strip_prefix(name).is_some_and(is_version);
    let (_, input, cached, output) =
        BUILT_IN.iter().filter(|(name, ..)| is_of(name)).max_by_key(|(name, ..)| name.len())?;
    Some(Price {
        input: Usd::from_dollars(*input)?,
        cached: Usd::from_dollars(*cached)?,
        output: Usd::from_dollars(*output)?,
    })
}

/// Returns whether `rest`, the text after a known model's name, only selects a version of the same model. It
/// may be empty, a date, `-latest`, `-preview`, or a mode in brackets, such as `[1m]`.
fn is_version(rest: &str) -> bool {
    let rest = rest.split_once('[').map_or(rest, |(before, _)| before);
    let is_date = |date: &str| {
        let digits = date.bytes().filter(u8::is_ascii_digit).count();
        digits >= 4 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    match rest.strip_prefix(['-', '@']) {
        None => rest.is_empty(),
        Some("latest" | "preview") => true,
        Some(rest) => is_date(rest.strip_prefix("preview-").unwrap_or(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(dollars: f64) -> Usd {
        Usd::from_dollars(dollars).unwrap()
    }

    fn usage(input_tokens: u64, cached_tokens: u64, output_tokens: u64) -> Usage {
        Usage { input_tokens, cached_tokens, output_tokens, ..Usage::default() }
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let run = usage(1_000_000, 400_000, 100_000);
        assert_eq!(estimate(&run, "claude-sonnet-4-6", &BTreeMap::new()), Some(usd(1.8 + 0.12 + 1.5)));
        assert_eq!(estimate(&run, "gpt-5-codex", &BTreeMap::new()), Some(usd(0.75 + 0.05 + 1.0)));
        assert_eq!(
            estimate(&usage(0, 0, 0), "gpt-5", &BTreeMap::new()),
            None,
            "a run without tokens has no known cost"
        );
        assert_eq!(
            estimate(&usage(10, 99, 0), "gpt-5", &BTreeMap::new()),
            Some(usd(0.000_001)),
            "cached tokens are input"
        );
    }

    #[test]
    fn a_built_in_price_is_for_the_versions_of_one_model() {
        let input = |model: &str| price_of(model, &BTreeMap::new()).map(|price| price.input);
        for (model, dollars) in [
            ("claude-opus-4-20250514", 15.0),
            ("claude-opus-4-5-20251101", 5.0),
            ("claude-opus-4-8[1m]", 5.0),
            ("claude-opus-4-1@20250805", 15.0),
            ("claude-3-5-haiku-latest", 0.8),
            ("anthropic/claude-sonnet-5", 2.0),
            ("gpt-5-2025-08-07", 1.25),
            ("openai/gpt-5.1-codex-max", 1.25),
            ("gpt-5.4-mini", 0.75),
            ("gemini-3.1-pro-preview", 2.0),
            ("gemini-2.5-flash-lite-preview-06-17", 0.1),
        ] {
            assert_eq!(input(model), Some(usd(dollars)), "{model}");
        }
        for unknown in [
            "claude-opus-4-9",
            "claude-opus-6",
            "gpt-5.7",
            "gpt-5-pro",
            "gpt-5.5-nano",
            "o3-pro",
            "gemini-2.5-flash-image",
            "sonnet",
            "ollama/gpt-5",
            "",
        ] {
            assert_eq!(input(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_users_longest_matching_name_comes_first() {
        let price = |dollars| Price { input: usd(dollars), cached: usd(0.0), output: usd(0.0) };
        let prices = [("gpt", price(1.0)), ("gpt-5-pro", price(2.0)), ("o", price(3.0))];
        let prices = prices.map(|(name, price)| (name.to_owned(), price)).into();
        let input = |model: &str| price_of(model, &prices).map(|price| price.input);
        assert_eq!(
            ["gpt-5", "gpt-5-pro-2027", "o3", "claude-opus-5", "mine"].map(input),
            [Some(usd(1.0)), Some(usd(2.0)), Some(usd(3.0)), Some(usd(5.0)), None]
        );
    }

    #[test]
    fn every_built_in_name_is_its_own_model_with_a_price() {
        for (name, input, cached, output) in BUILT_IN {
            let price = built_in(name).expect(name);
            assert_eq!((price.input, price.cached, price.output), (usd(input), usd(cached), usd(output)), "{name}");
            assert!(cached <= input && input < output, "{name}");
        }
    }
}
