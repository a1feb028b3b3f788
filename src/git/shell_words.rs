//! Quotes arguments of the commands that boi prints for a repository. Names of refs and paths need not be UTF-8.

use std::fmt::Write;

/// Quotes `word` for a shell. A word that is not UTF-8, or not one plain line, becomes a call of `printf`, so that the
/// printed command is one plain line of UTF-8.
pub(super) fn quote(word: &[u8]) -> String {
    let is_plain = |text: &&str| !text.contains("  ") && !text.chars().any(char::is_control);
    match str::from_utf8(word).ok().filter(is_plain) {
        Some(text) => shlex::try_quote(text).map_or_else(|_| octal(word), |quoted| quoted.into_owned()),
        None => octal(word),
    }
}

fn octal(word: &[u8]) -> String {
    let mut text = String::from("\"$(printf '");
    for byte in word {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "\\{byte:03o}");
        }
    }
    text + "')\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_utf8_is_printed_by_the_shell() {
        assert_eq!(quote(b"refs/heads/x"), "refs/heads/x");
        assert_eq!(quote(b"it's"), "\"it's\"");
        assert_eq!(quote(b"refs/heads/\xff x"), r#""$(printf 'refs/heads/\377\040x')""#);
    }
}
