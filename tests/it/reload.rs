//! Changes of the configuration while a daemon runs, and the commands for the configuration, from outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::support::{Sandbox, fake_agent, lives, pid_in, skip, wait_for};

/// Waits until `wanted` accepts the configuration in `boi status --json`, and returns it.
#[track_caller]
fn config(sandbox: &Sandbox, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || {
        let config = sandbox.good(&["status", "--json"]).json()["config"].clone();
        wanted(&config).then_some(config)
    })
}

#[test]
fn a_saved_file_is_put_in_force_and_an_invalid_one_is_rejected() {
    let mut sandbox = Sandbox::new("max_workers = 0\ntick_interval_ms = 3600000\n");
    sandbox.start_daemon();
    let id = sandbox.dispatch("title = 'Waits'\n[[tasks]]\nrun = 'true'");
    assert_eq!(sandbox.spec(&id)["status"], "queued");
    sandbox.write("boi/config.toml", "max_workers = 'many'");
    let refused = config(&sandbox, "a verdict", |config| config["outcome"] == "rejected");
    assert!(refused["errors"][0].as_str().unwrap().contains("max_workers"), "{refused}");
    let said = sandbox.boi(&["daemon", "reload"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.contains("rejected") && said.out.contains("max_workers = 'many'") && said.out.contains("^^^"),
        "{said:?}"
    );
    assert_eq!(sandbox.boi(&["config", "check"]).code, Some(1));
    assert_eq!(sandbox.boi(&["config", "diff"]).code, Some(1));
    assert_eq!(sandbox.spec(&id)["status"], "queued");
    sandbox.write("boi/config.toml", "max_workers = 1\nretry_count = 9");
    sandbox.wait_for_status(&id, "completed");
    let applied = config(&sandbox, "applied", |config| config["outcome"] == "applied");
    assert_eq!((applied["generation"].as_u64(), applied["watch"].as_str()), (Some(2), Some("inotify")), "{applied}");
    assert_eq!(applied["pending_restart"][0], "retry_count: 3 -> 9");
    let shown = sandbox.good(&["status"]).out;
    assert!(
        shown.contains("config: generation 2, in force since") && shown.contains("pending restart: retry_count"),
        "{shown}"
    );
}

#[test]
fn daemon_reload_prints_the_changes_even_if_the_watch_applied_them_first() {
    let mut sandbox = Sandbox::new("");
    let none = sandbox.boi(&["daemon", "reload", "--json"]);
    assert_eq!((none.code, none.out.as_str()), (Some(3), ""), "{none:?}");
    sandbox.start_daemon();
    sandbox.write("boi/config.toml", "spawns_per_tick = 2\nmax_output_mb = 7\n");
    config(&sandbox, "the watch is first", |config| config["generation"] == 2);
    let said = sandbox.good(&["daemon", "reload"]);
    assert!(said.out.contains("generation 2") && said.out.contains("spawns_per_tick: 4 -> 2"), "{said:?}");
    assert!(said.out.contains("pending restart: max_output_mb: 512 -> 7"), "{said:?}");
    let json = sandbox.good(&["daemon", "reload", "--json"]).json();
    assert_eq!(
        (json["verdict"]["outcome"].as_str(), json["verdict"]["trigger"].as_str()),
        (Some("unchanged"), Some("signal"))
    );
    assert_eq!(json["last_applied"]["changed"][0]["key"], "spawns_per_tick");
    let diff = sandbox.good(&["config", "diff", "--json"]).json();
    assert_eq!(
        (diff["changes"].as_array().map(Vec::len), diff["changes"][0]["key"].as_str()),
        (Some(1), Some("max_output_mb"))
    );
    fs::remove_file(sandbox.path("boi/config.toml")).unwrap();
    let defaults = sandbox.good(&["daemon", "reload"]);
    assert!(defaults.out.contains("spawns_per_tick: 2 -> 4"), "{defaults:?}");
    let absent = format!("{} does not exist: the defaults are in force", sandbox.path("boi/config.toml").display());
    let back = "max_output_mb is 512 again, the value in force: it no longer needs a restart";
    for told in [&absent, back] {
        assert!(defaults.out.contains(told) && sandbox.read("daemon.err").contains(told), "{told}: {defaults:?}");
    }
    let again = sandbox.good(&["daemon", "reload"]);
    assert!(again.out.contains(&absent) && !again.out.contains(back), "{again:?}");
}

#[test]
fn daemon_reload_signals_no_other_process() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    // A SIGHUP would end this process.
    let mut stranger = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    let own = sandbox.read("boi/pids/daemon.pid");
    sandbox.write("boi/pids/daemon.pid", format!("{}\n", stranger.id()));
    let said = sandbox.boi(&["daemon", "reload"]);
    let lived = lives(i32::try_from(stranger.id()).unwrap());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(lived, "another process was signalled");
    assert_eq!(said.code, Some(1), "{said:?}");
    sandbox.write("boi/pids/daemon.pid", own);
    sandbox.good(&["daemon", "reload"]);
}

#[test]
fn a_sighup_right_after_the_start_does_not_end_the_daemon() {
    let mut sandbox = Sandbox::new("");
    sandbox.begin_daemon();
    kill_process(Pid::from_raw(pid_in(&sandbox.path("boi/pids/daemon.pid"))).unwrap(), Signal::HUP).unwrap();
    let verdict = wait_for("the verdict", || {
        let said = sandbox.boi(&["status", "--json"]);
        let verdict = said.json()["config"]["verdict"].clone();
        (verdict["trigger"] == "signal").then_some(verdict)
    });
    assert_eq!(verdict["outcome"], "unchanged", "{verdict}");
}

#[test]
fn running_workers_keep_the_configuration_they_started_with() {
    let mut sandbox = Sandbox::new("max_workers = 6\nspawns_per_tick = 6\nspawn_jitter_ms = [0, 0]\n");
    sandbox.start_daemon();
    let spec = |n: u32| {
        format!(
            "title = 'W'\n[[tasks]]\nprompt = '@@touch {0}/up-{n}@@ @@wait {0}/go-{n}@@'\n[[tasks]]\nprompt = '@@say again@@'\n",
            sandbox.path("").display()
        )
    };
    let ids: Vec<String> = (0..6).map(|n| sandbox.dispatch(&spec(n))).collect();
    for n in 0..6 {
        wait_for("six run", || sandbox.exists(&format!("up-{n}")).then_some(()));
    }
    // The fake agent writes its command line into the trace.
    let first = sandbox.read("trace").lines().next().map(|line| serde_json::from_str::<Value>(line).unwrap()).unwrap();
    let agent = first["argv"][0].as_str().unwrap().to_owned();
    symlink(&agent, sandbox.path("other-agent")).unwrap();
    let other = sandbox.path("other-agent").display().to_string();
    sandbox.good(&["config", "set", "claude_bin", &other]);
    sandbox.good(&["config", "set", "max_workers", "3", "--reload"]);
    let status = sandbox.good(&["status", "--json"]).json();
    assert_eq!((status["slots"]["running"].as_u64(), status["slots"]["max_workers"].as_u64()), (Some(6), Some(3)));
    assert!(sandbox.good(&["status"]).out.contains("workers: 6/3 draining"));
    let late = sandbox.dispatch(&spec(9));
    // The two saves may have led to one swap.
    let generation = status["config"]["generation"].as_u64();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(sandbox.spec(id)["config_generation"], 1);
        if n == 2 {
            assert_eq!(sandbox.spec(&late)["status"], "queued", "5 of 3 run");
        }
        sandbox.write(&format!("go-{n}"), "");
        let ended = sandbox.wait_for_status(id, "completed");
        assert_eq!(ended["config_generation"], 1, "also for its second task");
    }
    sandbox.write("go-9", "");
    assert_eq!(sandbox.wait_for_status(&late, "completed")["config_generation"].as_u64(), generation);
    for line in sandbox.read("trace").lines() {
        let started: Value = serde_json::from_str(line).unwrap();
        let expected = if started["spec"] == late.as_str() { &other } else { &agent };
        assert_eq!(started["argv"][0].as_str(), Some(expected.as_str()), "{started}");
    }
}

#[test]
fn the_log_filter_changes_at_once() {
    let mut sandbox = Sandbox::new("log = \"warn\"\n");
    sandbox.start_daemon();
    assert!(!sandbox.read("daemon.err").contains("INFO"));
    sandbox.good(&["config", "set", "log", "debug", "--reload"]);
    sandbox.good(&["daemon", "reload"]);
    wait_for("debug lines", || sandbox.read("daemon.err").contains("DEBUG").then_some(()));
}

#[test]
fn a_frozen_key_is_pending_until_a_restart_and_then_in_force() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    sandbox.good(&["config", "set", "retry_count", "0"]);
    config(&sandbox, "pending", |config| config["pending_restart"][0] == "retry_count: 3 -> 0");
    sandbox.good(&["config", "set", "paths.db", "other.db"]);
    config(&sandbox, "pending too", |config| config["pending_restart"].as_array().unwrap().len() == 2);
    sandbox.good(&["config", "set", "paths.db", ""]);
    config(&sandbox, "put back", |config| config["pending_restart"].as_array().unwrap().len() == 1);
    let said = sandbox.good(&["daemon", "reload"]).out;
    assert!(said.contains("paths.db is \"\" again, the value in force: it no longer needs a restart"), "{said}");
    assert!(said.contains("pending restart: retry_count: 3 -> 0"), "{said}");
    sandbox.stop_daemon(Signal::TERM);
    sandbox.start_daemon();
    let id = sandbox.dispatch("title = 'Fails'\n[[tasks]]\nrun = 'false'");
    assert_eq!(sandbox.wait_for_status(&id, "failed")["tasks"][0]["tries"], 1);
}

#[test]
fn a_daemon_with_an_invalid_file_starts_with_the_last_good_one_or_exits_with_78() {
    let mut sandbox = Sandbox::new("max_wokers = 3");
    let said = sandbox.boi(&["daemon", "run", "--foreground"]);
    assert_eq!(said.code, Some(78));
    assert!(said.err.contains("max_wokers") && said.err.contains("max_workers"), "{}", said.err);
    sandbox.write("boi/config.toml", "max_workers = 3\n");
    sandbox.start_daemon();
    sandbox.stop_daemon(Signal::TERM);
    sandbox.write("boi/config.toml", "max_wokers = 4\n");
    sandbox.start_daemon();
    let status = sandbox.good(&["status", "--json"]).json();
    assert_eq!(
        (status["slots"]["max_workers"].as_u64(), status["config"]["degraded"].as_bool()),
        (Some(3), Some(true))
    );
    assert!(sandbox.read("daemon.err").contains("last good"), "{}", sandbox.read("daemon.err"));
    sandbox.write("boi/config.toml", "max_workers = 4\n");
    let mended = config(&sandbox, "mended", |config| config["generation"] == 2);
    assert_eq!((mended["degraded"].as_bool(), mended["outcome"].as_str()), (Some(false), Some("applied")));
}

#[test]
fn without_inotify_the_file_is_polled_and_commands_run() {
    // The limit of a new user namespace affects no other process.
    let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$0\" daemon run --foreground";
    let sandbox = Sandbox::new("max_workers = 0\n");
    let Some(mut daemon) = sandbox.begin_wrapped(&["unshare", "--user", "--map-root-user", "sh", "-c", script]) else {
        return skip("there is no `unshare`");
    };
    let up = wait_for("the daemon listens or has ended", || {
        let listens = !sandbox.good(&["status", "--json"]).json()["daemon"].is_null();
        let ended = daemon.try_wait().unwrap().is_some();
        (listens || ended).then_some(listens)
    });
    if !up {
        return skip("`unshare --user` cannot create a user namespace here");
    }
    let mode = config(&sandbox, "it polls", |_| true);
    let id = sandbox.dispatch("title = 'Runs'\n[[tasks]]\nrun = 'echo done > done'");
    sandbox.write("boi/config.toml", "max_workers = 1\n");
    let ended = sandbox.wait_for_status(&id, "completed");
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    daemon.wait().unwrap();
    assert_eq!(mode["watch"], "poll");
    assert_eq!(ended["config_generation"], 2);
}

#[test]
fn config_set_keeps_the_rest_of_the_file_and_refuses_invalid_values() {
    let text = "# mine\nmax_workers = 3  # enough\n";
    let sandbox = Sandbox::new(text);
    for (key, value) in
        [("max_workers", "-1"), ("max_workers", "x"), ("max_wokers", "3"), ("log", "inof"), ("claude_bin", "/nowhere")]
    {
        let said = sandbox.boi(&["config", "set", key, value]);
        assert_eq!(said.code, Some(2), "{key} = {value}: {said:?}");
    }
    assert_eq!(sandbox.read("boi/config.toml"), text);
    sandbox.good(&["config", "set", "max_workers", "8"]);
    sandbox.good(&["config", "set", "paths.worktrees", "/fast"]);
    assert_eq!(
        sandbox.read("boi/config.toml"),
        "# mine\nmax_workers = 8  # enough\n\n[paths]\nworktrees = \"/fast\"\n"
    );
    assert_eq!(sandbox.good(&["config", "get", "max_workers", "--origin"]).out, "8  # file\n");
    assert_eq!(
        sandbox.good(&["config", "get", "claude_bin", "--origin"]).out.rsplit("# ").next(),
        Some("environment\n")
    );
    let schema = sandbox.good(&["config", "schema"]).json();
    assert_eq!(schema["properties"]["max_workers"]["default"], 5);
}

#[test]
fn every_changed_key_takes_effect_when_the_key_table_says() {
    let mut sandbox = Sandbox::new("");
    sandbox.start_daemon();
    let folder = sandbox.path("");
    let flips = [
        ("max_workers", "1", "next_tick"),
        ("spawns_per_tick", "1", "next_tick"),
        ("agents.claude.args", "[\"--flipped\"]", "next_worker"),
        ("claude_bin", "/bin/sh", "next_worker"),
        ("tick_interval_ms", "50", "at_once"),
        ("spawn_jitter_ms", "[0, 0]", "next_tick"),
        ("log", "debug", "at_once"),
        ("task_timeout_minutes", "7", "restart"),
        ("retry_count", "0", "restart"),
        ("retry_backoff_seconds", "[0, 0]", "next_worker"),
        ("cleanup_on_failure", "true", "restart"),
        ("stop_grace_seconds", "1", "restart"),
        ("max_output_mb", "9", "restart"),
        ("stall_timeout_minutes", "3", "next_worker"),
        ("max_usd_per_spec", "2.5", "next_tick"),
        ("max_usd_per_day", "9", "next_tick"),
        ("retention_days", "30", "at_once"),
        ("max_landings", "3", "next_tick"),
        ("max_warm_gb", "3", "at_once"),
        ("min_free_gb", "0", "next_tick"),
        ("max_memory_percent", "100", "next_tick"),
        ("build_slots", "7", "at_once"),
        ("hooks", "[{ name = 'h', on = ['hold.began'], command = 'cat' }]", "at_once"),
        ("agents.opencode.command", "[\"/bin/sh\", \"-c\"]", "next_worker"),
        ("agents.opencode.args", "[\"{prompt}\"]", "next_worker"),
        ("agents.opencode.prompt", "file", "next_worker"),
        ("agents.opencode.output", "claude-stream-json", "next_worker"),
        ("agents.opencode.model", "some-model", "next_worker"),
        ("agents.opencode.env", "{ A = { from_env = \"PATH\" } }", "at_once"),
        ("agents.opencode.max_workers", "2", "next_tick"),
        ("agents.opencode.fallback", "[\"claude\"]", "next_tick"),
        ("agents.opencode.prices", "{ m = { input = 1, cached = 0.5, output = 2 } }", "next_worker"),
        ("paths.db", "elsewhere.db", "restart"),
        ("paths.worktrees", "elsewhere", "restart"),
        ("paths.logs", "elsewhere", "restart"),
    ];
    let shown = sandbox.good(&["config", "show", "--json"]).json();
    let other_names = ["claude_args", "agents.opencode.program"];
    for name in shown.as_object().unwrap().keys() {
        // The keys of one agent stand for those of all.
        let agent = name.strip_prefix("agents.").and_then(|name| name.split('.').next());
        let name = agent.map_or_else(|| name.clone(), |agent| name.replace(agent, "opencode"));
        let flipped = flips.iter().any(|(key, ..)| *key == name);
        assert!(flipped || other_names.contains(&name.as_str()), "{name} is not changed here");
    }
    for (key, value, class) in flips {
        let before = config(&sandbox, "a state", |_| true);
        sandbox.good(&["config", "set", key, value]);
        let after = sandbox.good(&["daemon", "reload", "--json"]).json();
        let grew = after["generation"].as_u64().unwrap() - before["generation"].as_u64().unwrap();
        assert_eq!(grew, u64::from(class != "restart"), "{key}: {after}");
        let changes =
            if class == "restart" { &after["verdict"]["pending_restart"] } else { &after["last_applied"]["changed"] };
        let change = changes.as_array().unwrap().iter().find(|change| change["key"] == key);
        assert_eq!(change.and_then(|change| change["takes_effect"].as_str()), Some(class), "{key}: {after}");
    }
    // A worker that starts now has the new values of the hot keys and the old values of the frozen keys.
    sandbox.good(&["config", "set", "claude_bin", &fake_agent().display().to_string(), "--reload"]);
    let id = sandbox.dispatch("title = 'Runs'\n[[tasks]]\nprompt = '@@say hello@@'");
    sandbox.wait_for_status(&id, "completed");
    let request: Value =
        serde_json::from_str(&sandbox.read(&format!("boi/attempts/{id}/1/command-1/request"))).unwrap();
    assert_eq!(request["timeout_millis"], 30 * 60_000);
    assert_eq!(
        (request["grace_millis"].as_u64(), request["max_output_bytes"].as_u64()),
        (Some(10_000), Some(512 << 20))
    );
    let argv = request["argv"].as_array().unwrap();
    assert!(argv.iter().any(|argument| argument == "--flipped"), "{request}");
    let failing = sandbox.dispatch("title = 'Fails'\n[[tasks]]\nrun = 'false'");
    let failed = sandbox.wait_for_status(&failing, "failed");
    assert_eq!(failed["tasks"][0]["tries"], 4, "retry_count has the value of the start");
    assert!(
        sandbox.exists(&format!("boi/worktrees/{failing}")),
        "cleanup_on_failure and paths.worktrees have the values of the start"
    );
    assert!(!folder.join("boi/elsewhere").exists() && sandbox.exists("boi/state/boi.db"));
    assert!(sandbox.read("daemon.err").contains("DEBUG"));
    // max_workers is 1: the second spec waits for the first.
    let first = sandbox.dispatch(&format!(
        "title = '1'\n[[tasks]]\nrun = 'touch {0}up; until test -e {0}go; do sleep 0.02; done'",
        folder.join("").display()
    ));
    wait_for("it runs", || sandbox.exists("up").then_some(()));
    let second = sandbox.dispatch("title = '2'\n[[tasks]]\nrun = 'true'");
    assert_eq!(sandbox.spec(&second)["status"], "queued");
    sandbox.write("go", "");
    sandbox.wait_for_status(&first, "completed");
    sandbox.wait_for_status(&second, "completed");

    sandbox.stop_daemon(Signal::TERM);
    // Puts the path of the queue back, so that the restart finds the same queue.
    sandbox.good(&["config", "set", "paths.db", ""]);
    sandbox.start_daemon();
    let failing = sandbox.dispatch("title = 'Fails'\n[[tasks]]\nrun = 'false'");
    assert_eq!(sandbox.wait_for_status(&failing, "failed")["tasks"][0]["tries"], 1, "after the restart it is in force");
}

#[test]
fn config_check_reads_standard_input() {
    // Neither the configuration nor a file named `-` is read.
    let sandbox = Sandbox::new("max_wokers = 1");
    sandbox.write("-", "max_wokers = 1");
    let check = |text: &str| sandbox.with_stdin(&["config", "check", "-"], text);
    for text in ["max_workers = 3\n", ""] {
        let said = check(text);
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(0), "<stdin> is valid\n", ""), "{said:?}");
    }
    for (text, part) in
        [("log = 5", "<stdin>:1:7"), ("max_workers = ", "<stdin>:1:"), (&"#".repeat((1 << 20) + 1), "<stdin>")]
    {
        let said = check(text);
        assert!(said.code == Some(1) && said.err.contains(part), "{part}: {said:?}");
    }
    let said = sandbox.with_stdin(&["config", "check", "--json", "-"], "log = 5");
    let json = said.json();
    assert_eq!((said.code, &json["file"], &json["valid"]), (Some(1), &"<stdin>".into(), &false.into()), "{said:?}");
    assert_eq!(json["errors"][0]["line"], 1, "{json:#}");
    assert_eq!(sandbox.boi(&["config", "check", "./-"]).code, Some(1));
}

#[test]
fn concurrent_config_sets_are_all_kept_and_wait_for_another_writer() {
    let sandbox = Sandbox::new("");
    fs::remove_file(sandbox.path("boi/config.toml")).unwrap();
    let sets = [
        ("max_workers", "3"),
        ("spawns_per_tick", "2"),
        ("retry_count", "1"),
        ("log", "debug"),
        ("max_output_mb", "7"),
    ];
    let running: Vec<_> = sets.iter().map(|(key, value)| sandbox.begin(&["config", "set", key, value])).collect();
    for set in running {
        let said = set.end();
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let text = sandbox.read("boi/config.toml");
    assert!(sets.iter().all(|(key, _)| text.contains(key)), "{text}");

    let mut writer = fs::File::create(sandbox.path("boi/config.toml")).unwrap();
    std::io::Write::write_all(&mut writer, b"max_workers = 8\n").unwrap();
    let set = sandbox.begin(&["config", "set", "retry_count", "5"]);
    // It waits until the writer closes the file.
    std::io::Write::write_all(&mut writer, b"spawns_per_tick = 9\n").unwrap();
    drop(writer);
    assert_eq!(set.end().code, Some(0));
    assert_eq!(sandbox.read("boi/config.toml"), "max_workers = 8\nspawns_per_tick = 9\nretry_count = 5\n");
    let json = sandbox.boi(&["config", "set", "retry_count", "6", "--reload", "--json"]);
    assert_eq!((json.code, json.out.as_str()), (Some(3), ""), "{json:?}");
}

#[test]
fn a_file_with_unsafe_permissions_is_rejected_and_blocks_no_command() {
    use std::os::unix::fs::PermissionsExt;
    let mut sandbox = Sandbox::new("max_workers = 2\n");
    sandbox.start_daemon();
    let file = sandbox.path("boi/config.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let refused = config(&sandbox, "a verdict", |config| config["outcome"] == "rejected");
    assert!(refused["errors"][0].as_str().unwrap().contains("chmod go-w"), "{refused}");
    assert_eq!(sandbox.boi(&["config", "check"]).code, Some(1));
    assert_eq!(sandbox.boi(&["daemon", "reload"]).code, Some(1));
    sandbox.good(&["pause"]);
    sandbox.good(&["daemon", "stop"]);
    let mut daemon = sandbox.take_daemon();
    wait_for("its end", || daemon.try_wait().unwrap());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    sandbox.good(&["config", "check"]);
}

#[test]
fn a_daemon_with_an_emptied_file_starts_with_the_last_good_one_and_says_so() {
    let mut sandbox = Sandbox::new("max_workers = 2\n");
    sandbox.start_daemon();
    sandbox.stop_daemon(Signal::TERM);
    sandbox.write("boi/config.toml", "\n");
    sandbox.start_daemon();
    let status = sandbox.good(&["status", "--json"]).json();
    assert_eq!((&status["slots"]["max_workers"], &status["config"]["outcome"]), (&2.into(), &"missing".into()));
    for said in [sandbox.read("daemon.err"), sandbox.good(&["status"]).out, sandbox.boi(&["doctor"]).out] {
        assert!(said.contains("config.toml is empty: the last good configuration"), "{said}");
    }
    // The user may want the defaults: they are asked for, and then last.
    sandbox.good(&["daemon", "reload"]);
    sandbox.stop_daemon(Signal::TERM);
    sandbox.start_daemon();
    let status = sandbox.good(&["status", "--json"]).json();
    assert_eq!((&status["slots"]["max_workers"], &status["config"]["outcome"]), (&5.into(), &"applied".into()));
}

#[test]
fn the_settings_of_an_agent_go_through_every_command() {
    let mut sandbox = Sandbox::new("# mine\nmax_workers = 1\n");
    sandbox.start_daemon();
    sandbox.good(&["config", "set", "agents.claude.args", "[\"--from-table\"]", "--reload"]);
    assert_eq!(
        sandbox.read("boi/config.toml"),
        "# mine\nmax_workers = 1\n\n[agents.claude]\nargs = [\"--from-table\"]\n"
    );
    for name in ["agents.claude.args", "claude_args"] {
        let shown = sandbox.good(&["config", "get", name, "--origin"]).out;
        assert_eq!(shown, "[\"--from-table\"]  # file\n", "{name}");
    }
    let id = sandbox.dispatch("title = 'Runs'\n[[tasks]]\nprompt = '@@say hello@@'");
    sandbox.wait_for_status(&id, "completed");
    assert!(sandbox.read("trace").contains("--from-table"), "{}", sandbox.read("trace"));

    sandbox.write("boi/config.toml", "claude_args = ['--old-name']\n[agents.claude]\nargs = []\n");
    let refused = sandbox.boi(&["daemon", "reload"]);
    let both = "`agents.claude.args` and `claude_args` (line 1) set the same value";
    assert!(refused.code == Some(1) && refused.out.contains(both), "{refused:?}");
    let checked = sandbox.with_stdin(&["config", "check", "-"], "[agents.cluade]\nargs = []\n");
    assert!(checked.code == Some(1) && checked.err.contains("did you mean `claude`?"), "{checked:?}");
    sandbox.write("boi/config.toml", "claude_bin = '/file'\n");
    let flag = sandbox.good(&["config", "get", "agents.claude.program", "-c", "agents.claude.program=/flag"]);
    assert_eq!(flag.out, "/flag\n");
    let schema = sandbox.good(&["config", "schema"]).json();
    assert_eq!(schema["properties"]["agents"]["properties"]["claude"]["properties"]["args"]["type"], "array");
}

#[test]
fn commands_ask_the_daemon_what_its_file_means() {
    let sandbox = Sandbox::new("max_workers = 3\n");
    let tool = sandbox.path("daemons");
    symlink("/bin/sh", &tool).unwrap();
    let of_daemon = tool.display().to_string();
    let mut sandbox = sandbox.with_variables([("CLAUDE_BIN", of_daemon.clone())]);
    sandbox.start_daemon_with(&["-c", "max_workers=2"]);
    let sandbox = sandbox.with_variables([("CLAUDE_BIN", "/of/the/shell".to_owned())]);
    assert_eq!(sandbox.good(&["config", "get", "claude_bin"]).out.trim_end(), of_daemon);
    let note = "overridden by the daemon's command line: 2";
    let diff = sandbox.good(&["config", "diff", "--json"]).json();
    assert_eq!((diff["changes"].as_array().unwrap().len(), diff["overridden"][0]["on_disk"].as_str()), (0, Some("3")));
    assert!(sandbox.good(&["config", "set", "max_workers=12", "--reload"]).out.contains(note));
    assert!(sandbox.good(&["config", "diff"]).out.contains(&format!("max_workers: 2 -> 12 ({note})")));
    let got = sandbox.good(&["config", "get", "max_workers"]);
    assert!(got.out == "12\n" && got.err.contains(note), "{got:?}");
    // What the daemon would refuse is not promised.
    let refused = sandbox.boi(&["config", "set", "claude_bin", "/nowhere"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    sandbox.write("boi/config.toml", "max_wokers = 1\n");
    config(&sandbox, "rejected", |config| config["outcome"] == "rejected");
    let shown = sandbox.good(&["config", "show"]);
    let in_force = shown.out.lines().find(|line| line.starts_with("max_workers ")).unwrap();
    assert!(in_force.ends_with("= 2") && shown.err.contains("max_wokers"), "{shown:?}");
    assert!(sandbox.boi(&["doctor"]).out.contains("max_wokers"));
}

#[test]
fn a_program_of_the_daemons_command_line_does_not_block_other_changes() {
    let sandbox = Sandbox::new("").with_variables([("CLAUDE_BIN", "/not/installed".to_owned())]);
    let mut sandbox = sandbox;
    sandbox.start_daemon_with(&["-c", &format!("claude_bin={}", fake_agent().display())]);
    assert!(sandbox.good(&["config", "set", "max_workers", "4", "--reload"]).out.contains("max_workers: 5 -> 4"));
    sandbox.good(&["config", "check"]);
    sandbox.good(&["config", "unset", "max_workers"]);
    assert_eq!(
        sandbox.good(&["config", "get", "claude_bin"]).out,
        "/not/installed\n",
        "the value without the daemon's"
    );
}

#[test]
fn config_unset_and_check_work_on_the_file_as_it_is() {
    let sandbox = Sandbox::new("# mine\r\nmax_workers = 3 # why\nlog = 'warn'\r\n");
    let said = sandbox.good(&["config", "unset", "max_workers"]);
    assert_eq!(sandbox.read("boi/config.toml"), "# mine\r\nlog = 'warn'\r\n");
    assert!(said.out.contains("max_workers: 3 -> 5") && !said.out.contains("tick"), "no daemon runs: {said:?}");
    sandbox.good(&["config", "unset", "max_workers"]);
    let unknown = sandbox.boi(&["config", "set", "db", "x"]);
    assert!(unknown.code == Some(2) && unknown.err.contains("did you mean `paths.db`?"), "{unknown:?}");
    assert_eq!(sandbox.boi(&["config", "set", "max_workers"]).code, Some(2));
    sandbox.write("own.toml", "max_workers = 4\n");
    assert!(sandbox.good(&["config", "check", "own.toml"]).out.contains("own.toml is valid"), "a relative path");
    fs::remove_file(sandbox.path("boi/config.toml")).unwrap();
    symlink("../dots/boi.toml", sandbox.path("boi/config.toml")).unwrap();
    let refused = sandbox.boi(&["config", "set", "max_workers", "4"]);
    assert!(refused.code == Some(1) && refused.err.contains("dots, which does not exist"), "{refused:?}");
    assert!(sandbox.path("boi/config.toml").is_symlink());
}

#[test]
fn a_verdict_changes_when_its_cause_is_gone_without_another_save() {
    let mut sandbox = Sandbox::new("max_workers = 3\n");
    sandbox.start_daemon();
    let tool = sandbox.at("tool");
    sandbox.write("boi/config.toml", format!("claude_bin = '{tool}'\n"));
    let rejected = config(&sandbox, "rejected", |config| config["outcome"] == "rejected");
    symlink("/bin/sh", sandbox.path("tool")).unwrap();
    let applied = config(&sandbox, "applied", |config| config["outcome"] == "applied");
    let readings = |config: &Value| config["verdict"]["attempt"].as_u64().unwrap();
    assert_eq!(readings(&applied), readings(&rejected) + 1, "looks that find the same are silent");
    assert_eq!(applied["verdict"]["trigger"], "poll");
}
