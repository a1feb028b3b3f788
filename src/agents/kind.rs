//! The kinds of output that agents print, and the agents that are built in.

use serde::{Deserialize, Serialize};

use super::dialect::Dialect;
use super::transcript::Transcript;
use super::{claude, codex, gemini, opencode, text};

/// The format of an agent's output, which selects the agent's dialect. It is serialized as its name in the
/// configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputKind {
    /// The JSON lines of Claude Code.
    ClaudeStreamJson,
    /// The JSON lines of Codex.
    CodexJsonl,
    /// The JSON lines of the Gemini CLI.
    GeminiStreamJson,
    /// The JSON lines of opencode.
    OpencodeJson,
    /// Any text. The exit code of the agent decides the outcome of a run.
    Text,
}

/// An agent that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// The agent's name in specs and in the configuration.
    pub name: &'static str,
    /// The format of the agent's output.
    pub kind: OutputKind,
    /// The agent's program, unless the user configures another one.
    pub program: &'static str,
}

/// The agents that are built in.
pub const BUILTIN: [Builtin; 4] = [
    Builtin { name: "claude", kind: OutputKind::ClaudeStreamJson, program: "claude" },
    Builtin { name: "codex", kind: OutputKind::CodexJsonl, program: "codex" },
    Builtin { name: "gemini", kind: OutputKind::GeminiStreamJson, program: "gemini" },
    Builtin { name: "opencode", kind: OutputKind::OpencodeJson, program: "opencode" },
];

/// Returns the built-in agent with the name `name`; `None` if there is none.
pub fn builtin(name: &str) -> Option<Builtin> {
    BUILTIN.into_iter().find(|agent| agent.name == name)
}

impl OutputKind {
    /// All kinds.
    pub const ALL: [OutputKind; 5] = [
        OutputKind::ClaudeStreamJson,
        OutputKind::CodexJsonl,
        OutputKind::GeminiStreamJson,
        OutputKind::OpencodeJson,
        OutputKind::Text,
    ];

    /// Returns the value of the configuration key `output` that selects this kind.
    pub const fn name(self) -> &'static str {
        match self {
            OutputKind::ClaudeStreamJson => "claude-stream-json",
            OutputKind::CodexJsonl => "codex-jsonl",
            OutputKind::GeminiStreamJson => "gemini-stream-json",
            OutputKind::OpencodeJson => "opencode-json",
            OutputKind::Text => "text",
        }
    }

    /// Returns the dialect of the agents that print this kind of output.
    pub fn dialect(self) -> &'static dyn Dialect {
        match self {
            OutputKind::ClaudeStreamJson => &claude::Claude,
            OutputKind::CodexJsonl => &codex::Codex,
            OutputKind::GeminiStreamJson => &gemini::Gemini,
            OutputKind::OpencodeJson => &opencode::Opencode,
            OutputKind::Text => &text::Text,
        }
    }

    /// Returns a new reader of the output of one run.
    pub fn transcript(self) -> Transcript {
        Transcript::new(self.dialect().line_reader())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::Resumed;

    #[test]
    fn a_kind_is_stored_by_its_name() {
        for kind in OutputKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(serde_json::from_value::<OutputKind>(kind.name().into()).unwrap(), kind);
        }
    }

    #[test]
    fn a_session_is_continued_on_the_terminal_with_the_agents_own_arguments() {
        let command = ["nice".to_owned(), "agent".to_owned()];
        let line = |kind: OutputKind, model| {
            let argv = kind.dialect().resume_interactively(&Resumed { command: &command, model, session: "3f22" });
            argv.map(|argv| argv.join(" "))
        };
        let lines = OutputKind::ALL.map(|kind| line(kind, None));
        let expected = [
            Some("nice agent --resume 3f22"),
            Some("nice agent resume 3f22"),
            Some("nice agent --resume 3f22"),
            Some("nice agent --session 3f22"),
            None,
        ];
        assert_eq!(lines, expected.map(|line| line.map(str::to_owned)));
        let with_model = line(OutputKind::ClaudeStreamJson, Some("sonnet")).unwrap();
        assert_eq!(with_model, "nice agent --resume 3f22 --model sonnet");
    }

    #[test]
    fn a_built_in_agent_is_found_by_its_name() {
        assert_eq!(builtin("claude").map(|agent| agent.kind), Some(OutputKind::ClaudeStreamJson));
        assert_eq!((builtin("Claude"), builtin("")), (None, None));
        for agent in BUILTIN {
            assert_eq!(builtin(agent.name), Some(agent));
        }
    }
}
