//! Tests of the tables `[agents.NAME]` and of the older names of their keys.

use super::super::changes::{diff, plan};
use super::super::flags::Flags;
use super::super::keys::find;
use super::super::{Loaded, Origin, ProcessSettings, check_host, parse};
use super::{load, messages, missing, refused};
use crate::config::Config;
use crate::domain::agent::AgentCommand;

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
        assert_eq!(claude.worker.command, AgentCommand::program("/opt/claude"));
        assert_eq!(claude.worker.args, ["-v"]);
        for name in ["claude_bin", "agents.claude.program", "claude_args", "agents.claude.args"] {
            assert_eq!(loaded.origin(&find(name).unwrap()), Origin::File, "{text}: {name}");
        }
        assert_eq!(loaded.set.len(), 2);
    }
    for text in ["[agents]", "[agents.claude]"] {
        assert_eq!(load(text).config, Config::default());
    }
}

#[test]
fn unknown_agents_and_keys_are_refused_with_a_suggestion() {
    insta::assert_snapshot!(refused("[agents.cluade]\nargs = []\n[agents.claude]\nprogam = 'x'\n"), @r"
    error: the agent `cluade` is not built in, and has no `command`
     --> config.toml:1:9
      |
    1 | [agents.cluade]
      |         ^^^^^^
      |
      = help: did you mean `claude`? An agent of your own needs a `command`

    error: unknown key `agents.claude.progam`
     --> config.toml:4:1
      |
    4 | progam = 'x'
      | ^^^^^^
      |
      = help: did you mean `program`?
    ");
    insta::assert_snapshot!(
        refused("[agents]\nfoo = {}\nprogram = 'x'\nFoo = 5\n\n[agents.claude]\nlog = 'info'\n"),
        @r#"
    error: the agent `foo` is not built in, and has no `command`
     --> config.toml:2:1
      |
    2 | foo = {}
      | ^^^
      |
      = help: write what boi executes, as in command = ["foo", "--flag"]

    error: unknown key `agents.program`
     --> config.toml:3:1
      |
    3 | program = 'x'
      | ^^^^^^^
      |
      = help: did you mean `agents.claude.program`?

    error: `Foo` is not a name for an agent
     --> config.toml:4:1
      |
    4 | Foo = 5
      | ^^^
      |
      = help: a name begins with a-z or 0-9, consists of a-z, 0-9, `_` and `-`, and has at most 32 characters

    error: unknown key `agents.claude.log`
     --> config.toml:7:1
      |
    7 | log = 'info'
      | ^^^
      |
      = help: `log` is a top-level key, not a key of `[agents.claude]`: move it above the first table
    "#);
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
        assert_eq!(loaded.config.claude().worker.command.program, "x");
        let used = diff(&Config::default(), &loaded);
        assert_eq!(
            used.iter().map(|change| change.key.as_str()).collect::<Vec<_>>(),
            [flag.split('=').next().unwrap()]
        );
    }
}

#[test]
fn problems_and_warnings_use_the_name_of_the_file() {
    let facts = missing("/nowhere", "does not exist");
    let loaded = load("[agents.claude]\nprogram = '/nowhere'\n");
    let warnings = check_host(&loaded, None, &facts).unwrap();
    assert_eq!(warnings, ["agents.claude.program: `/nowhere` does not exist; tasks of the agent `claude` cannot run"]);
    let refused = check_host(&loaded, Some(&Config::default()), &facts).unwrap_err().lines();
    assert_eq!(
        refused,
        ["config.toml:2:11: `/nowhere` does not exist (write the program's absolute path, or install the program \
          first)"]
    );
}

#[test]
fn each_older_name_and_its_key_name_each_other() {
    let names = |name: &str| {
        let key = find(name).unwrap();
        let others = key.other_names();
        for other in &others {
            assert!(other.has_name(name) && key.has_name(&other.name));
            assert_eq!((other.kind, other.takes_effect), (key.kind, key.takes_effect));
        }
        others.into_iter().map(|other| other.name).collect::<Vec<_>>()
    };
    assert_eq!(names("claude_bin"), ["agents.claude.command", "agents.claude.program"]);
    assert_eq!(names("agents.claude.command"), ["agents.claude.program", "claude_bin"]);
    assert_eq!(names("claude_args"), ["agents.claude.args"]);
    assert_eq!(names("agents.own.program"), ["agents.own.command"]);
    assert_eq!((names("log"), names("agents.codex.args")), (Vec::new(), Vec::new()));
}
