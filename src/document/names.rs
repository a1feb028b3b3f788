//! Quotes names for messages, and finds a suggestion for a misspelled name.

/// The maximum length of a quotation, in characters.
const MAX_QUOTED: usize = 60;

/// The maximum length of a name, in bytes, for which [`closest`] compares names. The time of a comparison
/// grows with the square of the length, and a longer name resembles no known name.
const MAX_COMPARED: usize = 128;

/// Quotes the first [`MAX_QUOTED`] characters of `text` for a message: in backticks, with control characters
/// escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_QUOTED).flat_map(escaped).collect();
    if text.chars().nth(MAX_QUOTED).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

/// Returns the name in `known` for which `name` is probably a misspelling: at most about a third of the
/// characters differ.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_COMPARED {
        return None;
    }
    let normal = |text: &str| text.replace('-', "_").to_ascii_lowercase();
    let name = normal(name);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &normal(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(name.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let is_hidden = c.is_control()
        || (c.is_whitespace() && !c.is_ascii())
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}');
    let escaped = is_hidden.then(|| c.escape_default());
    let plain = (!is_hidden).then_some(c);
    escaped.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_name_gets_the_closest_known_one() {
        let known = ["max_workers", "log", "retry_count"];
        for (name, meant) in [
            ("max_worker", Some("max_workers")),
            ("max-workers", Some("max_workers")),
            ("MAX_WORKERS", Some("max_workers")),
            ("mxa_wrkres", Some("max_workers")),
            ("lgo", Some("log")),
            ("lo", Some("log")),
            ("la", None),
            ("retrycount", Some("retry_count")),
            ("retrycou", Some("retry_count")),
            ("retryco", None),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(closest(name, known), meant, "{name}");
        }
        assert_eq!(closest("ab", ["ac", "ab"]), Some("ab"), "the closest, not the first");
        assert_eq!(closest("ac", ["ab"]), Some("ab"), "one mistake is always allowed");
    }

    #[test]
    fn a_suggestion_is_looked_for_up_to_the_longest_name() {
        let long = "x".repeat(MAX_COMPARED);
        let longer = format!("{long}x");
        assert_eq!(closest(&long, [long.as_str()]), Some(long.as_str()));
        assert_eq!(closest(&longer, [longer.as_str()]), None);
    }

    #[test]
    fn a_quotation_is_cut_and_has_no_control_characters() {
        assert_eq!(quoted("a\u{1b}[31m\n"), "`a\\u{1b}[31m\\n`");
        assert_eq!(quoted("a\u{a0}b\u{feff} c"), "`a\\u{a0}b\\u{feff} c`", "what no editor shows is shown");
        let long = "é".repeat(MAX_QUOTED);
        assert_eq!(quoted(&long), format!("`{long}`"));
        assert_eq!(quoted(&format!("{long}é")), format!("`{long}...`"));
    }
}
