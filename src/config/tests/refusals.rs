//! Tests of the messages for invalid configuration files.

use super::super::MAX_BYTES;
use super::{load, messages, missing, refused};

#[test]
fn all_errors_are_reported_at_once() {
    insta::assert_snapshot!(refused("max_workers = 5000\nmax_worker = 3\nspawn_jitter_ms = [150, 50]\n"), @r"
    error: `max_workers` must be a whole number from 0 to 1024, but is 5000
     --> config.toml:1:15
      |
    1 | max_workers = 5000
      |               ^^^^

    error: unknown key `max_worker`
     --> config.toml:2:1
      |
    2 | max_worker = 3
      | ^^^^^^^^^^
      |
      = help: did you mean `max_workers`?

    error: `spawn_jitter_ms` must be in ascending order, but is [150, 50]
     --> config.toml:3:19
      |
    3 | spawn_jitter_ms = [150, 50]
      |                   ^^^^^^^^^
      |
      = help: write [50, 150]
    ");
}

#[test]
fn ranges_nan_negatives_and_overflow_are_refused() {
    insta::assert_snapshot!(
        messages("max_workers = -1\nspawns_per_tick = 0\ntick_interval_ms = nan\nretry_count = 99999999999999999999\nstop_grace_seconds = 1.5\nmax_output_mb = \"512\"").join("\n"),
        @r"
    `max_workers` must be a whole number from 0 to 1024, but is -1
    `spawns_per_tick` must be a whole number from 1 to 1024, but is 0
    `tick_interval_ms` must be a whole number from 50 to 3600000, but is `nan`, not a number
    `retry_count` must be a whole number from 0 to 100, but is 99999999999999999999
    `stop_grace_seconds` must be a whole number from 0 to 3600, but is the number 1.5
    `max_output_mb` must be a whole number from 1 to 1048576, but is the text `512`
    "
    );
}

#[test]
fn spawn_jitter_ms_takes_two_numbers_in_ascending_order() {
    assert_eq!(
        messages("spawn_jitter_ms = 50"),
        ["`spawn_jitter_ms` must be a list of whole numbers, but is the number 50"]
    );
    assert_eq!(messages("spawn_jitter_ms = [1, 2, 3]"), ["`spawn_jitter_ms` must be a list of two numbers, but has 3"]);
    assert_eq!(messages("spawn_jitter_ms = [60001, -1]").len(), 2);
    assert_eq!(messages("spawn_jitter_ms = [2, 1]"), ["`spawn_jitter_ms` must be in ascending order, but is [2, 1]"]);
    assert_eq!(load("spawn_jitter_ms = [7, 7]").config.spawn_jitter_ms, [7, 7]);
}

#[test]
fn a_key_in_the_wrong_table_gets_a_hint_with_its_place() {
    insta::assert_snapshot!(refused("db = \"x\"\npath.logs = \"x\"\n[paths]\nworktree = \"y\"\nmax_workers = 3\n"), @r#"
    error: unknown key `db`
     --> config.toml:1:1
      |
    1 | db = "x"
      | ^^
      |
      = help: did you mean `paths.db`?

    error: unknown key `path`
     --> config.toml:2:1
      |
    2 | path.logs = "x"
      | ^^^^
      |
      = help: did you mean `paths`?

    error: unknown key `paths.worktree`
     --> config.toml:4:1
      |
    4 | worktree = "y"
      | ^^^^^^^^
      |
      = help: did you mean `worktrees`?

    error: unknown key `paths.max_workers`
     --> config.toml:5:1
      |
    5 | max_workers = 3
      | ^^^^^^^^^^^
      |
      = help: `max_workers` is a top-level key, not a key of `[paths]`: move it above the first table
    "#);
}

#[test]
fn a_log_filter_with_a_typo_is_refused() {
    insta::assert_snapshot!(refused("log = \"inof\"\n"), @r#"
    error: `log`: `inof` is not a level
     --> config.toml:1:7
      |
    1 | log = "inof"
      |       ^^^^^^
      |
      = help: did you mean "info"?
    "#);
}

#[test]
fn duplicate_keys_and_syntax_errors_are_reported_with_the_rest() {
    insta::assert_snapshot!(refused("max_workers = 3\nlog = info\nmax_workers = 4\nretry_count = 101\n"), @r#"
    error: `info` is not a value
     --> config.toml:2:7
      |
    2 | log = info
      |       ^^^^
      |
      = help: text needs quotes: "info"

    error: `max_workers` is set twice, first on line 1
     --> config.toml:3:1
      |
    3 | max_workers = 4
      | ^^^^^^^^^^^
      |
      = help: remove one of the two

    error: `retry_count` must be a whole number from 0 to 100, but is 101
     --> config.toml:4:15
      |
    4 | retry_count = 101
      |               ^^^
    "#);
}

#[test]
fn a_file_above_the_size_limit_is_refused() {
    load(&" ".repeat(MAX_BYTES));
    assert!(refused(&" ".repeat(MAX_BYTES + 1)).contains("the limit is 1 MiB"));
}

#[test]
fn arguments_in_the_name_of_a_program_are_pointed_to_their_key() {
    use crate::config::{Config, check_host};
    for (text, hint) in [
        ("claude_bin = 'claude --model opus'", r#"`claude`, and `claude_args = ["--model", "opus"]`"#),
        ("agents.claude.program = 'c -v'", r#"`c`, and `agents.claude.args = ["-v"]`"#),
        ("claude_bin = 'claude'", "absolute path"),
    ] {
        let loaded = load(text);
        let facts = missing(&loaded.config.claude().worker.command.program, "does not exist");
        let refused = check_host(&loaded, Some(&Config::default()), &facts);
        let shown = match refused {
            Err(problems) => problems.lines().join("\n"),
            // The program is the same as in the configuration in force.
            Ok(warnings) => warnings.join("\n") + "absolute path",
        };
        assert!(shown.contains(hint), "{text}: {shown}");
    }
    let facts = missing("claude --model opus", "does not exist");
    let warned = check_host(&load("claude_bin = 'claude --model opus'"), None, &facts).unwrap();
    assert!(warned[0].contains("claude_args = ["), "{warned:?}");
}
