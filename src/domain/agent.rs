//! The command of an agent.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What boi executes for an agent: a program, and optionally its first arguments, which boi puts before its
/// own. Its serialized form is the program, or a list if there are arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCommand {
    /// The program: a path, or a name to look up on the PATH.
    pub program: String,
    /// The first arguments of the program.
    pub arguments: Vec<String>,
}

impl AgentCommand {
    /// Returns a command that consists of a program without arguments.
    pub fn program(program: impl Into<String>) -> AgentCommand {
        AgentCommand { program: program.into(), arguments: Vec::new() }
    }

    /// Returns the program and its first arguments.
    pub fn words(&self) -> Vec<String> {
        [std::slice::from_ref(&self.program), &self.arguments].concat()
    }

    /// Returns the command with these words; `None`: the list is empty, or the program is blank.
    pub fn of_words(words: Vec<String>) -> Option<AgentCommand> {
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.trim().is_empty())?;
        Some(AgentCommand { program, arguments: words.collect() })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Words {
    Program(String),
    All(Vec<String>),
}

impl Serialize for AgentCommand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words = match self.arguments.as_slice() {
            [] => Words::Program(self.program.clone()),
            _ => Words::All(self.words()),
        };
        words.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AgentCommand {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AgentCommand, D::Error> {
        let words = match Words::deserialize(deserializer)? {
            Words::Program(program) => vec![program],
            Words::All(words) => words,
        };
        AgentCommand::of_words(words).ok_or_else(|| {
            de::Error::custom("the command of an agent must begin with a program, which is missing or blank")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_command_is_stored_as_its_program_or_as_all_its_words() {
        for (words, stored) in [(vec!["claude"], json!("claude")), (vec!["docker", "exec"], json!(["docker", "exec"]))]
        {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            let command = AgentCommand::of_words(words).unwrap();
            assert_eq!(serde_json::to_value(&command).unwrap(), stored);
            assert_eq!(serde_json::from_value::<AgentCommand>(stored).unwrap(), command);
        }
        for nothing in [json!([]), json!(""), json!([" ", "x"]), Value::Null] {
            assert!(serde_json::from_value::<AgentCommand>(nothing.clone()).is_err(), "{nothing}");
        }
    }
}
