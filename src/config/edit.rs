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
        key: String,
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

/// Returns `text` with `key` set to `raw`, which is a TOML value, or plain text for a key that takes text.
/// The validator decides whether the value is valid.
pub(crate) fn set(text: &str, key: &Key, raw: &str) -> Result<String, EditError> {
    let (mark, body) = match text.strip_prefix('\u{FEFF}') {
        Some(body) => ("\u{FEFF}", body),
        None => ("", text),
    };
    let edited = edit(body, key, raw)?;
    Ok(format!("{mark}{}", with_line_ends_of(body, &edited)))
}

/// Returns `text` without `key`, under whichever of its names (current or former) the text sets it; `None` if
/// the text does not set it. Everything else stays the same, including comments above the key.
pub(crate) fn unset(text: &str, key: &Key) -> Result<Option<String>, EditError> {
    let (mark, body) = match text.strip_prefix('\u{FEFF}') {
        Some(body) => ("\u{FEFF}", body),
        None => ("", text),
    };
    let mut edited = body.to_owned();
    for name in [key.clone()].into_iter().chain(key.other_names()).map(|key| key.name) {
        edited = without(&edited, &name)?;
    }
    Ok((edited != body).then(|| format!("{mark}{edited}")))
}

/// Returns `text` without the key `name`: without its line or, in an inline table, without its entry.
fn without(text: &str, name: &str) -> Result<String, EditError> {
    let document = toml_edit::Document::parse(text).map_err(|_| EditError::Syntax)?;
    let (tables, leaf) = name.rsplit_once('.').unwrap_or(("", name));
    let mut table: &dyn TableLike = document.as_table();
    for part in tables.split('.').filter(|part| !part.is_empty()) {
        match table.get(part).and_then(Item::as_table_like) {
            Some(inner) => table = inner,
            None => return Ok(text.to_owned()),
        }
    }
    let Some((key, item)) = table.get_key_value(leaf) else { return Ok(text.to_owned()) };
    if item.is_array_of_tables() {
        let mut document: DocumentMut = text.parse().map_err(|_| EditError::Syntax)?;
        document.as_table_mut().remove(leaf);
        return Ok(with_line_ends_of(text, &document.to_string()));
    }
    let (Some(key), Some(value)) = (key.span(), item.span()) else { return Ok(text.to_owned()) };
    let line_start = text[..key.start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[value.end..].find('\n').map_or(text.len(), |at| value.end + at + 1);
    let before = text[line_start..key.start].trim_end_matches([' ', '\t']);
    // The table's name may be in front of the key on the same line, as in `paths.db = ...`.
    if before.is_empty() || tables.ends_with(before.trim().trim_end_matches('.')) && before.ends_with('.') {
        return Ok(format!("{}{}", &text[..line_start], &text[line_end..]));
    }
    let mut document: DocumentMut = text.parse().map_err(|_| EditError::Syntax)?;
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for part in tables.split('.').filter(|part| !part.is_empty()) {
        table = match table.get_mut(part).and_then(Item::as_table_like_mut) {
            Some(inner) => inner,
            None => return Ok(text.to_owned()),
        };
    }
    table.remove(leaf);
    Ok(with_line_ends_of(text, &document.to_string()))
}

/// Gives the lines of `edited` the line ends that they have in `before`, because the editing library writes
/// every line end as `\n`.
fn with_line_ends_of(before: &str, edited: &str) -> String {
    if !before.contains("\r\n") {
        return edited.to_owned();
    }
    let old: Vec<(&str, &str)> = before.split_inclusive('\n').map(split_line).collect();
    let new: Vec<(&str, &str)> = edited.split_inclusive('\n').map(split_line).collect();
    let same = |(a, b): (&(&str, &str), &(&str, &str))| a.0 == b.0;
    let head = old.iter().zip(&new).take_while(|pair| same(*pair)).count();
    let most = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|pair| same(*pair)).count();
    let mut out = String::new();
    for (number, (line, end)) in new.iter().enumerate() {
        let from_old =
            if number >= new.len() - tail { number + old.len() - new.len() } else { number.min(old.len() - 1) };
        let before = old[..=from_old].iter().rev().map(|(_, end)| *end).find(|end| !end.is_empty());
        out.push_str(line);
        out.push_str(if end.is_empty() { "" } else { before.unwrap_or(end) });
    }
    out
}

/// Splits a line into its text and its line end.
fn split_line(line: &str) -> (&str, &str) {
    let text = line.strip_suffix('\n').map_or(line, |text| text.strip_suffix('\r').unwrap_or(text));
    line.split_at(text.len())
}

fn edit(text: &str, key: &Key, raw: &str) -> Result<String, EditError> {
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
    if table.get(leaf).is_some_and(Item::is_array_of_tables) {
        // The key of such a list is decorated as a header.
        table.remove(leaf);
    }
    match table.get_mut(leaf) {
        Some(item) => *item = value(new),
        None => drop(table.insert(leaf, value(new))),
    }
}

fn parse(key: &Key, raw: &str) -> Result<toml_edit::Value, EditError> {
    let parsed = raw.trim().parse::<toml_edit::Value>();
    let takes_text = matches!(key.kind, Kind::Command | Kind::Choice(_) | Kind::Model | Kind::LogFilter | Kind::Path);
    let takes_list = *key.kind == Kind::Command;
    match parsed {
        Ok(parsed) if !takes_text || parsed.is_str() || takes_list && parsed.is_array() => Ok(parsed),
        _ if takes_text => Ok(raw.into()),
        _ => {
            let wanted = match key.kind {
                Kind::Number(_) => format!("a number, {}", key.row.range().unwrap_or_default()),
                Kind::Span(_) => "two numbers, as in '[50, 150]'".to_owned(),
                Kind::Switch => "true or false".to_owned(),
                Kind::Texts => r#"a list of texts, as in '["--model", "opus"]'"#.to_owned(),
                Kind::AgentNames => r#"a list of names of agents, as in '["codex"]'"#.to_owned(),
                Kind::Money(_) => format!("an amount, as in 2.50, {}", key.row.range().unwrap_or_default()),
                Kind::Env => r#"a table, as in '{ TOKEN = { from_env = "MY_TOKEN" } }'"#.to_owned(),
                Kind::Hooks => {
                    "a list of tables, as in '[{ name = \"n\", on = [\"spec.failed\"], command = \"notify-send boi\" }]'".to_owned()
                }
                Kind::Prices => {
                    "a table, as in '{ \"MODEL\" = { input = 1.25, cached = 0.125, output = 10 } }'".to_owned()
                }
                Kind::Command | Kind::Choice(_) | Kind::Model | Kind::LogFilter | Kind::Path => "a text".to_owned(),
            };
            Err(EditError::Value { key: key.name.clone(), raw: raw.to_owned(), wanted })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::find;

    fn edited(text: &str, key: &str, raw: &str) -> String {
        set(text, &find(key).unwrap(), raw).unwrap()
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
        assert_eq!(set("a = ", &find("log").unwrap(), "info"), Err(EditError::Syntax));
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
            let refused = set("", &find(key).unwrap(), "x y").unwrap_err().to_string();
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
            let refused = set(text, &find(key).unwrap(), "/x");
            assert_eq!(refused, Err(EditError::NotATable { table: table.to_owned() }));
        }
    }

    #[test]
    fn hooks_are_set_and_unset_in_either_form() {
        let tables = "max_workers = 3\n\n[[hooks]]\nname = 'a'\n\n[[hooks]]\nname = 'b'\n\n[paths]\nlogs = '/l'\n";
        let key = find("hooks").unwrap();
        assert_eq!(unset(tables, &key).unwrap().as_deref(), Some("max_workers = 3\n\n[paths]\nlogs = '/l'\n"));
        assert_eq!(unset("hooks = []\n", &key).unwrap().as_deref(), Some(""));
        let set = edited(tables, "hooks", "[]");
        assert!(set.starts_with("max_workers = 3\nhooks = []\n") && !set.contains("[[hooks]]"), "{set}");
    }

    #[test]
    fn windows_line_ends_and_a_byte_order_mark_are_kept() {
        let text = edited("\u{FEFF}max_workers = 3\r\nlog = \"info\"\r\n", "max_workers", "4");
        assert_eq!(text, "\u{FEFF}max_workers = 4\r\nlog = \"info\"\r\n");
        assert_eq!(edited("max_workers = 3\r\nretry_count = 1\n", "max_workers", "4").matches("\r\n").count(), 1);
    }

    #[test]
    fn each_line_keeps_its_own_line_end() {
        let mixed = "# a\r\nmax_workers = 3\nlog = 'info'\r\nretry_count = 1\n";
        assert_eq!(edited(mixed, "max_workers", "4"), mixed.replace('3', "4"));
        assert_eq!(edited(mixed, "log", "warn"), mixed.replace("'info'", "\"warn\""));
        assert_eq!(edited(mixed, "spawns_per_tick", "2"), format!("{mixed}spawns_per_tick = 2\n"));
        let table = "max_workers = 3\r\n[paths]\nlogs = 'l'\r\n";
        assert_eq!(edited(table, "retry_count", "2"), "max_workers = 3\r\nretry_count = 2\n[paths]\nlogs = 'l'\r\n");
        assert_eq!(edited("max_workers = 3\r\nlog = 'info'", "log", "warn"), "max_workers = 3\r\nlog = \"warn\"\r\n");
    }

    #[test]
    fn a_key_is_unset_and_everything_else_is_kept() {
        let text = "\u{FEFF}# mine\r\nmax_workers = 3 # not more\nlog = 'info'\n\n[paths]\n# fast\nlogs = '/l'\n";
        let without = |text: &str, key: &str| unset(text, &find(key).unwrap()).unwrap();
        assert_eq!(without(text, "max_workers"), Some(text.replace("max_workers = 3 # not more\n", "")));
        assert_eq!(without(text, "paths.logs"), Some(text.replace("logs = '/l'\n", "")));
        assert_eq!(without(text, "paths.db"), None);
        assert_eq!(without(text, "retry_count"), None);
        for (before, after) in [
            ("claude_bin = 'x'\nlog = 'warn'\n", "log = 'warn'\n"),
            ("agents.claude.program = 'x'\nlog = 'warn'\n", "log = 'warn'\n"),
            ("[agents]\nclaude.program = 'x'\n", "[agents]\n"),
            ("[agents.claude]\nprogram = 'x'\nargs = []\n", "[agents.claude]\nargs = []\n"),
            ("agents = { claude = { args = [], program = 'x' } }\n", "agents = { claude = { args = []} }\n"),
            ("claude_args = [\n  'a', # b\n]\nlog = 'warn'", "log = 'warn'"),
        ] {
            let key = if before.contains("claude_args") { "claude_args" } else { "claude_bin" };
            assert_eq!(without(before, key).as_deref(), Some(after));
        }
        assert_eq!(unset("a = ", &find("log").unwrap()), Err(EditError::Syntax));
    }
}
