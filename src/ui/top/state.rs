//! The model: the data that was read last, what is selected, and what the user is typing.

use crossterm::event::KeyEvent;

use super::action::{Action, Effect};
use super::input::Input;
use super::layout::{Layout, Lists};
use super::needs::Need;
use crate::domain::id::SpecId;
use crate::domain::time::Timestamp;
use crate::domain::view::{SpecView, StatusView};

/// How many queued specs the model holds.
const PAGE: u32 = 100;

/// What was read from the daemon or the queue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Data {
    /// The state of the daemon and the queue, without specs.
    pub(crate) status: StatusView,
    /// What needs the user.
    pub(crate) needs: Vec<Need>,
    /// Whether more specs than `needs` contains may need the user.
    pub(crate) more_needs: bool,
    /// The running specs.
    pub(crate) running: Vec<Running>,
    /// A page of the queued specs.
    pub(crate) next: Page,
}

/// A running spec.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Running {
    /// The spec.
    pub(crate) spec: SpecView,
    /// The number of the try in its attempt, and how many tries the attempt may make; `None`: unknown.
    pub(crate) tries: Option<(u32, u32)>,
    /// What the worker does now, such as `verify 1/2`; empty: unknown.
    pub(crate) step: String,
    /// The last line that the current command printed; empty: none.
    pub(crate) last_line: String,
}

/// A page of the queued specs.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Page {
    /// How many specs are before the page.
    pub(crate) offset: usize,
    /// The specs.
    pub(crate) specs: Vec<SpecView>,
    /// Whether there are more specs after the page.
    pub(crate) more: bool,
    /// The text that the specs contain; empty: all specs.
    pub(crate) matching: String,
}

/// Which page of the queued specs the model needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Query {
    /// How many specs to skip.
    pub(crate) offset: u32,
    /// How many specs to read at most.
    pub(crate) limit: u32,
    /// The text that the specs contain; empty: all specs.
    pub(crate) matching: String,
}

/// Something that changes the model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this size, in columns and rows.
    Size(u16, u16),
    /// It is this time.
    Time(Timestamp),
    /// New data was read.
    Data(Box<Data>),
    /// The data cannot be read now, for this reason.
    Trouble(String),
    /// An action ended, with the first line of its output.
    Done {
        /// The action.
        action: Action,
        /// The first line of its output.
        line: String,
        /// Whether it succeeded.
        success: bool,
    },
    /// A text for the status bar.
    Notice(String),
}

/// A part of the screen with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Band {
    Needs,
    Running,
    Next,
}

impl Band {
    pub(super) const ALL: [Band; 3] = [Band::Needs, Band::Running, Band::Next];
}

/// The place of the user in one list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// The index of the selected item.
    pub(super) cursor: usize,
    /// The index of the first item that is shown.
    pub(super) top: usize,
    /// The name of the selected item, which the selection follows when the list changes.
    name: Option<String>,
}

/// What the keys act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    List,
    /// The help is shown, from this line on.
    Help(usize),
    /// The user types the filter.
    Filter(Input),
    /// The user types a note for a spec.
    Note(SpecId, Input),
    /// The user answers a question with one of these keys; any other key means no.
    Confirm(String, Vec<(char, Action)>),
}

/// A text in the status bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) success: bool,
}

/// The state of the dashboard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    /// The data that was read last; `None` before the first.
    pub(super) data: Option<Data>,
    pub(super) now: Timestamp,
    /// The size of the terminal in columns and rows.
    pub(super) size: (u16, u16),
    pub(super) band: Band,
    places: [Place; 3],
    pub(super) mode: Mode,
    pub(super) filter: String,
    pub(super) notice: Option<Notice>,
    /// Why no new data arrives.
    pub(super) trouble: Option<String>,
    /// The actions that run now.
    pub(super) busy: Vec<Action>,
    query: Query,
}

impl Model {
    /// Returns the model before any data was read.
    pub(crate) fn new(size: (u16, u16), now: Timestamp) -> Model {
        Model {
            data: None,
            now,
            size,
            band: Band::Needs,
            places: Default::default(),
            mode: Mode::List,
            filter: String::new(),
            notice: None,
            trouble: None,
            busy: Vec::new(),
            query: Query { limit: PAGE, ..Query::default() },
        }
    }

    /// Returns the page of the queued specs that the model needs.
    pub(crate) fn query(&self) -> &Query {
        &self.query
    }

    /// Changes the model; returns what the runtime has to do.
    pub(crate) fn update(&mut self, message: Message) -> Option<Effect> {
        let mut effect = None;
        let mut follows = false;
        match message {
            Message::Key(key) => effect = self.key(key),
            Message::Paste(text) => {
                if let Mode::Filter(input) | Mode::Note(_, input) = &mut self.mode {
                    input.insert(&text);
                }
                self.apply_filter();
            }
            Message::Size(columns, rows) => self.size = (columns, rows),
            Message::Time(now) => self.now = now,
            Message::Data(data) => {
                let first = self.data.is_none();
                (self.data, self.trouble) = (Some(*data), None);
                if first {
                    let filled = Band::ALL.into_iter().find(|band| self.count(*band) > 0);
                    self.band = filled.unwrap_or(Band::Needs);
                }
                follows = !first;
            }
            Message::Trouble(why) => self.trouble = Some(why),
            Message::Done { action, line, success } => {
                if let Some(at) = self.busy.iter().position(|busy| *busy == action) {
                    self.busy.remove(at);
                }
                let text = if line.is_empty() { format!("{}: done", action.name()) } else { line };
                self.notice = Some(Notice { text, success });
            }
            Message::Notice(text) => self.notice = Some(Notice { text, success: true }),
        }
        if let Some(Effect::Run(action)) = &effect {
            if self.busy.contains(action) {
                self.notice = Some(Notice { text: format!("{} runs already", action.name()), success: true });
                effect = None;
            } else {
                self.busy.push(action.clone());
            }
        }
        self.settle(follows);
        effect
    }

    /// Returns what needs the user and matches the filter.
    pub(super) fn needs(&self) -> Vec<&Need> {
        let all = self.data.iter().flat_map(|data| &data.needs);
        all.filter(|need| {
            let title = need.spec.as_ref().map_or("", |spec| &spec.title);
            self.matches(&[&need.name, need.kind, title, &need.text])
        })
        .collect()
    }

    /// Returns the running specs that match the filter.
    pub(super) fn running(&self) -> Vec<&Running> {
        let all = self.data.iter().flat_map(|data| &data.running);
        all.filter(|running| self.matches(&[running.spec.id.as_str(), &running.spec.title])).collect()
    }

    /// Returns the queued spec with this index in the queue, if it was read.
    pub(super) fn next(&self, index: usize) -> Option<&SpecView> {
        let page = &self.data.as_ref()?.next;
        page.specs.get(index.checked_sub(page.offset)?)
    }

    fn matches(&self, texts: &[&str]) -> bool {
        let wanted = self.filter.to_lowercase();
        wanted.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&wanted))
    }

    /// Returns how many items a list has.
    pub(super) fn count(&self, band: Band) -> usize {
        let Some(data) = &self.data else { return 0 };
        match band {
            Band::Needs => self.needs().len(),
            Band::Running => self.running().len(),
            Band::Next if data.next.matching.is_empty() && self.filter.is_empty() => {
                usize::try_from(data.status.counts.queued).unwrap_or(usize::MAX)
            }
            Band::Next => data.next.offset + data.next.specs.len() + usize::from(data.next.more),
        }
    }

    pub(super) fn place(&self, band: Band) -> &Place {
        &self.places[band as usize]
    }

    /// Returns the spec that is selected in the current list.
    pub(super) fn selected(&self) -> Option<&SpecView> {
        let cursor = self.place(self.band).cursor;
        match self.band {
            Band::Needs => self.needs().get(cursor)?.spec.as_deref(),
            Band::Running => self.running().get(cursor).map(|running| &running.spec),
            Band::Next => self.next(cursor),
        }
    }

    /// Moves the selection of the current list by `by` items, and stops at its ends.
    pub(super) fn move_by(&mut self, by: isize) {
        let cursor = &mut self.places[self.band as usize].cursor;
        *cursor = cursor.saturating_add_signed(by);
    }

    /// Returns how many items of the current list are shown.
    pub(super) fn page_rows(&self) -> usize {
        self.layout().items(self.band).max(1)
    }

    pub(super) fn layout(&self) -> Layout {
        let counts = Band::ALL.map(|band| self.count(band));
        Layout::new(self.size.1, &Lists { counts, band: self.band })
    }

    /// Uses the text that the user is typing as the filter.
    pub(super) fn apply_filter(&mut self) {
        if let Mode::Filter(input) = &self.mode
            && input.text() != self.filter
        {
            self.filter = input.text().to_owned();
            self.places = Default::default();
        }
    }

    /// Ends the filter.
    pub(super) fn clear_filter(&mut self) {
        if !self.filter.is_empty() {
            self.filter.clear();
            self.places = Default::default();
        }
    }

    /// Makes the selections valid and visible, and chooses the page of the queue. `follows`: a list may have
    /// changed, so that its selection moves with the selected item.
    fn settle(&mut self, follows: bool) {
        let layout = self.layout();
        for band in Band::ALL {
            let names = self.names(band);
            let last = self.count(band).saturating_sub(1);
            let mut place = self.places[band as usize].clone();
            let moved = place.name.as_ref().filter(|_| follows);
            let moved = moved.and_then(|name| names.iter().find(|(_, found)| found == name));
            place.cursor = moved.map_or(place.cursor, |(index, _)| *index).min(last);
            place.name = names.into_iter().find(|(index, _)| *index == place.cursor).map(|(_, name)| name);
            let rows = layout.items(band).max(1);
            place.top = place.top.min(place.cursor).max((place.cursor + 1).saturating_sub(rows));
            // No row stays empty at the end of a list.
            place.top = place.top.min((last + 1).saturating_sub(rows));
            self.places[band as usize] = place;
        }
        self.choose_page(layout.items(Band::Next));
    }

    /// Returns the index and the name of each item of a list that was read.
    fn names(&self, band: Band) -> Vec<(usize, String)> {
        match band {
            Band::Needs => self.needs().iter().map(|need| need.name.clone()).enumerate().collect(),
            Band::Running => self.running().iter().map(|one| one.spec.id.to_string()).enumerate().collect(),
            Band::Next => {
                let page = self.data.iter().map(|data| &data.next);
                page.flat_map(|page| (page.offset..).zip(page.specs.iter().map(|spec| spec.id.to_string()))).collect()
            }
        }
    }

    fn choose_page(&mut self, rows: usize) {
        let place = self.place(Band::Next).clone();
        let offset = self.query.offset as usize;
        let (first, end) = (place.top.min(place.cursor), place.cursor.max(place.top + rows));
        let end = end.min(self.count(Band::Next));
        if self.query.matching != self.filter || first < offset || end > offset + PAGE as usize {
            let offset = place.cursor.saturating_sub(PAGE as usize / 2);
            self.query.offset = u32::try_from(offset).unwrap_or(u32::MAX);
            self.query.matching = self.filter.clone();
        }
    }
}
