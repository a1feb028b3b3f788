//! What each key does.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::action::{Action, Effect, Show};
use super::input::Input;
use super::state::{Band, Mode, Model, Notice};
use crate::domain::id::SpecId;
use crate::domain::text;

/// The keys and what they do, for the help.
pub(super) const HELP: [(&str, &str); 20] = [
    ("up, down, j, k", "select an item"),
    ("PgUp, PgDn, g, G", "a page up or down, the first item, the last item"),
    ("Tab, Shift-Tab", "the next list, the list before"),
    ("Enter", "show what the spec changed (boi diff)"),
    ("l", "show what its commands printed (boi log)"),
    ("o", "open a shell in its worktree (boi open)"),
    ("m", "merge its branch (boi merge)"),
    ("n", "send it back with a note (boi retry --note)"),
    ("R", "retry it, or all failed specs (boi retry)"),
    ("x", "drop it (boi drop); asks first"),
    ("c", "cancel it (boi cancel); asks first"),
    ("p", "pause the queue, or resume it"),
    ("/", "filter the lists by id and title"),
    ("Esc", "end the filter, the input or this help"),
    ("?", "this help"),
    ("Ctrl-L", "draw the screen again"),
    ("Ctrl-Z", "stop boi top; fg continues it"),
    ("q", "quit"),
    ("", ""),
    ("", "Lines after the lists describe the selected item."),
];

/// The keys at the bottom of the screen, the most important first.
pub(super) const SHORT: [&str; 13] = [
    "?:help",
    "q:quit",
    "Enter:diff",
    "l:log",
    "o:open",
    "m:merge",
    "n:note",
    "R:retry",
    "x:drop",
    "c:cancel",
    "p:pause",
    "/:filter",
    "Tab:list",
];

/// The longest title in a question, in columns.
const TITLE: usize = 40;

impl Model {
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Effect> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return Some(Effect::Interrupt),
            KeyCode::Char('z') if is_control => return Some(Effect::Suspend),
            KeyCode::Char('l') if is_control => return Some(Effect::Redraw),
            _ => {}
        }
        self.notice = None;
        match std::mem::replace(&mut self.mode, Mode::List) {
            Mode::List => self.list_key(key, is_control),
            Mode::Help(top) => {
                self.help_key(key, top);
                None
            }
            Mode::Confirm(_, choices) => {
                let chosen = choices.into_iter().find(|(choice, _)| key.code == KeyCode::Char(*choice));
                if chosen.is_none() {
                    self.say("nothing was changed");
                }
                chosen.map(|(_, action)| Effect::Run(action))
            }
            Mode::Filter(mut input) => {
                match key.code {
                    KeyCode::Enter => {}
                    KeyCode::Esc => self.clear_filter(),
                    _ => {
                        if edit(&mut input, key, is_control) {
                            self.mode = Mode::Filter(input);
                            self.apply_filter();
                        } else {
                            self.clear_filter();
                        }
                    }
                }
                None
            }
            Mode::Note(id, mut input) => match key.code {
                KeyCode::Enter if input.text().trim().is_empty() => {
                    self.say("nothing was sent: the note is empty");
                    None
                }
                KeyCode::Enter => Some(Effect::Run(Action::SendBack(id, input.text().trim().to_owned()))),
                KeyCode::Esc => {
                    self.say("nothing was sent");
                    None
                }
                _ => {
                    edit(&mut input, key, is_control);
                    self.mode = Mode::Note(id, input);
                    None
                }
            },
        }
    }

    fn list_key(&mut self, key: KeyEvent, is_control: bool) -> Option<Effect> {
        let page = isize::try_from(self.page_rows()).unwrap_or(isize::MAX);
        match key.code {
            KeyCode::Char('f') if is_control => self.move_by(page),
            KeyCode::Char('b') if is_control => self.move_by(-page),
            KeyCode::Char(_) if is_control => {}
            KeyCode::Char('q') => return Some(Effect::Quit),
            KeyCode::Down | KeyCode::Char('j') => self.move_by(1),
            KeyCode::Up | KeyCode::Char('k') => self.move_by(-1),
            KeyCode::PageDown => self.move_by(page),
            KeyCode::PageUp => self.move_by(-page),
            KeyCode::Home | KeyCode::Char('g') => self.move_by(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.move_by(isize::MAX),
            KeyCode::Tab | KeyCode::Right => self.band = Band::ALL[(self.band as usize + 1) % 3],
            KeyCode::BackTab | KeyCode::Left => self.band = Band::ALL[(self.band as usize + 2) % 3],
            KeyCode::Char('/') => self.mode = Mode::Filter(Input::new(&self.filter)),
            KeyCode::Char('?') => self.mode = Mode::Help(0),
            KeyCode::Esc => self.clear_filter(),
            KeyCode::Char('p') => {
                let is_paused = self.data.as_ref().is_some_and(|data| data.status.paused);
                return Some(Effect::Run(if is_paused { Action::Resume } else { Action::Pause }));
            }
            _ => return self.spec_key(key),
        }
        None
    }

    /// Carries out a key that acts on the selected spec.
    fn spec_key(&mut self, key: KeyEvent) -> Option<Effect> {
        let acts = matches!(key.code, KeyCode::Enter | KeyCode::Char('l' | 'o' | 'm' | 'n' | 'R' | 'x' | 'c'));
        let Some(spec) = self.selected().filter(|_| acts) else {
            if acts {
                self.say("no spec is selected");
            }
            return None;
        };
        let (id, title) = (spec.id.clone(), text::fit(&spec.title, TITLE));
        match key.code {
            KeyCode::Enter => return Some(Effect::Show(Show::Diff(id))),
            KeyCode::Char('l') => return Some(Effect::Show(Show::Log(id))),
            KeyCode::Char('o') => return Some(Effect::Show(Show::Open(id))),
            KeyCode::Char('m') => return Some(Effect::Run(Action::Merge(id))),
            KeyCode::Char('n') => self.mode = Mode::Note(id, Input::default()),
            KeyCode::Char('x') => self.ask(&format!("Drop {id} ({title})?"), vec![('y', Action::Drop(id))]),
            KeyCode::Char('c') => self.ask(&format!("Cancel {id} ({title})?"), vec![('y', Action::Cancel(id))]),
            _ => self.ask_retry(id, &title),
        }
        None
    }

    fn ask(&mut self, question: &str, choices: Vec<(char, Action)>) {
        self.mode = Mode::Confirm(format!("{question} y/n"), choices);
    }

    fn ask_retry(&mut self, id: SpecId, title: &str) {
        let failed = self.data.as_ref().map_or(0, |data| data.status.counts.failed);
        let mut choices = vec![('y', Action::Retry(id.clone()))];
        let question = if failed > 1 {
            choices.push(('a', Action::RetryFailed));
            format!("Retry {id} ({title})? y/n, a: all {failed} failed specs")
        } else {
            format!("Retry {id} ({title})? y/n")
        };
        self.mode = Mode::Confirm(question, choices);
    }

    fn help_key(&mut self, key: KeyEvent, top: usize) {
        let rows = usize::from(self.size.1).saturating_sub(2).max(1);
        let last = HELP.len().saturating_sub(rows);
        self.mode = match key.code {
            KeyCode::Down | KeyCode::Char('j') => Mode::Help((top + 1).min(last)),
            KeyCode::Up | KeyCode::Char('k') => Mode::Help(top.saturating_sub(1)),
            KeyCode::PageDown | KeyCode::Char(' ') => Mode::Help((top + rows).min(last)),
            KeyCode::PageUp => Mode::Help(top.saturating_sub(rows)),
            _ => Mode::List,
        };
    }

    fn say(&mut self, text: &str) {
        self.notice = Some(Notice { text: text.to_owned(), success: true });
    }
}

/// Edits a line. Returns `false` if the key leaves an empty line: a backspace at its start.
fn edit(input: &mut Input, key: KeyEvent, is_control: bool) -> bool {
    match key.code {
        KeyCode::Backspace => return input.backspace() || !input.text().is_empty(),
        KeyCode::Delete => input.delete(),
        KeyCode::Left => input.left(),
        KeyCode::Right => input.right(),
        KeyCode::Home => input.home(),
        KeyCode::End => input.end(),
        KeyCode::Char('h') if is_control => return input.backspace() || !input.text().is_empty(),
        KeyCode::Char('w') if is_control => input.delete_word(),
        KeyCode::Char('u') if is_control => input.delete_to_start(),
        KeyCode::Char('a') if is_control => input.home(),
        KeyCode::Char('e') if is_control => input.end(),
        KeyCode::Char(c) if !is_control => input.insert(c.encode_utf8(&mut [0; 4])),
        _ => {}
    }
    true
}
