//! Reads and checks the tables `[[hooks]]` of a `config.toml`. A hook is a command that the daemon runs for
//! each event of some kinds.

use std::fmt;
use std::ops::RangeInclusive;

use serde::Serialize;

use super::from_toml;
use super::kinds::text;
use crate::document::problem::Problem;
use crate::document::{Faults, Located, Section, closest, quoted};
use crate::domain::event::EventKind;

/// The allowed values of `timeout_seconds`.
pub(super) const TIMEOUT_SECONDS: RangeInclusive<i64> = 1..=3600;
/// The default of `timeout_seconds`.
const DEFAULT_TIMEOUT: u32 = 30;
/// The longest name of a hook, in characters.
pub(super) const MAX_NAME: usize = 64;

/// The keys of a hook.
const OF_HOOK: [&str; 4] = ["name", "on", "command", "timeout_seconds"];

/// One table `[[hooks]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookConfig {
    /// The name, under which the daemon stores which events the hook has got.
    pub name: String,
    /// The kinds of events that the hook gets.
    pub on: Vec<EventKind>,
    /// The command, for `sh -c`. It reads the event from its standard input.
    pub command: String,
    /// The seconds after which the command is ended.
    pub timeout_seconds: u32,
}

impl fmt::Display for HookConfig {
    /// Writes the hook as an inline table of TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on: Vec<String> = self.on.iter().map(|kind| format!("\"{}\"", kind.as_str())).collect();
        let (name, command) = (text(&self.name), text(&self.command));
        let (on, timeout) = (on.join(", "), self.timeout_seconds);
        write!(f, "{{ name = {name}, on = [{on}], command = {command}, timeout_seconds = {timeout} }}")
    }
}

/// Reads the list of hooks.
pub(super) fn read(section: &Section<'_>, leaf: &str, faults: &mut Faults) -> Option<Located<Vec<HookConfig>>> {
    let span = section.key_span(leaf)?;
    let mut hooks: Vec<HookConfig> = Vec::new();
    for table in section.sections(faults, leaf)? {
        let Some(hook) = read_one(&table, faults) else { continue };
        if hooks.iter().any(|other| other.name == hook.name) {
            let problem = Problem::new(format!("two hooks have the name `{}`", hook.name), table.span());
            faults.push(problem.hint("give each hook a name of its own"));
            continue;
        }
        hooks.push(hook);
    }
    Some(Located { value: hooks, span })
}

fn read_one(table: &Section<'_>, faults: &mut Faults) -> Option<HookConfig> {
    let meant = table.report_unknown(faults, &OF_HOOK, |name| from_toml::elsewhere("[hooks].", name));
    for (key, example) in [("name", "\"notify\""), ("on", "[\"spec.failed\"]"), ("command", "\"notify-send boi\"")] {
        if !table.has(key) && !meant.contains(&key) {
            let problem = Problem::new(format!("a hook has no `{key}`"), table.span());
            faults.push_absent(problem.hint(format!("add a line such as {key} = {example}")));
        }
    }
    let name = table.filled_text(faults, "name").filter(|name| {
        let is_name = is_name(&name.value);
        if !is_name {
            let problem = Problem::new(format!("{} is not a name for a hook", quoted(&name.value)), name.span.clone());
            faults.push(problem.hint(format!("a name has 1 to {MAX_NAME} of the characters A-Z a-z 0-9 . _ -")));
        }
        is_name
    });
    let on = kinds(table, faults);
    let command = table.filled_text(faults, "command");
    let timeout = table.integer(faults, "timeout_seconds", TIMEOUT_SECONDS);
    let timeout_seconds = match (timeout, table.has("timeout_seconds")) {
        (Some(timeout), _) => u32::try_from(timeout.value).ok()?,
        (None, false) => DEFAULT_TIMEOUT,
        (None, true) => return None,
    };
    Some(HookConfig { name: name?.value, on: on?, command: command?.value, timeout_seconds })
}

/// Reads the kinds of events of a hook.
fn kinds(table: &Section<'_>, faults: &mut Faults) -> Option<Vec<EventKind>> {
    let Located { value: names, span } = table.filled_texts(faults, "on")?;
    let (mut kinds, mut are_all_known) = (Vec::new(), true);
    for name in &names {
        match EventKind::from_name(&name.value) {
            Some(kind) if kinds.contains(&kind) => {}
            Some(kind) => kinds.push(kind),
            None => {
                are_all_known = false;
                let problem = Problem::new(format!("{} is no kind of event", quoted(&name.value)), name.span.clone());
                let all = EventKind::ALL.iter().map(|kind| kind.as_str());
                faults.push(match closest(&name.value, all.clone()) {
                    Some(close) => problem.hint(format!("did you mean \"{close}\"?")),
                    None => problem.hint(format!("the kinds are {}", all.collect::<Vec<_>>().join(", "))),
                });
            }
        }
    }
    if names.is_empty() {
        let problem = Problem::new("`on` names no kind of event", span);
        faults.push(problem.hint("name at least one, as in [\"spec.failed\"]"));
    }
    (are_all_known && !kinds.is_empty()).then_some(kinds)
}

fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed)
}
