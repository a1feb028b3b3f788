//! Tests of the tables `[agents.NAME]` and of the older names of their keys.

use super::super::changes::{diff, plan};
use super::super::flags::Flags;
use super::super::keys::{KEYS, find};
use super::super::{HostFacts, Loaded, Origin, ProcessSettings, check_host, parse};
use super::{load, messages, refused};
use crate::config::Config;

fn shown(old: &str, new: &str) -> Vec<String> {
    diff(&load(old).config, &load(new)).iter().map(ToString::to_string).collect()
}

#[test]
fn the_table_of_an_agent_sets_its_program_and_arguments() {
    for text in [
        "[agents.claude]\nprogram = \"/opt/claude\"\nargs = [\"-v\"]\n",
        "agents.claude = { program = '/opt/claude', args = ['-v'] }",
        "agents.claude.program = '/opt/claude'\nclaude_args = ['-v']",
        "claude_bin = '/opt/claude'\nclaude_args = ['-v']",
    ] {
        let loaded = load(text);
        let claude = loaded.config.claude();
        assert_eq!((claude.program.as_str(), claude.args.as_slice()), ("/opt/claude", ["-v".to_owned()].as_slice()));
        for name in ["claude_bin", "agents.claude.program", "claude_args", "agents.claude.args"] {
            assert_eq!(loaded.origin(find(name).unwrap()), Origin::File, "{text}: {name}");
        }
        assert_eq!(loaded.set.len(), 2);
    }
    for text in ["[agents]", "[agents.claude]"] {
        assert_eq!(load(text).config, Config::default());
    }
}

#[test]
fn unknown_agents_and_keys_are_refused_with_a_suggestion() {
    insta::assert_snapshot!(refused("[agents.cluade]\nprogram = 'x'\n[agents.claude]\nprogam = 'x'\n"), @r"
    error: unknown key `agents.cluade`
     --> config.toml:1:9
      |
    1 | [agents.cluade]
      |         ^^^^^^
      |
      = help: did you mean `claude`?

    error: unknown key `agents.claude.progam`
     --> config.toml:4:1
      |
    4 | progam = 'x'
      | ^^^^^^
      |
      = help: did you mean `program`?
    ");
    insta::assert_snapshot!(refused("[agents]\nfoo = {}\nprogram = 'x'\n\n[agents.claude]\nlog = 'info'\n"), @r"
    error: unknown key `agents.foo`
     --> config.toml:2:1
      |
    2 | foo = {}
      | ^^^
      |
      = help: valid keys here: `claude`

    error: unknown key `agents.program`
     --> config.toml:3:1
      |
    3 | program = 'x'
      | ^^^^^^^
      |
      = help: did you mean `agents.claude.program`?

    error: unknown key `agents.claude.log`
     --> config.toml:6:1
      |
    6 | log = 'info'
      | ^^^
      |
      = help: `log` is a top-level key, not a key of `[agents.claude]`: move it above the first table
    ");
    assert_eq!(
        messages("agents.claude.args = ['a', 5]\nagents.claude.program = ' '"),
        ["item 2 of `agents.claude.args` must be text, but is the number 5", "`agents.claude.program` is empty"]
    );
    assert_eq!(messages("agents = 1"), ["`agents` must be a table, but is the number 1"]);
    assert!(refused("agents.claude = 1").contains("help: write `[agents.claude]` on a line of its own"));
}

#[test]
fn a_file_that_sets_a_value_by_both_names_is_refused_with_both_places() {
    insta::assert_snapshot!(
        refused("claude_bin = 'a'\nclaude_args = []\n\n[agents.claude]\nargs = []\nprogram = 'a'\n"),
        @r"
    error: `agents.claude.args` and `claude_args` (line 2) set the same value
     --> config.toml:5:8
      |
    5 | args = []
      |        ^^
      |
      = help: remove one of the two

    error: `agents.claude.program` and `claude_bin` (line 1) set the same value
     --> config.toml:6:11
      |
    6 | program = 'a'
      |           ^^^
      |
      = help: remove one of the two
    ");
    assert_eq!(
        messages("agents.claude.program = 'a'\nclaude_bin = 'a'"),
        ["`claude_bin` and `agents.claude.program` (line 1) set the same value"]
    );
}

#[test]
fn a_change_is_listed_once_by_the_name_that_the_new_file_uses() {
    let (older, newer) = ("claude_bin = 'a'", "[agents.claude]\nprogram = 'b'");
    assert_eq!(shown("", newer), [r#"agents.claude.program: "claude" -> "b""#]);
    assert_eq!(shown(older, newer), [r#"agents.claude.program: "a" -> "b""#]);
    assert_eq!(shown(newer, older), [r#"claude_bin: "b" -> "a""#]);
    assert_eq!(shown(newer, ""), [r#"claude_bin: "b" -> "claude""#]);
    assert_eq!(shown("claude_args = ['x']", "agents.claude.args = ['x']"), [""; 0]);
    let planned = plan(&load(older).config, &load(newer));
    assert_eq!(planned.applied.iter().map(ToString::to_string).collect::<Vec<_>>(), shown(older, newer));
    assert!(planned.pending_restart.is_empty());
}

#[test]
fn the_command_line_decides_the_name_of_a_change() {
    let read = |flag: &str, text: &str| -> Loaded {
        let settings = ProcessSettings { flags: Flags::read(&[flag.to_owned()]).unwrap(), claude_bin_env: None };
        parse("config.toml", text.as_bytes(), &settings).unwrap()
    };
    for (flag, text) in
        [("agents.claude.program=x", "claude_bin = 'a'"), ("claude_bin=x", "agents.claude.program = 'a'")]
    {
        let loaded = read(flag, text);
        assert_eq!(loaded.config.claude().program, "x");
        let used = diff(&Config::default(), &loaded);
        assert_eq!(
            used.iter().map(|change| change.key.as_str()).collect::<Vec<_>>(),
            [flag.split('=').next().unwrap()]
        );
    }
}

#[test]
fn problems_and_warnings_use_the_name_of_the_file() {
    let facts = HostFacts { program_found: Err("does not exist".to_owned()), log_filter: Ok(()) };
    let loaded = load("[agents.claude]\nprogram = '/nowhere'\n");
    let warnings = check_host(&loaded, None, &facts).unwrap();
    assert_eq!(warnings, ["agents.claude.program: `/nowhere` does not exist; only tasks with `run` will work"]);
    let refused = check_host(&loaded, Some(&Config::default()), &facts).unwrap_err().lines();
    assert_eq!(
        refused,
        ["config.toml:2:11: `/nowhere` does not exist (write the program's absolute path, or install the program \
          first)"]
    );
}

#[test]
fn each_older_name_and_its_key_name_each_other() {
    let pairs: Vec<[&str; 2]> = KEYS
        .iter()
        .filter(|key| key.is_alias())
        .map(|key| {
            let other = key.other_name().unwrap();
            assert_eq!((other.other_name(), other.kind, other.takes_effect), (Some(key), key.kind, key.takes_effect));
            [key.name.as_str(), other.name.as_str()]
        })
        .collect();
    assert_eq!(pairs, [["claude_bin", "agents.claude.program"], ["claude_args", "agents.claude.args"]]);
    assert_eq!(find("log").unwrap().other_name(), None);
}
