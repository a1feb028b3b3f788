//! Writes the key table as documentation: `config.example.toml`, and the table in `docs/configuration.md`.

use std::fmt::Write;

use super::keys::{KEYS, NAME, ROWS, Row};

const HEAD: &str = "\
# The configuration of boi: ~/.boi/config.toml, or $BOI_HOME/config.toml.
#
# This file lists every key with its default. To change one, remove the `#` in front of it and
# save. The daemon puts a valid file in force at once. It rejects an invalid one as a whole and
# keeps the old configuration; `boi config check` and `boi status` show the errors.
#
# Each key says when a change takes effect. `restart` means the next start of the daemon; a restart
# does not stop running workers.
";

/// Returns the text of `config.example.toml`: every key with its documentation and, as a comment, its
/// default.
pub(super) fn example() -> String {
    let mut text = HEAD.to_owned();
    for key in KEYS.iter() {
        let row = key.row;
        text.push('\n');
        for line in key.docs() {
            text += &format!("# {line}\n");
        }
        let range = row.range().map(|range| format!("Range: {range}. ")).unwrap_or_default();
        text += &format!("# {range}Takes effect: {}.\n", row.takes_effect);
        text += &format!("#{} = {}\n", key.name, key.default());
    }
    text
}

/// Returns the key table in Markdown, one line for each row. A row with `NAME` in its name is one line too.
pub(super) fn markdown() -> String {
    let mut text = "| key | default | range | takes effect | meaning |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for row in ROWS {
        let docs = row.docs.join(" ").replace('|', "\\|");
        let (default, range) = (default(row), row.range().unwrap_or_default());
        writeln!(text, "| `{}` | {default} | {range} | {} | {docs} |", row.name, row.takes_effect)
            .expect("writing to a string cannot fail");
    }
    text
}

/// Returns the default of the row's key. If the row describes several keys with different defaults, returns
/// all of them.
fn default(row: &'static Row) -> String {
    let mut defaults: Vec<String> = row.keys().map(|key| format!("`{}`", key.default())).collect();
    defaults.dedup();
    debug_assert!(defaults.len() == 1 || row.name.contains(NAME));
    defaults.join(", ")
}
