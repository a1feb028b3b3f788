//! Tests of agents that the file defines, and of the keys of agents that are tables: `env` and `prices`.

use super::super::changes::{diff, plan};
use super::super::edit;
use super::super::flags::Flags;
use super::super::keys::find;
use super::super::{EnvValue, HostFacts, ProcessSettings, check_host, parse};
use super::{load, messages, missing, reference, refused};
use crate::agents::{OutputKind, PromptVia};
use crate::domain::money::{Price, Usd};

const AIDER: &str = r#"
[agents.aider]
command = ["uvx", "aider", "--message-file", "{prompt}"]
prompt = "file"
model = "openai/gpt-5"
max_workers = 2
fallback = ["codex", "claude"]

[agents.aider.env]
PLAIN = "secret"
TOKEN = { from_env = "OPENAI_TOKEN" }

[agents.aider.prices."gpt-5.1"]
input = 1.25
cached = 0
output = 10
"#;

fn usd(dollars: f64) -> Usd {
    Usd::from_dollars(dollars).unwrap()
}

#[test]
fn a_file_defines_an_agent() {
    let loaded = load(AIDER);
    let aider = loaded.config.agents.get("aider").unwrap();
    assert_eq!(aider.worker.command.words(), ["uvx", "aider", "--message-file", "{prompt}"]);
    assert_eq!((aider.worker.prompt, aider.worker.output), (PromptVia::File, OutputKind::Text));
    assert_eq!((aider.worker.model.as_deref(), aider.max_workers), (Some("openai/gpt-5"), Some(2)));
    assert_eq!(aider.fallback, ["codex", "claude"]);
    assert_eq!(aider.env["PLAIN"], EnvValue::Text("secret".into()));
    assert_eq!(aider.env["TOKEN"], EnvValue::FromEnv("OPENAI_TOKEN".into()));
    let price = Price { input: usd(1.25), cached: Usd::ZERO, output: usd(10.0) };
    assert_eq!(aider.worker.prices["gpt-5.1"], price);
    assert_eq!(loaded.config.agents.names().collect::<Vec<_>>(), ["aider", "claude", "codex", "gemini", "opencode"]);
    let shorter = load("[agents.own]\nprogram = 'x'\n").config;
    assert_eq!(shorter.agents.get("own").unwrap().worker.command.words(), ["x"]);
}

#[test]
fn the_value_of_a_variable_is_in_no_text() {
    let loaded = load(AIDER);
    let env = find("agents.aider.env").unwrap().get(&loaded.config);
    assert_eq!(env.to_string(), "{ PLAIN = \"(not shown)\", TOKEN = { from_env = \"OPENAI_TOKEN\" } }");
    let changes = diff(&load("").config, &loaded);
    assert!(changes.iter().any(|change| change.key == "agents.aider.env"));
    let shown = format!("{changes:?} {} {:?}", serde_json::to_string(&env).unwrap(), loaded.config);
    assert!(!shown.contains("secret"), "{shown}");
    // A change of such a value is a change all the same.
    let other = diff(&loaded.config, &load(&AIDER.replace("secret", "other")));
    assert_eq!(other.iter().map(|change| change.key.as_str()).collect::<Vec<_>>(), ["agents.aider.env"]);
}

#[test]
fn an_agent_that_is_added_or_removed_is_a_change() {
    let (none, own) = (load(""), load("[agents.own]\ncommand = 'own'\n"));
    let shown = |old, new| diff(old, new).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&none.config, &own), ["agents.own.command: (not defined) -> \"own\""]);
    assert_eq!(shown(&own.config, &none), ["agents.own.command: \"own\" -> (not defined)"]);
    let planned = plan(&own.config, &none);
    assert_eq!((planned.applied.len(), &planned.config), (1, &none.config));
    let changed = shown(&own.config, &load("[agents.own]\nprogram = 'other'\nmodel = 'm'\n"));
    assert_eq!(changed, ["agents.own.program: \"own\" -> \"other\"", "agents.own.model: \"\" -> \"m\""]);
}

#[test]
fn what_does_not_fit_together_is_refused_at_once() {
    insta::assert_snapshot!(
        messages(
            "[agents.own]\ncommand = []\noutput = 'jsonl'\nprompt = 'fiel'\nmodel = 'two words'\nmax_workers = -1\n\
             fallback = ['own', 'cluade', 'nobody', 'codex', 'codex']\n\
             env = { 'A-B' = 'x', BOI_TRY = '1', C = 5, D = {}, E = { from = 'F' }, G = { from_env = '1' } }\n\
             [agents.own.prices]\n'a b' = {}\n'm' = { input = 1, cached = -1, outpt = 2 }\nn = {}\n\
             [agents.Own]\n[agents.empty]\nargs = []\n"
        )
        .join("\n"),
        @r#"
    `agents.own.command` does not begin with a program
    `agents.own.output` must be one of "claude-stream-json", "codex-jsonl", "gemini-stream-json", "opencode-json", "text", but is `jsonl`
    `agents.own.prompt` must be one of "stdin", "file", but is `fiel`
    `agents.own.model` is `two words`, which is not the name of a model
    `agents.own.max_workers` must be a whole number from 0 to 1024, but is -1
    `agents.own.fallback` names the agent itself
    `agents.own.fallback` names `cluade`, which is no agent
    `agents.own.fallback` names `nobody`, which is no agent
    `agents.own.fallback` names `codex` twice
    `A-B` is not the name of an environment variable
    `BOI_TRY` is a variable that boi sets
    `agents.own.env.C` must be text, but is the number 5
    the variable `D` has no value
    unknown key `agents.own.env.E.from`
    `1` is not the name of an environment variable
    `a b` is not the name of a model
    `agents.own.prices.m.cached` must be an amount in US dollars from 0 to 100000, but is the number -1
    unknown key `agents.own.prices.m.outpt`
    the price of `n` has no `input`
    the price of `n` has no `cached`
    the price of `n` has no `output`
    `Own` is not a name for an agent
    the agent `empty` is not built in, and has no `command`
    "#
    );
}

#[test]
fn a_fallback_names_other_agents_that_exist() {
    let of = |fallback: &str| messages(&format!("[agents.own]\ncommand = 'x'\nfallback = {fallback}\n"));
    assert_eq!(
        of("['own', 'cluade', 'codex', 'codex']"),
        [
            "`agents.own.fallback` names the agent itself",
            "`agents.own.fallback` names `cluade`, which is no agent",
            "`agents.own.fallback` names `codex` twice",
        ]
    );
    let hints = refused("agents.codex.fallback = ['cluade', 'nobody']");
    assert!(hints.contains("help: did you mean `claude`?"), "{hints}");
    assert!(
        hints.contains("help: the agents are `claude`, `codex`, `gemini`, `opencode`; `[agents.NAME]` defines another"),
        "{hints}"
    );
    load("agents.claude.fallback = ['codex']\nagents.codex.fallback = ['claude', 'own']\nagents.own.command = 'x'");
}

#[test]
fn a_budget_needs_agents_whose_cost_is_known() {
    let own = "[agents.own]\ncommand = 'x'\n";
    let prices = "[agents.codex.prices.m]\ninput = 1\ncached = 1\noutput = 1\n";
    for (text, refused) in [
        (own.to_owned(), vec!["own"]),
        (String::new(), vec![]),
        ("[agents.codex]\nargs = ['-x']\n".to_owned(), vec!["codex"]),
        ("[agents.claude]\nfallback = ['gemini', 'opencode']\n".to_owned(), vec!["gemini"]),
        (prices.to_owned(), vec![]),
        (format!("{prices}[agents.codex]\nmodel = 'm-2'\n"), vec![]),
        (format!("{prices}[agents.codex]\nmodel = 'n'\n"), vec!["codex"]),
        ("[agents.codex]\nmodel = 'gpt-5-codex'\n".to_owned(), vec![]),
        ("[agents.claude]\noutput = 'text'\n".to_owned(), vec!["claude"]),
    ] {
        load(&text);
        for budget in ["max_usd_per_day", "max_usd_per_spec"] {
            let text = format!("{budget} = 0.5\n{text}");
            let found = match parse("config.toml", text.as_bytes(), &ProcessSettings::default()) {
                Ok(_) => Vec::new(),
                Err(problems) => problems.iter().map(|problem| problem.message.clone()).collect(),
            };
            let message =
                |agent: &&str| format!("`{budget}` limits the cost, but the cost of the agent `{agent}` is not known");
            assert_eq!(found, refused.iter().map(message).collect::<Vec<_>>(), "{text}");
        }
    }
    let hints = refused("max_usd_per_day = 1\n[agents.codex]\nmodel = 'm'\n[agents.own]\ncommand = 'x'\n");
    assert!(
        hints.contains("help: give its price: [agents.codex.prices.\"m\"] with input, cached and output"),
        "{hints}"
    );
    assert!(
        hints.contains("help: the agent's output reports no tokens: use another agent, or remove the budget"),
        "{hints}"
    );
}

#[test]
fn warnings_name_the_programs_and_variables_that_an_agent_lacks() {
    let facts = HostFacts {
        missing_variables: ["OPENAI_TOKEN".to_owned()].into(),
        ..missing("uvx", "is not on the daemon's PATH")
    };
    let loaded = load(AIDER);
    assert_eq!(loaded.programs().into_iter().collect::<Vec<_>>(), ["claude", "codex", "uvx"]);
    assert_eq!(
        check_host(&loaded, None, &facts).unwrap(),
        [
            "agents.aider.command: `uvx` is not on the daemon's PATH; tasks of the agent `aider` cannot run",
            "agents.aider.env.TOKEN: the daemon's environment has no variable `OPENAI_TOKEN`; the agent starts without it",
        ]
    );
    let refused = check_host(&loaded, Some(&load("").config), &facts).unwrap_err().lines();
    assert!(refused[0].starts_with("config.toml:3:11: `uvx` is not on the daemon's PATH"), "{refused:?}");
    let codex = missing("codex", "is not on the daemon's PATH");
    let warned = check_host(&load("agents.codex.args = ['-x']"), Some(&load("").config), &codex).unwrap();
    assert!(warned[0].contains("tasks of the agent `codex` cannot run"), "not in the file: no change of the program");
    assert_eq!(check_host(&load(""), None, &codex), Ok(vec![]), "no task uses it");
    let unused = check_host(&load("agents.codex.args = ['{prompt}']"), None, &missing("", "")).unwrap();
    assert!(unused[0].starts_with("agents.codex.prompt: it is \"stdin\", so {prompt}"), "{unused:?}");
}

#[test]
fn tables_of_an_agent_are_set_and_unset_as_a_whole() {
    let set = |text: &str, key: &str, raw: &str| edit::set(text, &find(key).unwrap(), raw).unwrap();
    let unset = |text: &str, key: &str| edit::unset(text, &find(key).unwrap()).unwrap();
    let price = "{ \"m-1.5\" = { input = 1, cached = 0.1, output = 2 } }";
    let text = set("", "agents.codex.prices", price);
    assert_eq!(text, format!("[agents.codex]\nprices = {price}\n"));
    assert_eq!(load(&text).config.agents.get("codex").unwrap().worker.prices["m-1.5"].input, usd(1.0));
    let replaced = set(AIDER, "agents.aider.prices", price);
    assert!(load(&replaced).config.agents.get("aider").unwrap().worker.prices.contains_key("m-1.5"), "{replaced}");
    for key in ["agents.aider.prices", "agents.aider.env"] {
        let text = unset(AIDER, key).unwrap();
        let key = find(key).unwrap();
        assert_eq!(key.get(&load(&text).config), key.default(), "{text}");
        assert!(text.contains("max_workers = 2"), "{text}");
    }
    assert_eq!(set("", "agents.own.command", "[\"a\", \"b\"]"), "[agents.own]\ncommand = [\"a\", \"b\"]\n");
    assert_eq!(set("", "agents.own.command", "/a b"), "[agents.own]\ncommand = \"/a b\"\n");
    assert_eq!(set("", "agents.own.output", "codex-jsonl"), "[agents.own]\noutput = \"codex-jsonl\"\n");
    assert_eq!(set("", "max_usd_per_day", "2.50"), "max_usd_per_day = 2.50\n");
    for (key, wanted) in [
        ("agents.own.env", r#"a table, as in '{ TOKEN = { from_env = "MY_TOKEN" } }'"#),
        ("max_usd_per_day", "an amount, as in 2.50, 0 to 1000000 US dollars"),
        ("agents.own.fallback", r#"a list of names of agents, as in '["codex"]'"#),
    ] {
        let refused = edit::set("", &find(key).unwrap(), "x y").unwrap_err().to_string();
        assert_eq!(refused, format!("`x y` is not a value for `{key}`: write {wanted}"));
    }
}

#[test]
fn the_command_line_can_define_an_agent() {
    let with = |flags: &[&str]| {
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let settings = ProcessSettings { flags: Flags::read(&flags).unwrap(), claude_bin_env: None };
        parse("config.toml", b"", &settings)
    };
    let loaded = with(&["agents.own.command=/x", "agents.own.model=m"]).unwrap();
    assert_eq!(loaded.config.agents.get("own").unwrap().worker.command.program, "/x");
    assert_eq!(loaded.own.agents.get("own"), None);
    assert!(with(&["agents.own.command=/x", "agents.own.fallback=['codx']"]).is_err());
    let refused = with(&["agents.cluade.args=[]"]).unwrap_err().to_string();
    assert!(refused.contains("the agent `cluade` is not built in, and has no `command`"), "{refused}");
    assert!(refused.contains("did you mean `claude`?"), "{refused}");
}

#[test]
fn the_own_agent_and_the_hook_of_the_example_are_valid() {
    let example = reference::example();
    let block = |head: &str| {
        let lines = example[example.find(head).unwrap()..].lines().take_while(|line| !line.is_empty());
        lines.map(|line| format!("{}\n", line.trim_start_matches("# "))).collect::<String>()
    };
    let loaded = load(&block("# [agents.aider]"));
    assert_eq!(loaded.config.agents.get("aider").unwrap().max_workers, Some(2));
    assert_eq!(load(&block("# [[hooks]]")).config.hooks.len(), 1);
}
