//! The scripted model: it does what the directives in a prompt say, whatever the protocol of the API is.

/// What a request contains, in the same form for each protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversation {
    /// The latest prompt of the user.
    pub prompt: String,
    /// How many tool calls were answered after that prompt.
    pub answered: usize,
    /// The name of the tool that runs shell commands; `None`: the request is not of an agent, but of a helper of the
    /// CLI, such as for a title.
    pub shell: Option<String>,
}

/// What the model does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// It calls the shell tool with this command.
    Call(String),
    /// It gives its final text.
    Say(String),
}

impl Conversation {
    /// The next turn of the model.
    pub fn turn(&self) -> Turn {
        let mut commands = directives(&self.prompt, "bash");
        if self.shell.is_some() && self.answered < commands.len() {
            return Turn::Call(commands.swap_remove(self.answered));
        }
        Turn::Say(directives(&self.prompt, "say").pop().unwrap_or_else(|| "done".to_owned()))
    }
}

/// The arguments of the directives `name` in `prompt`, in order.
fn directives(prompt: &str, name: &str) -> Vec<String> {
    let between = prompt.split("@@").skip(1).step_by(2);
    between.filter_map(|text| text.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned).collect()
}
