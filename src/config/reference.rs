//! Writes the key table as documentation: `config.example.toml`, and the table in `docs/configuration.md`.

use std::fmt::Write;

use super::keys::{Key, NAME, ROWS, Row};
use crate::agents::BUILTIN;

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

/// An agent that the file defines itself, as a comment.
const OWN_AGENT: &str = r#"
# An agent of your own, for specs with `agent = "aider"`. A name consists of a-z, 0-9, `_` and `-`.
# To define it, remove the `# ` in front of each line.
# [agents.aider]
# command = ["aider", "--yes-always", "--message-file", "{prompt}"]
# prompt = "file"
# output = "text"
# env = { OPENAI_API_KEY = { from_env = "OPENAI_API_KEY" } }
# max_workers = 2

# A hook: a command for events. To define it, remove the `# ` in front of each line.
# [[hooks]]
# name = "failures"
# on = ["spec.failed", "queue.idle"]
# command = "notify-send \"boi: $BOI_EVENT\""
# timeout_seconds = 30
"#;

/// Returns the text of `config.example.toml`: every key with its documentation and, as a comment, its
/// default.
pub(super) fn example() -> String {
    let mut text = HEAD.to_owned();
    for row in ROWS {
        text.push('\n');
        for line in row.docs {
            text += &format!("# {line}\n");
        }
        let range = row.range().map(|range| format!("Range: {range}. ")).unwrap_or_default();
        text += &format!("# {range}Takes effect: {}.\n", row.takes_effect);
        for key in keys(row) {
            text += &format!("#{} = {}\n", key.name, key.default());
        }
    }
    text + OWN_AGENT
}

/// Returns the keys that a row describes: one key or, if the row's name contains `NAME`, one for each
/// built-in agent.
fn keys(row: &'static Row) -> Vec<Key> {
    let agents = BUILTIN.iter().map(|agent| agent.name);
    let agents: Vec<&str> = if row.name.contains(NAME) { agents.collect() } else { vec![""] };
    agents.into_iter().map(|agent| row.key(agent)).collect()
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
    let mut defaults: Vec<String> = keys(row).iter().map(|key| format!("`{}`", key.default())).collect();
    defaults.dedup();
    debug_assert!(defaults.len() == 1 || row.name.contains(NAME));
    defaults.join(", ")
}
