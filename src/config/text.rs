//! What people read of the key table: `config.example.toml` and the table in the documentation.

use std::fmt::Write;

use super::keys::{KEYS, Key};

const HEAD: &str = "\
# The configuration of boi: ~/.boi/config.toml, or $BOI_HOME/config.toml.
#
# Every key is here with its default. To change one, remove the `#` in front of it and save: the
# daemon takes the file over, or keeps what it has and says what is wrong (`boi config check`,
# `boi status`). Each key says when a change of it takes effect; `restart` means
# the next start of the daemon, which leaves running workers alone.
";

/// The text of `config.example.toml`: every key with its documentation, commented out at its default.
pub fn example() -> String {
    let mut text = HEAD.to_owned();
    for key in KEYS {
        text.push('\n');
        for line in key.docs {
            text += &format!("# {line}\n");
        }
        text += &format!("# {}\n#{} = {}\n", facts(key), key.name, key.default());
    }
    text
}

/// The key table for the documentation, in Markdown.
pub fn markdown() -> String {
    let mut text =
        "| key | default | range | takes effect | what it is for |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for key in KEYS {
        let range = match (key.range(), key.unit) {
            (Some(range), Some(unit)) => format!("{range} {unit}"),
            (range, _) => range.unwrap_or_default(),
        };
        let docs = key.docs.join(" ").replace('|', "\\|");
        writeln!(text, "| `{}` | `{}` | {range} | {} | {docs} |", key.name, key.default(), key.takes_effect)
            .expect("writing to a string cannot fail");
    }
    text
}

fn facts(key: &Key) -> String {
    let range = key.range().map(|range| match key.unit {
        Some(unit) => format!("Range: {range} {unit}. "),
        None => format!("Range: {range}. "),
    });
    format!("{}Takes effect: {}.", range.unwrap_or_default(), key.takes_effect)
}
