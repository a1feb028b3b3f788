//! Checks a tracing filter directive for mistakes that the parser of `tracing` accepts: that parser reads a
//! misspelled level as the name of a target, and then nothing is logged. That parser still has to accept the
//! directive.

use crate::document::{closest, quoted};

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Checks a filter. `Err`: a message and a hint.
pub(super) fn check(filter: &str) -> Result<(), (String, String)> {
    for directive in split(filter) {
        let directive = directive.trim();
        if directive.is_empty() {
            return Err((
                "one part of the filter is empty".to_owned(),
                "write exactly one comma between two parts".to_owned(),
            ));
        }
        let (target, level) = match directive.rsplit_once('=') {
            // The `=` in `[span{field=value}]` belongs to the span. No level follows it.
            Some((target, level)) if !level.contains(']') => (target.trim(), level.trim()),
            _ if is_level(directive) => continue,
            _ => return Err(unknown_level(directive)),
        };
        if !is_level(level) {
            return Err(unknown_level(level));
        }
        if !is_target(target) {
            let message = format!("{} is not the name of a part of the program", quoted(target));
            return Err((message, "write a module and its level, as in \"info,boi::daemon=debug\"".to_owned()));
        }
    }
    Ok(())
}

fn is_level(text: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(text))
}

fn is_target(target: &str) -> bool {
    let (module, span) = target.find('[').map_or((target, ""), |at| target.split_at(at));
    let sound_module = module.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':' | '.'));
    let sound_span = span.is_empty() || (span.ends_with(']') && !span.chars().any(char::is_control));
    !target.is_empty() && sound_module && sound_span
}

fn unknown_level(text: &str) -> (String, String) {
    let hint = match closest(text, LEVELS.iter().copied()) {
        Some(level) => format!("did you mean \"{level}\"?"),
        None => {
            "the levels are off, error, warn, info, debug and trace; for one module, write \"MODULE=LEVEL\"".to_owned()
        }
    };
    (format!("{} is not a level", quoted(text)), hint)
}

/// Splits a filter at the commas that are not inside brackets.
fn split(filter: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in filter.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&filter[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&filter[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_tracing_understands_are_accepted() {
        for good in [
            "info",
            "OFF",
            "off",
            "error",
            "debug",
            "trace",
            "info,boi::daemon=debug",
            "warn, hyper=off",
            " info ",
            "boi[tick{n=1,m=2}]=trace",
            "[tick]=debug",
            "my-crate.x_1=warn",
            "boi = debug",
            "x[{a=1}]=info,warn",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn filters_that_would_log_nothing_are_refused_with_a_hint() {
        for (bad, message, hint) in [
            ("", "one part of the filter is empty", "one comma"),
            ("info,,warn", "one part of the filter is empty", "one comma"),
            ("info,", "one part of the filter is empty", "one comma"),
            ("inof", "`inof` is not a level", "did you mean \"info\"?"),
            ("boi", "`boi` is not a level", "the levels are"),
            ("boi=loud", "`loud` is not a level", "the levels are"),
            ("info=", "`` is not a level", "the levels are"),
            ("boi[a]=x]", "`boi[a]=x]` is not a level", "the levels are"),
            ("a b=info", "`a b` is not the name of a part", "boi::daemon=debug"),
            ("=info", "`` is not the name of a part", "boi::daemon=debug"),
            ("boi[x=info", "`boi[x` is not the name of a part", "boi::daemon=debug"),
            ("a]]=info", "`a]]` is not the name of a part", "boi::daemon=debug"),
            ("boi[x\u{7}]=info", "is not the name of a part", "boi::daemon=debug"),
        ] {
            let (found, hinted) = check(bad).expect_err(bad);
            assert!(found.contains(message) && hinted.contains(hint), "{bad:?}: {found} ({hinted})");
        }
    }
}
