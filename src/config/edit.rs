//! A change of one key in the text of a `config.toml` that keeps everything else: comments, order, layout. Pure.

use toml_edit::{DocumentMut, Item, Table, value};

use super::keys::{Key, Kind};

/// Why a key could not be set in a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not TOML.
    #[error("it is not valid TOML")]
    Syntax,
    /// The value is not TOML, and the key takes no plain text.
    #[error("`{raw}` is not a value for `{key}`: {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was given.
        raw: String,
        /// What would do.
        wanted: String,
    },
    /// The key's table is something else in this text.
    #[error("`{table}` is not a table there")]
    NotATable {
        /// Its name.
        table: &'static str,
    },
}

/// `text` with `key` set to `raw`: a value as TOML writes it, or plain text for a key that takes text. Whether the value
/// is valid is the validator's to say.
pub fn set(text: &str, key: &Key, raw: &str) -> Result<String, EditError> {
    let (mark, body) = match text.strip_prefix('\u{FEFF}') {
        Some(body) => ("\u{FEFF}", body),
        None => ("", text),
    };
    let edited = edit(body, key, raw)?;
    // The editor of TOML writes every line's end as `\n`.
    let windows = body.contains("\r\n") && !body.replace("\r\n", "").contains('\n');
    Ok(format!("{mark}{}", if windows { edited.replace('\n', "\r\n") } else { edited }))
}

fn edit(text: &str, key: &Key, raw: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|_| EditError::Syntax)?;
    let new = parse(key, raw)?;
    let (table, leaf) = match key.name.split_once('.') {
        None => (document.as_table_mut(), key.name),
        Some((name, leaf)) => {
            let item = document.entry(name).or_insert_with(|| Item::Table(Table::new()));
            let table = item.as_table_like_mut().ok_or(EditError::NotATable { table: name })?;
            put(table, leaf, new);
            return Ok(document.to_string());
        }
    };
    put(table, leaf, new);
    Ok(document.to_string())
}

/// What stood around the old value (a comment behind it) stays around the new one.
fn put(table: &mut dyn toml_edit::TableLike, leaf: &str, mut new: toml_edit::Value) {
    if let Some(old) = table.get(leaf).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    match table.get_mut(leaf) {
        Some(item) => *item = value(new),
        None => drop(table.insert(leaf, value(new))),
    }
}

fn parse(key: &Key, raw: &str) -> Result<toml_edit::Value, EditError> {
    let parsed = raw.trim().parse::<toml_edit::Value>();
    let takes_text = matches!(key.kind, Kind::Program | Kind::LogFilter | Kind::Path);
    match parsed {
        Ok(parsed) if !takes_text || parsed.is_str() => Ok(parsed),
        _ if takes_text => Ok(raw.into()),
        _ => {
            let wanted = match &key.kind {
                Kind::Number(_) => format!("a number, {}", key.range().unwrap_or_default()),
                Kind::Span(_) => "two numbers, as in '[50, 150]'".to_owned(),
                Kind::Switch => "true or false".to_owned(),
                Kind::Texts => r#"a list of texts, as in '["--model", "opus"]'"#.to_owned(),
                Kind::Program | Kind::LogFilter | Kind::Path => "a text".to_owned(),
            };
            Err(EditError::Value { key: key.name, raw: raw.to_owned(), wanted })
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
    fn comments_order_and_layout_stay() {
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
    fn text_needs_no_quotes_and_other_kinds_are_taken_as_toml() {
        assert_eq!(edited("", "claude_bin", "/opt/claude"), "claude_bin = \"/opt/claude\"\n");
        assert_eq!(edited("", "claude_bin", "\"a b\""), "claude_bin = \"a b\"\n");
        assert_eq!(edited("", "log", "info,boi=debug"), "log = \"info,boi=debug\"\n");
        assert_eq!(edited("", "spawn_jitter_ms", "[0, 0]"), "spawn_jitter_ms = [0, 0]\n");
        assert_eq!(edited("", "claude_args", "['-x']"), "claude_args = ['-x']\n");
        assert_eq!(edited("", "paths.db", "x"), "[paths]\ndb = \"x\"\n");
        let refused = set("", find("max_workers").unwrap(), "many").unwrap_err().to_string();
        assert_eq!(refused, "`many` is not a value for `max_workers`: a number, 0 to 1024");
        assert_eq!(set("a = ", find("log").unwrap(), "info"), Err(EditError::Syntax));
    }

    #[test]
    fn windows_line_ends_and_a_byte_order_mark_stay() {
        let text = edited("\u{FEFF}max_workers = 3\r\nlog = \"info\"\r\n", "max_workers", "4");
        assert_eq!(text, "\u{FEFF}max_workers = 4\r\nlog = \"info\"\r\n");
    }
}
