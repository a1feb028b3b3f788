//! Text that programs print, made fit for a terminal, a log line or a prompt.
//!
//! Invariant: what these functions return holds no escape sequence, no control character but newline and tab, and
//! nothing that reorders a line on the screen.

/// `text` without terminal escape sequences, control characters (newline and tab stay) and direction overrides. A
/// carriage return ends a line. An escape sequence that is never closed ends with its line.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\x1b' => match chars.peek().copied() {
                Some('[') => {
                    chars.next();
                    skip_control_sequence(&mut chars);
                }
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    chars.next();
                    skip_control_string(&mut chars);
                }
                Some(next) if (' '..='~').contains(&next) => {
                    chars.next();
                    // Intermediate bytes, as in `ESC ( B`, come before one that ends the sequence.
                    let mut last = next;
                    while (' '..='/').contains(&last) {
                        match chars.next_if(|c| (' '..='~').contains(c)) {
                            Some(c) => last = c,
                            None => break,
                        }
                    }
                }
                _ => {}
            },
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_control_string(&mut chars),
            c if c.is_control() || reorders(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// The end of what was printed, at most `max` bytes of it, as plain text: bytes that are not UTF-8 become U+FFFD, a
/// character is never cut in two.
pub fn tail(bytes: &[u8], max: usize) -> String {
    // Escape sequences take room of their own, so more is read than is kept.
    let from = bytes.len().saturating_sub(max.saturating_mul(4));
    let mut window = &bytes[from..];
    if from > 0 {
        let rest_of_a_character = window.iter().take(3).take_while(|b| *b & 0xC0 == 0x80).count();
        window = &window[rest_of_a_character..];
    }
    last_bytes(&plain(&String::from_utf8_lossy(window)), max).to_owned()
}

/// The longest end of `text` that has at most `max` bytes.
pub fn last_bytes(text: &str, max: usize) -> &str {
    let mut from = text.len().saturating_sub(max);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// `text` as one plain line of at most `max` characters; runs of white space become one space, a cut shows as `…`.
pub fn one_line(text: &str, max: usize) -> String {
    // Bounds the work on a text of megabytes before it is cleaned.
    let mut window = text.len().min(max.saturating_mul(16));
    while !text.is_char_boundary(window) {
        window -= 1;
    }
    let plain = plain(&text[..window]);
    let mut line = String::new();
    for word in plain.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let cut = line.char_indices().nth(max).map(|(at, _)| at);
    if let Some(at) = cut {
        line.truncate(at);
    }
    if cut.is_some() || window < text.len() {
        line.push('…');
    }
    line
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_control_sequence(chars: &mut Chars<'_>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

fn skip_control_string(chars: &mut Chars<'_>) {
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        match c {
            '\x07' | '\u{9c}' => return,
            '\x1b' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// Characters that make a terminal show text in another order than it is written.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_go_and_text_stays() {
        assert_eq!(plain("\x1b[1;31merror\x1b[0m: no\r\nnext\rover"), "error: no\nnext\nover");
        assert_eq!(plain("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"), "alink");
        assert_eq!(plain("\x1b]never closed\nnext line"), "\nnext line");
        assert_eq!(plain("a\x1b(Bb\u{9b}2Jc\x08\x00\u{202e}d\u{7f}"), "abcd");
    }

    #[test]
    fn the_tail_is_whole_characters() {
        assert_eq!(tail("äöü".as_bytes(), 4), "öü");
        assert_eq!(tail("äöü".as_bytes(), 5), "öü");
        assert_eq!(tail(b"a\xffb", 10), "a\u{fffd}b");
        assert_eq!(tail(b"", 10), "");
        assert_eq!(tail(b"abc", 0), "");
    }

    #[test]
    fn one_line_is_one_line() {
        assert_eq!(one_line("  a\n\tb  c ", 10), "a b c");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line(&"ä".repeat(1000), 2), "ää…");
    }

    proptest! {
        #[test]
        fn any_bytes_become_bounded_plain_text(bytes: Vec<u8>, max in 0usize..64) {
            let text = tail(&bytes, max);
            prop_assert!(text.len() <= max);
            prop_assert!(text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }

        #[test]
        fn plain_text_is_left_alone(text in "[ -~äöü\n\t]*") {
            prop_assert_eq!(plain(&text), text);
        }
    }
}
