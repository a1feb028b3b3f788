//! The last line that a command printed, for people.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::agents::OutputKind;
use crate::domain::text;
use crate::process::command_dir::{CommandDir, ERRORS, OUTPUT};
use crate::system::files;

/// How much of the end of the output is searched: first a little, then more, in bytes.
const SEARCHED: [u64; 2] = [1 << 14, 1 << 20];
/// The longest line that is kept, in characters.
const LONGEST: usize = 400;

/// The last lines of commands. A file that did not grow is not read again.
#[derive(Default)]
pub(super) struct LastLines {
    known: HashMap<PathBuf, ([u64; 2], String)>,
}

impl LastLines {
    /// Returns the last line that a command printed, as readable text; empty if there is none. `agent`: how the
    /// output is read; `None`: as text.
    pub(super) fn of(&mut self, folder: PathBuf, agent: Option<OutputKind>) -> String {
        let dir = CommandDir::at(folder.clone());
        let sizes = [OUTPUT, ERRORS].map(|name| {
            let file = dir.open_file(name).ok().flatten();
            file.and_then(|file| file.metadata().ok()).map_or(0, |metadata| metadata.len())
        });
        if let Some((_, line)) = self.known.get(&folder).filter(|(known, _)| *known == sizes) {
            return line.clone();
        }
        let line = last_line(&dir, OUTPUT, sizes[0], agent).or_else(|| last_line(&dir, ERRORS, sizes[1], None));
        let line = line.unwrap_or_default();
        self.known.insert(folder, (sizes, line.clone()));
        line
    }

    /// Forgets every command that is not in `folders`.
    pub(super) fn keep(&mut self, folders: &[PathBuf]) {
        self.known.retain(|folder, _| folders.contains(folder));
    }
}

fn last_line(dir: &CommandDir, name: &str, size: u64, agent: Option<OutputKind>) -> Option<String> {
    SEARCHED.into_iter().find_map(|searched| {
        let start = size.saturating_sub(searched);
        let mut tail = Vec::new();
        files::read_from(dir.open_file(name).ok()??, start, size, |chunk| tail.extend_from_slice(chunk)).ok()?;
        let mut lines: Vec<&[u8]> = tail.split(|byte| *byte == b'\n').collect();
        if start > 0 {
            // Only the end of the first line was read.
            lines.remove(0);
        }
        lines.into_iter().rev().find_map(|line| shown(line, agent))
    })
}

/// Returns the last line of what boi shows for one line of the output.
fn shown(line: &[u8], agent: Option<OutputKind>) -> Option<String> {
    let told = match agent {
        Some(agent) => agent.dialect().describe(line.trim_ascii_end())?,
        None => text::plain(&String::from_utf8_lossy(line)),
    };
    let line = told.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(text::one_line(line, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(output: &str, errors: &str, agent: Option<OutputKind>) -> String {
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join(OUTPUT), output).unwrap();
        std::fs::write(folder.path().join(ERRORS), errors).unwrap();
        LastLines::default().of(folder.path().to_owned(), agent)
    }

    #[test]
    fn the_last_line_with_text_is_shown_without_escape_sequences() {
        assert_eq!(of("one\n\x1b[31mtwo\x1b[0m\n\n  \n", "", None), "two");
        assert_eq!(of("one\nunfinished", "error\n", None), "unfinished");
        assert_eq!(of("\n", "error\n", None), "error");
        assert_eq!(of("", "", None), "");
        assert_eq!(of("progress 1\rprogress 2\r", "", None), "progress 2");
    }

    #[test]
    fn the_line_of_an_agent_is_described_and_a_long_one_before_it_is_skipped() {
        let call = r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}"#;
        let result = format!(r#"{{"type":"user","message":{{"content":"{}"}}}}"#, "x".repeat(1 << 15));
        let output = format!("{call}\n{result}\n");
        assert_eq!(of(&output, "", Some(OutputKind::ClaudeStreamJson)), "> Bash: ls");
        let retry = r#"{"type":"system","subtype":"api_retry","error_status":529,"error":"overloaded","attempt":7,"max_retries":10,"retry_delay_ms":1500}"#;
        let output = format!("{output}{retry}\n");
        assert_eq!(
            of(&output, "", Some(OutputKind::ClaudeStreamJson)),
            "! API: 529 (overloaded), retry 7 of 10 in 1.5 s"
        );
    }

    #[test]
    fn a_file_that_grew_is_read_again() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut lines = LastLines::default();
        assert_eq!(lines.of(folder.path().to_owned(), None), "");
        std::fs::write(folder.path().join(OUTPUT), "one\n").unwrap();
        assert_eq!(lines.of(folder.path().to_owned(), None), "one");
        std::fs::write(folder.path().join(OUTPUT), "one\ntwo\n").unwrap();
        assert_eq!(lines.of(folder.path().to_owned(), None), "two");
        lines.keep(&[]);
        assert!(lines.known.is_empty());
    }
}
