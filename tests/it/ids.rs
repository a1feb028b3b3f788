//! Ids on the command line: their unique beginnings, and `@last`; and the completion of arguments.

use std::process::Command;

use super::support::{Sandbox, skip};

const SPEC: &str = "title = 'T'\n[[tasks]]\nrun = 'true'";

#[test]
fn a_unique_beginning_and_last_name_a_spec_with_and_without_a_daemon() {
    let mut sandbox = Sandbox::new("max_workers = 0");
    let ids: Vec<String> = (0..12).map(|_| sandbox.dispatch(SPEC)).collect();
    let last = ids.last().unwrap();
    for daemon in [false, true] {
        if daemon {
            sandbox.start_daemon();
        }
        assert_eq!(sandbox.spec("@last")["id"], last.as_str());
        for id in &ids {
            let unique =
                (2..=id.len()).find(|n| ids.iter().filter(|other| other.starts_with(&id[..*n])).count() == 1).unwrap();
            for text in [id[..unique].to_lowercase(), id[1..unique].to_owned(), id.clone()] {
                assert_eq!(sandbox.spec(&text)["id"], id.as_str(), "{text}");
            }
        }
        let said = sandbox.boi(&["cancel", "s"]);
        let first = ids.iter().min().unwrap();
        assert!(said.code == Some(2) && said.err.contains("is the beginning of several ids"), "{said:?}");
        assert!(said.err.contains(first) && said.err.contains(" and more"), "{said:?}");
        let said = sandbox.boi(&["log", "sxyz"]);
        assert!(said.code == Some(2) && said.err.contains("is not a spec's id"), "{said:?}");
    }
    let missing =
        (0..16).map(|n| format!("S{n:X}")).find(|prefix| !ids.iter().any(|id| id.starts_with(prefix))).unwrap();
    let said = sandbox.boi(&["status", &missing]);
    assert!(said.code == Some(2) && said.err.contains("no spec in the queue has an id that begins with"), "{said:?}");
    sandbox.write("b.toml", SPEC);
    sandbox.good(&["dispatch", "b.toml", "--after", "@last"]);
    assert_eq!(sandbox.spec("@last")["cause"]["specs"][0]["id"], last.as_str());
    sandbox.good(&["cancel", "@last", last]);
}

#[test]
fn ids_keys_and_agents_are_completed() {
    let sandbox = Sandbox::new("[agents.mine]\ncommand = ['true']\noutput = 'text'");
    let id = sandbox.dispatch("title = 'A title'\n[[tasks]]\nrun = 'true'");
    let complete = |words: &[&str]| {
        let at = (words.len() - 1).to_string();
        sandbox.good(&[&["__complete", &at, "--"], words].concat()).out
    };
    let described = format!("{id}\tqueued: A title");
    for words in [&["boi", "status", ""][..], &["boi", "log", &id[..2]], &["boi", "retry", "--note", "n", ""]] {
        assert!(complete(words).lines().any(|line| line == described), "{words:?}: {}", complete(words));
    }
    assert!(complete(&["boi", "dispatch", "x.toml", "--after", ""]).contains(&id));
    assert!(complete(&["boi", "drop", &id, ""]).contains("@last"), "several ids");
    assert_eq!(complete(&["boi", "config", "get", "max_w"]).lines().next(), Some("max_workers"));
    assert!(complete(&["boi", "hold", "m"]).lines().any(|line| line == "mine"));
    for words in
        [&["boi", "stat"][..], &["boi", "status", "--"], &["boi", "hold", "mine", "--until", ""], &["boi", "run", ""]]
    {
        assert_eq!(complete(words), "", "{words:?}");
    }
}

/// The word that bash completes from these words, with the script of `boi completions bash`.
fn bash_completes(sandbox: &Sandbox, line: &str) -> String {
    let script = sandbox.write("complete.bash", sandbox.good(&["completions", "bash"]).out);
    let words: Vec<&str> = line.split(' ').collect();
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let run = format!(
        "PATH={}:$PATH; source {}; COMP_WORDS=({}); COMP_CWORD={}; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; \
         $(complete -p boi | sed 's/.*-F \\([^ ]*\\).*/\\1/') boi '{}' ''; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        sandbox.program.parent().unwrap().display(),
        script.display(),
        quoted.join(" "),
        words.len() - 1,
        words.last().unwrap()
    );
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", &run]).env("BOI_HOME", sandbox.path("boi")).env("HOME", sandbox.path("home"));
    let output = command.output().expect("bash runs");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn bash_completes_ids_and_still_completes_commands_and_options() {
    let sandbox = Sandbox::new("");
    let id = sandbox.dispatch(SPEC);
    assert!(bash_completes(&sandbox, &format!("boi status {}", &id[..2])).lines().any(|word| word == id));
    assert!(bash_completes(&sandbox, &format!("boi status {}", id[..3].to_lowercase())).lines().any(|word| word == id));
    assert!(bash_completes(&sandbox, "boi stat").lines().any(|word| word == "status"));
    assert!(bash_completes(&sandbox, "boi status --wat").lines().any(|word| word == "--watch"));
    assert_eq!(bash_completes(&sandbox, "boi config get max_wo").trim(), "max_workers");
}

#[test]
fn zsh_and_fish_complete_ids() {
    let sandbox = Sandbox::new("");
    let id = sandbox.dispatch(SPEC);
    let path = format!("{}:{}", sandbox.program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let run = |shell: &str, script: &str| {
        let mut command = Command::new(shell);
        let arguments: &[&str] = if shell == "zsh" { &["-f", "-c", script] } else { &["--no-config", "-c", script] };
        command
            .args(arguments)
            .env("PATH", &path)
            .env("BOI_HOME", sandbox.path("boi"))
            .env("HOME", sandbox.path("home"));
        match command.output() {
            Ok(output) => Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()),
            Err(_) => {
                skip(&format!("{shell} is not installed"));
                None
            }
        }
    };
    let fish = sandbox.write("boi.fish", sandbox.good(&["completions", "fish"]).out);
    if let Some(shown) = run("fish", &format!("source {}; complete -C 'boi status {}'", fish.display(), &id[..2])) {
        assert!(shown.contains(&id) && shown.contains("queued: T"), "{shown}");
    }
    std::fs::create_dir(sandbox.path("functions")).unwrap();
    sandbox.write("functions/_boi", sandbox.good(&["completions", "zsh"]).out);
    // A terminal is needed to complete in zsh: `zpty` provides one.
    let script = format!(
        "zmodload zsh/zpty; zpty z zsh -f -i; \
         zpty -w z 'PS1=; fpath=({} $fpath); autoload -U compinit; compinit -u -D; echo rea''dy'; \
         zpty -r -m z out '*ready*'; zpty -w -n z $'boi status {}\\t'; zpty -r -m z out '*{id}*'; print -r -- \"$out\"; zpty -d z",
        sandbox.at("functions"),
        &id[..id.len() - 1],
    );
    if let Some(shown) = run("zsh", &script) {
        assert!(shown.contains(&id), "{shown}");
    }
}
