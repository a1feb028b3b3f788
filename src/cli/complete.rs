//! Completes arguments for shells: `boi __complete`, which the scripts of `boi completions` call, and these
//! scripts.
//!
//! The dynamic completion of clap_complete is an unstable feature, so boi finds out itself which argument a
//! word belongs to.

use std::collections::BTreeSet;

use clap::{Arg, ArgAction, Command, CommandFactory};
use clap_complete::Shell;

use super::args::Arguments;
use super::{CliError, ExitCode, backend, printing};
use crate::config::flags::Flags;
use crate::config::keys;
use crate::config::{Agents, Config};
use crate::domain::id::SpecId;
use crate::domain::text;
use crate::queue::{Filter, Queue};
use crate::reload;
use crate::system::paths::Home;

/// How many ids are offered at most.
const OFFERED: u32 = 100;
/// The longest description of an id, in columns.
const DESCRIPTION: usize = 60;

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ids,
    Keys,
    Agents,
}

/// Carries out `boi __complete`: prints a line for each value of the word number `at`, with a tab before its
/// description.
pub(super) fn complete(at: usize, words: &[String]) -> Result<ExitCode, CliError> {
    let Some(kind) = kind_of(&Arguments::command(), at, words) else { return Ok(0) };
    let word = words.get(at).map_or("", String::as_str);
    let Ok(home) = Home::from_environment() else { return Ok(0) };
    if home.check().is_err() {
        return Ok(0);
    }
    let lines = match kind {
        Kind::Ids => ids(&home, word),
        Kind::Keys => keys_like(&home, word),
        Kind::Agents => agents_like(&home, word),
    };
    let text: String = lines.iter().map(|line| format!("{}\n", text::plain(line).replace('\n', " "))).collect();
    printing::print(text.as_bytes())?;
    Ok(0)
}

/// Returns what the word number `at` is; `None`: boi offers no values for it.
fn kind_of(root: &Command, at: usize, words: &[String]) -> Option<Kind> {
    let mut command = root;
    let (mut position, mut awaited, mut only_positionals) = (0, None::<&Arg>, false);
    for word in words.get(1..at.min(words.len()))? {
        if awaited.take().is_some() {
            continue;
        }
        if only_positionals || !word.starts_with('-') || word == "-" {
            match command.find_subcommand(word) {
                Some(found) if position == 0 && !only_positionals => command = found,
                _ => position += 1,
            }
        } else if word == "--" {
            only_positionals = true;
        } else if !word.contains('=') {
            awaited = option(command, word).filter(|found| found.get_action().takes_values());
        }
    }
    let word = words.get(at).map_or("", String::as_str);
    let argument = match awaited {
        Some(option) => option,
        None if only_positionals || word.starts_with('-') => return None,
        None => {
            let positionals: Vec<&Arg> = command.get_positionals().filter(|found| !found.is_last_set()).collect();
            let last = positionals.last().copied().filter(|last| matches!(last.get_action(), ArgAction::Append));
            positionals.get(position).copied().or(last)?
        }
    };
    match argument.get_id().as_str() {
        "id" | "ids" | "after" => Some(Kind::Ids),
        "key" => Some(Kind::Keys),
        "agent" if argument.get_action().takes_values() => Some(Kind::Agents),
        _ => None,
    }
}

fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let is_named = |argument: &&Arg| match word.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => word.chars().nth(1).is_some_and(|short| argument.get_short() == Some(short) && word.len() == 2),
    };
    command.get_arguments().find(is_named)
}

/// Returns the ids that begin with `word`, and `@last`. Without a word, those that were dispatched last.
fn ids(home: &Home, word: &str) -> Vec<String> {
    let Ok(Some(queue)) = backend::read(&backend::configured(home)) else { return Vec::new() };
    let upper = word.to_ascii_uppercase();
    // Several ids may be separated by commas, as in `--after`.
    let (before, last) =
        upper.rsplit_once(',').map_or(("", &*upper), |(_, last)| (&word[..word.len() - last.len()], last));
    let mut lines = Vec::new();
    if "@LAST".starts_with(last) {
        lines.push(format!("{before}@last\tthe spec that was dispatched last"));
    }
    let found = match last {
        "" => queue.last_dispatched(OFFERED),
        last => queue.ids_with_prefix(last, OFFERED),
    };
    let ids: Vec<SpecId> = found.unwrap_or_default();
    lines.extend(described(queue.as_ref(), ids).into_iter().map(|line| format!("{before}{line}")));
    lines
}

fn described(queue: &dyn Queue, ids: Vec<SpecId>) -> Vec<String> {
    if ids.is_empty() {
        return Vec::new();
    }
    let listing = queue.list(&Filter { ids, ..Filter::default() });
    let specs = listing.map(|listing| listing.specs).unwrap_or_default();
    let line = |spec: &crate::domain::view::SpecView| {
        format!("{}\t{}: {}", spec.id, spec.status.as_str(), text::one_line(&spec.title, DESCRIPTION))
    };
    specs.iter().map(line).collect()
}

fn keys_like(home: &Home, word: &str) -> Vec<String> {
    let config = reload::load(home, &Flags::default()).map_or_else(|_| Config::default(), |loaded| loaded.config);
    keys::keys_of(&config).into_iter().map(|key| key.name).filter(|name| name.starts_with(word)).collect()
}

fn agents_like(home: &Home, word: &str) -> Vec<String> {
    let agents =
        reload::load(home, &Flags::default()).map_or_else(|_| Agents::default(), |loaded| loaded.config.agents);
    let names: BTreeSet<String> = agents.names().filter(|name| name.starts_with(word)).map(str::to_owned).collect();
    names.into_iter().collect()
}

/// Returns the completion script for a shell: that of clap and, for bash, zsh and fish, a function that asks
/// `boi` for ids, keys and agents.
pub(super) fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "boi", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => (text + BASH).into_bytes(),
        Shell::Fish => (text + FISH).into_bytes(),
        Shell::Zsh => zsh(&text).into_bytes(),
        _ => script,
    }
}

/// Asks `boi` first, and clap's function for everything else.
const BASH: &str = r#"
_boi_values() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\t'*}")
    done < <("$1" __complete "$COMP_CWORD" -- "${COMP_WORDS[@]}" 2>/dev/null)
    [ ${#COMPREPLY[@]} -gt 0 ] || _boi "$@"
}

complete -F _boi_values -o bashdefault -o default boi
"#;

const FISH: &str = r"
function __fish_boi_values
    set -l words (commandline -opc)
    boi __complete (count $words) -- $words (commandline -ct) 2>/dev/null
end
complete -c boi -a '(__fish_boi_values)'
";

/// Completes the values of arguments for which clap knows none.
const ZSH: &str = r#"
_boi_values() {
    local -a found
    local line value
    for line in "${(@f)$(command boi __complete $((boi_current - 1)) -- "${boi_words[@]}" 2>/dev/null)}"; do
        [ -n "$line" ] || continue
        value="${line%%$'\t'*}"
        found+=("${value//:/\\:}:${line#*$'\t'}")
    done
    if (( $#found )); then
        _describe -V 'value' found -M 'm:{a-z}={A-Z}'
    else
        _default
    fi
}

"#;

/// Changes clap's script: its function remembers the whole command line, and calls `_boi_values`.
fn zsh(text: &str) -> String {
    text.replace(":_default", ":_boi_values").replacen(
        "\n_boi() {\n",
        &format!("{ZSH}_boi() {{\n    local -a boi_words=(\"${{words[@]}}\")\n    local boi_current=$CURRENT\n"),
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(line: &str) -> Option<Kind> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        kind_of(&Arguments::command(), words.len() - 1, &words)
    }

    #[test]
    fn each_word_is_completed_as_its_argument() {
        for (line, expected) in [
            ("boi status ", Some(Kind::Ids)),
            ("boi log -f SD9", Some(Kind::Ids)),
            ("boi log --task t-1 SD9", Some(Kind::Ids)),
            ("boi log --task ", None),
            ("boi cancel SD979 ", Some(Kind::Ids)),
            ("boi status SD979 ", None),
            ("boi dispatch --after SD979,", Some(Kind::Ids)),
            ("boi diff SD979 -- ", None),
            ("boi open --agent ", Some(Kind::Ids)),
            ("boi config set ", Some(Kind::Keys)),
            ("boi config set max_workers ", None),
            ("boi hold ", Some(Kind::Agents)),
            ("boi resume c", Some(Kind::Agents)),
            ("boi ", None),
            ("boi status --", None),
        ] {
            assert_eq!(kind(line), expected, "{line}");
        }
    }

    #[test]
    fn the_scripts_call_boi() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(script(shell)).unwrap();
            assert!(script.contains("boi __complete") || script.contains("\"$1\" __complete"), "{shell}");
        }
        let script = String::from_utf8(script(Shell::Zsh)).unwrap();
        assert!(script.contains("local boi_current") && !script.contains(":_default"), "{script}");
    }
}
