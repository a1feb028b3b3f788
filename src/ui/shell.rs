//! Quotes the arguments of commands that boi prints for the user to copy into a shell.

use std::borrow::Cow;

/// Returns `word`, quoted if a shell needs quotes.
pub(crate) fn quote(word: &str) -> Cow<'_, str> {
    // Quoting fails only for a NUL byte, which no path contains.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_splits_quoted_words_back_into_the_same_words() {
        assert_eq!(quote("/a/b-c"), "/a/b-c");
        let words = ["/it's here", "/a b/$HOME", "/`x`", "/\"quoted\"", ""];
        let line = words.map(quote).join(" ");
        assert_eq!(shlex::split(&line).expect("a valid line"), words);
    }
}
