//! Turns the bytes of a repository's `.boi.toml` into its configuration, and reports all errors at once.

use super::fields::{self, TIMEOUT_MINUTES};
use crate::document::problem::{Problem, Problems};
use crate::document::{self, Faults, Section, quoted};
use crate::domain::repository_config::RepositoryConfig;
use crate::domain::spec;

/// The largest accepted file, in bytes.
pub(crate) const MAX_BYTES: usize = 64 << 10;

/// The names of the fields.
const FIELDS: &[&str] = &[
    "agent",
    "model",
    "context",
    "setup",
    "copy",
    "keep",
    "verify",
    "protected",
    "max_workers",
    "timeout_minutes",
    "hooks",
];

/// Parses the bytes of the file. `name` is the file's name in messages.
pub(crate) fn parse(name: &str, bytes: &[u8]) -> Result<RepositoryConfig, Problems> {
    document::read(name, bytes, MAX_BYTES, |_, root, faults| Some(read(root, faults)))
}

fn read(root: &Section<'_>, faults: &mut Faults) -> RepositoryConfig {
    root.report_unknown(faults, FIELDS, |name| match name {
        "env" | "command" | "program" => {
            Some("a repository sets no program and no environment: define the agent in config.toml".to_owned())
        }
        "prompt" | "tasks" | "title" | "repo" | "base" | "deliver" => {
            Some(format!("`{name}` belongs to a spec, not to the repository's configuration"))
        }
        _ => None,
    });
    let words = |text: Option<document::Located<String>>| text.map(|text| text.value);
    RepositoryConfig {
        agent: words(root.filled_text(faults, "agent")),
        model: fields::model(root, faults),
        context: words(root.filled_text(faults, "context")),
        setup: fields::commands(root, faults, "setup"),
        copy: fields::patterns(root, faults, "copy"),
        keep: keep(root, faults),
        verify: fields::commands(root, faults, "verify"),
        protected: fields::patterns(root, faults, "protected"),
        max_workers: number(root.integer(faults, "max_workers", 1..=1024)),
        timeout_minutes: number(root.integer(faults, "timeout_minutes", TIMEOUT_MINUTES)),
        hooks: root.boolean(faults, "hooks").is_some_and(|hooks| hooks.value),
    }
}

fn number(value: Option<document::Located<i64>>) -> Option<u32> {
    value.and_then(|value| u32::try_from(value.value).ok())
}

/// Reads `keep`: paths of folders below the root of the repository, in their shortest form.
fn keep(root: &Section<'_>, faults: &mut Faults) -> Vec<String> {
    let mut folders: Vec<String> = Vec::new();
    for document::Located { value, span } in root.filled_texts(faults, "keep").map_or(Vec::new(), |found| found.value) {
        let folder = value.trim_end_matches('/').to_owned();
        let message = match spec::check_kept_folder(&folder) {
            Ok(()) if folders.contains(&folder) => format!("{} in `keep` is listed twice", quoted(&value)),
            Ok(()) => {
                folders.push(folder);
                continue;
            }
            Err(why) => format!("{} in `keep` {why}", quoted(&value)),
        };
        faults.push(
            Problem::new(message, span).hint("write the path of a folder below the root, as in keep = [\"target\"]"),
        );
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        parse(".boi.toml", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn every_field_is_read() {
        let text = r#"
            agent = "codex"
            model = "large"
            context = "Rules."
            setup = ["npm ci"]
            copy = [".env"]
            keep = ["target/", "web/node_modules"]
            verify = ["make check"]
            protected = ["tests/**"]
            max_workers = 2
            timeout_minutes = 7
            hooks = true
        "#;
        let expected = RepositoryConfig {
            agent: Some("codex".into()),
            model: Some("large".into()),
            context: Some("Rules.".into()),
            setup: vec!["npm ci".into()],
            copy: vec![".env".into()],
            keep: vec!["target".into(), "web/node_modules".into()],
            verify: vec!["make check".into()],
            protected: vec!["tests/**".into()],
            max_workers: Some(2),
            timeout_minutes: Some(7),
            hooks: true,
        };
        assert_eq!(parse(".boi.toml", text.as_bytes()).unwrap(), expected);
        assert_eq!(parse(".boi.toml", b"").unwrap(), RepositoryConfig::default());
    }

    #[test]
    fn every_problem_is_reported_with_its_place() {
        for (text, expected) in [
            ("verfy = [\"x\"]", "did you mean `verify`?"),
            ("env = {A = \"b\"}", "define the agent in config.toml"),
            ("deliver = \"merge\"", "belongs to a spec"),
            ("keep = [\"/usr\"]", "below the root"),
            ("keep = [\"../x\"]", "below the root"),
            ("keep = [\".git\"]", "git"),
            ("keep = [\"a\", \"a/\"]", "listed twice"),
            ("keep = [\"*.o\"]", "pattern"),
            ("copy = [\"a\\nb\"]", "one line"),
            ("max_workers = 0", "from 1 to 1024"),
            ("timeout_minutes = 0", "from 1 to 10080"),
            ("setup = \"npm ci\"", "setup"),
            ("hooks = \"yes\"", "hooks"),
            ("model = \"a b\"", "one word"),
        ] {
            let found = problems(text);
            assert!(found.contains(expected) && found.contains(".boi.toml:1"), "{text}: {found}");
        }
        assert!(parse(".boi.toml", &vec![b'#'; MAX_BYTES + 1]).is_err());
        assert!(problems("max_workers = 0\nsetup = 3").contains(".boi.toml:2"), "all problems at once");
    }
}
