//! Whether a text is plausible as a tracing filter directive. The host's subscriber has the last word; this finds what it
//! would take without a complaint and then log nothing: a level with a typo is a target to it.

use crate::document::{closest, quoted};

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// `Err`: what is wrong, and a hint.
pub(super) fn check(filter: &str) -> Result<(), (String, String)> {
    for directive in split(filter) {
        let directive = directive.trim();
        if directive.is_empty() {
            return Err(("a part of it is empty".to_owned(), "parts are separated by one comma".to_owned()));
        }
        let (target, level) = match directive.rsplit_once('=') {
            // The `=` of a field in `[span{field=value}]` is not the one in front of a level.
            Some((target, level)) if !level.contains(']') => (target.trim(), level.trim()),
            _ if is_level(directive) => continue,
            _ => return Err(unknown_level(directive)),
        };
        if !is_level(level) {
            return Err(unknown_level(level));
        }
        if !is_target(target) {
            let message = format!("{} cannot name a part of the program", quoted(target));
            return Err((message, "as in \"info,boi::daemon=debug\"".to_owned()));
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
        None => "levels are off, error, warn, info, debug and trace; a part gets one by \"part=level\"".to_owned(),
    };
    (format!("{} is not a level", quoted(text)), hint)
}

/// The parts between the commas that are not inside of brackets.
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
    fn what_tracing_takes_is_taken() {
        for good in
            ["info", "OFF", "info,boi::daemon=debug", "warn, hyper=off", "boi[tick{n=1,m=2}]=trace", "[tick]=debug"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_would_silently_log_nothing_is_refused() {
        for bad in
            ["", "inof", "boi", "info,,warn", "boi=loud", "a b=info", "=info", "boi[x=info", "info=", "boi[a]=x]"]
        {
            assert!(check(bad).is_err(), "{bad:?} was taken");
        }
        assert_eq!(check("inof").unwrap_err().1, "did you mean \"info\"?");
    }
}
