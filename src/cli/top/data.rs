//! Reads what the dashboard shows, in a thread of its own: the dashboard answers keys also while a daemon or a disk is
//! slow.

use std::io;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::super::CliError;
use super::super::backend::{self, Backend};
use super::super::changes::Changes;
use super::last_line::LastLines;
use super::running::Watched;
use crate::config::Agents;
use crate::config::flags::Flags;
use crate::domain::life::SpecStatus;
use crate::queue::Filter;
use crate::reload;
use crate::system::paths::Home;
use crate::ui::top::{Data, Message, Need, Page, Query};

/// The shortest time between two readings.
const FRAME: Duration = Duration::from_millis(250);
/// The time between two readings of the output of running commands.
const OUTPUT: Duration = Duration::from_secs(1);
/// The time between two readings while no daemon says what changed.
const POLL: Duration = Duration::from_secs(1);
/// The largest number of specs of each kind that need the user.
const NEEDS: u32 = 200;
/// The largest number of running specs that are shown.
const RUNNING: u32 = 500;

/// The thread that reads.
pub(super) struct Reader {
    asked: watch::Sender<(Query, u64)>,
    read: watch::Receiver<Option<Message>>,
}

impl Reader {
    /// Starts to read.
    pub(super) fn start(home: &Home) -> io::Result<Reader> {
        let (asked, questions) = watch::channel(Default::default());
        let (answers, read) = watch::channel(None);
        let home = home.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || runtime.block_on(read_until_unwanted(&home, questions, &answers)))?;
        Ok(Reader { asked, read })
    }

    /// Reads this page of the queue from now on.
    pub(super) fn ask(&self, query: &Query) {
        self.asked.send_if_modified(|(asked, _)| {
            let differs = asked != query;
            asked.clone_from(query);
            differs
        });
    }

    /// Reads again now.
    pub(super) fn hurry(&self) {
        self.asked.send_modify(|(_, times)| *times += 1);
    }

    /// Waits for what was read last; `None`: the thread has ended.
    pub(super) async fn next(&mut self) -> Option<Message> {
        self.read.changed().await.ok()?;
        self.read.borrow_and_update().clone()
    }
}

/// Yields an item whenever the state that the dashboard shows may have changed.
fn changes(home: &Home) -> impl Stream<Item = ()> {
    stream::unfold((home.clone(), None), |(home, open): (Home, Option<Changes>)| async move {
        if let Some(mut open) = open
            && open.next().await.is_ok()
        {
            return Some(((), (home, Some(open))));
        }
        let open = match Backend::find(&home).await {
            Ok(backend) => Changes::of_state(&backend, FRAME).await.unwrap_or_default(),
            Err(_) => None,
        };
        if open.is_none() {
            sleep(POLL).await;
        }
        Some(((), (home, open)))
    })
}

async fn read_until_unwanted(
    home: &Home,
    mut questions: watch::Receiver<(Query, u64)>,
    answers: &watch::Sender<Option<Message>>,
) {
    let mut changes = std::pin::pin!(changes(home));
    let mut output = interval(OUTPUT);
    output.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lines = LastLines::default();
    loop {
        let query = questions.borrow_and_update().0.clone();
        let (mut data, mut watched) = match read(home, &query).await {
            Ok((data, mut watched)) => {
                Watched::read_lines(&mut watched, &mut lines);
                (Some(data), watched)
            }
            Err(error) => {
                answers.send_replace(Some(Message::Trouble(error.message())));
                (None, Vec::new())
            }
        };
        loop {
            if let Some(data) = &mut data {
                data.running = watched.iter().map(|one| one.running.clone()).collect();
                answers.send_replace(Some(Message::Data(Box::new(data.clone()))));
            }
            // Cancel-safe: each branch leaves what it has not received.
            let again = loop {
                tokio::select! {
                    _ = changes.next() => break true,
                    asked = questions.changed() => match asked {
                        Ok(()) => break true,
                        // The dashboard has ended.
                        Err(_) => return,
                    },
                    _ = output.tick() => if Watched::read_lines(&mut watched, &mut lines) {
                        break false;
                    },
                }
            };
            if again {
                break;
            }
        }
        sleep(FRAME).await;
    }
}

/// Reads the state, what needs the user, the running specs and a page of the queued ones.
async fn read(home: &Home, query: &Query) -> Result<(Data, Vec<Watched>), CliError> {
    let mut backend = Backend::find(home).await?;
    let mut list = async |filter: Filter| Ok::<_, CliError>(backend.status_now(home, &filter, None).await?.status);
    let needs = list(Filter { attention: true, limit: NEEDS, ..Filter::default() }).await?;
    let running = list(Filter { status: Some(SpecStatus::Running), limit: RUNNING, ..Filter::default() }).await?;
    let Query { offset, limit, matching } = query.clone();
    let status = Some(SpecStatus::Queued);
    let mut status = list(Filter { status, offset, limit, matching: matching.clone(), ..Filter::default() }).await?;
    // A daemon whose queue fails answers without specs, and says why.
    if let Some(failed) = [&needs, &running].into_iter().find(|status| !status.store.ok) {
        status.store = failed.store.clone();
    }
    let specs = std::mem::take(&mut status.specs);
    let next = Page { offset: offset as usize, specs, more: status.more, matching };
    let loaded = reload::load(home, &Flags::default());
    let (configured, agents) = match loaded {
        Ok(loaded) => (home.clone().with_paths(&loaded.config.paths), loaded.config.agents),
        Err(_) => (home.clone(), Agents::default()),
    };
    // What the workers do is in the files of this machine. Without access to them, only the specs are shown.
    let queue = backend::read(&configured).ok().flatten();
    let watched = Watched::all(&configured, queue.as_deref(), &agents, running.specs);
    let needs_of = Need::all(&status, needs.specs);
    let data = Data { status, needs: needs_of, more_needs: needs.more, running: Vec::new(), next };
    Ok((data, watched))
}
