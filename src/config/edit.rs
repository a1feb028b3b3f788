//! Changes one key in the text of a `config.toml` and keeps everything else: comments, order, layout.

use toml_edit::{DocumentMut, Item, Table, TableLike, value};

use super::keys::{Key, Kind};

/// Why a key cannot be set in the text of a `config.toml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    /// The text is not TOML.
    #[error("the text is not valid TOML")]
    Syntax,
    /// The value is not TOML, and the key does not take plain text.
    #[error("`{raw}` is not a value for `{key}`: write {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value that was given.
        raw: String,
        /// The values that the key takes.
        wanted: String,
    },
    /// The text sets a part of the key's name to a value that is not a table.
    #[error("`{table}` has a value in this file, but must be a table")]
    NotATable {
        /// The table's name.
        table: String,
    },
}

/// Returns `text` with `key` set to `raw`, which is a TOML value, or plain text for a key that takes text. The validator
/// decides whether the value is valid.
pub(crate) fn set(text: &str, key: &'static Key, raw: &str) -> Result<String, EditError> {
    let (mark, body) = match text.strip_prefix('\u{FEFF}') {
        Some(body) => ("\u{FEFF}", body),
        None => ("", text),
    };
    let edited = edit(body, key, raw)?;
    // `toml_edit` writes every line end as `\n`, also if the text had `\r\n`.
    let windows = body.contains("\r\n") && !body.replace("\r\n", "").contains('\n');
    Ok(format!("{mark}{}", if windows { edited.replace('\n', "\r\n") } else { edited }))
}

fn edit(text: &str, key: &'static Key, raw: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|_| EditError::Syntax)?;
    let new = parse(key, raw)?;
    let (tables, leaf) = key.name.rsplit_once('.').unwrap_or(("", &key.name));
    let mut table: &mut dyn TableLike = document.as_table_mut();
    let mut path = String::new();
    for name in tables.split('.').filter(|name| !name.is_empty()) {
        path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let item = table.entry(name).or_insert_with(|| {
            let mut table = Table::new();
            // Only the innermost new table is written with a header line, such as `[agents.claude]`.
            table.set_implicit(path != tables);
            Item::Table(table)
        });
        table = item.as_table_like_mut().ok_or_else(|| EditError::NotATable { table: path.clone() })?;
    }
    put(table, leaf, new);
    Ok(document.to_string())
}

/// Sets the key `leaf` of `table` to `new`. Keeps the text around the old value, such as a comment after it.
fn put(table: &mut dyn TableLike, leaf: &str, mut new: toml_edit::Value) {
    if let Some(old) = table.get(leaf).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    match table.get_mut(leaf) {
        Some(item) => *item = value(new),
        None => drop(table.insert(leaf, value(new))),
    }
}

fn parse(key: &'static Key, raw: &str) -> Result<toml_edit::Value, EditError> {
    let parsed = raw.trim().parse::<toml_edit::Value>();
    let takes_text = matches!(key.kind, Kind::Program | Kind::LogFilter | Kind::Path);
    match parsed {
        Ok(parsed) if !takes_text || parsed.is_str() => Ok(parsed),
        _ if takes_text => Ok(raw.into()),
        _ => {
            let wanted = match key.kind {
                Kind::Number(_) => format!("a number, {}", key.row.range().unwrap_or_default()),
                Kind::Span(_) => "two numbers, as in '[50, 150]'".to_owned(),
                Kind::Switch => "true or false".to_owned(),
                Kind::Texts => r#"a list of texts, as in '["--model", "opus"]'"#.to_owned(),
                Kind::Program | Kind::LogFilter | Kind::Path => "a text".to_owned(),
            };
            Err(EditError::Value { key: &key.name, raw: raw.to_owned(), wanted })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::find;

    fn edited(text: &str, key: &str, raw: &str) -> String {
        set(text, find(key).unwrap(), raw).unwrap()
    }

    #[test]
    fn comments_order_and_layout_are_kept() {
        let text =
            "# mine\nmax_workers   = 3   # not more\n\nlog = 'info'\n\n[paths]\n# fast disk\nworktrees = \"/fast\"\n";
        insta::assert_snapshot!(edited(text, "max_workers", "8"), @r#"
        # mine
        max_workers   = 8   # not more

        log = 'info'

        [paths]
        # fast disk
        worktrees = "/fast"
        "#);
        insta::assert_snapshot!(edited(text, "spawns_per_tick", "2"), @r#"
        # mine
        max_workers   = 3   # not more

        log = 'info'
        spawns_per_tick = 2

        [paths]
        # fast disk
        worktrees = "/fast"
        "#);
        assert_eq!(edited(text, "paths.db", "/q/boi.db"), format!("{text}db = \"/q/boi.db\"\n"));
    }

    #[test]
    fn text_needs_no_quotes_and_other_kinds_are_toml() {
        assert_eq!(edited("", "claude_bin", "/opt/claude"), "claude_bin = \"/opt/claude\"\n");
        assert_eq!(edited("", "claude_bin", "\"a b\""), "claude_bin = \"a b\"\n");
        assert_eq!(edited("", "log", "info,boi=debug"), "log = \"info,boi=debug\"\n");
        assert_eq!(edited("", "spawn_jitter_ms", "[0, 0]"), "spawn_jitter_ms = [0, 0]\n");
        assert_eq!(edited("", "claude_args", "['-x']"), "claude_args = ['-x']\n");
        assert_eq!(edited("", "paths.db", "x"), "[paths]\ndb = \"x\"\n");
        assert_eq!(edited("", "max_workers", " 3 "), "max_workers = 3\n");
        assert_eq!(edited("", "claude_bin", "5"), "claude_bin = \"5\"\n");
        assert_eq!(set("a = ", find("log").unwrap(), "info"), Err(EditError::Syntax));
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused_with_what_the_key_takes() {
        for (key, wanted) in [
            ("max_workers", "a number, 0 to 1024"),
            ("stop_grace_seconds", "a number, 0 to 3600 seconds"),
            ("spawn_jitter_ms", "two numbers, as in '[50, 150]'"),
            ("cleanup_on_failure", "true or false"),
            ("agents.claude.args", r#"a list of texts, as in '["--model", "opus"]'"#),
        ] {
            let refused = set("", find(key).unwrap(), "x y").unwrap_err().to_string();
            assert_eq!(refused, format!("`x y` is not a value for `{key}`: write {wanted}"));
        }
    }

    #[test]
    fn a_key_of_an_agent_goes_into_its_table() {
        let key = "agents.claude.program";
        assert_eq!(edited("", key, "/x"), "[agents.claude]\nprogram = \"/x\"\n");
        assert_eq!(edited("log = 'info'\n", key, "/x"), "log = 'info'\n\n[agents.claude]\nprogram = \"/x\"\n");
        for (before, after) in [
            ("[agents.claude]\nargs = [] # none\n", "[agents.claude]\nargs = [] # none\nprogram = \"/x\"\n"),
            ("[agents.claude]\nprogram = 'y' # mine\n", "[agents.claude]\nprogram = \"/x\" # mine\n"),
            ("agents.claude.args = []\n", "agents.claude.args = []\nagents.claude.program = \"/x\"\n"),
            ("agents = { claude = { args = [] } }\n", "agents = { claude = { args = [] , program = \"/x\" } }\n"),
        ] {
            assert_eq!(edited(before, key, "/x"), after);
        }
        for (text, table) in [("agents = 5\n", "agents"), ("agents.claude = 5\n", "agents.claude")] {
            let refused = set(text, find(key).unwrap(), "/x");
            assert_eq!(refused, Err(EditError::NotATable { table: table.to_owned() }));
        }
    }

    #[test]
    fn windows_line_ends_and_a_byte_order_mark_are_kept() {
        let text = edited("\u{FEFF}max_workers = 3\r\nlog = \"info\"\r\n", "max_workers", "4");
        assert_eq!(text, "\u{FEFF}max_workers = 4\r\nlog = \"info\"\r\n");
        assert_eq!(edited("max_workers = 3\r\nretry_count = 1\n", "max_workers", "4").matches("\r\n").count(), 0);
    }
}
