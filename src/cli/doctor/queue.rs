//! The queue, and what it says of the processes and folders of this home.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Doctor;
use crate::domain::attempt::SpecStatus;
use crate::domain::command::Identity;
use crate::domain::id::SpecId;
use crate::domain::view::SpecView;
use crate::process::{self, together, tree};
use crate::queue::{Access, Filter, SqliteStore, Store, StoreError};
use crate::system::files;
use crate::system::paths::Home;

/// How many specs one look at the queue brings.
const PAGE: u32 = 500;
/// How long a process that was asked to end may take, before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the queue knows.
pub(super) struct Queue {
    pub(super) store: SqliteStore,
    pub(super) specs: BTreeMap<String, SpecView>,
}

impl Queue {
    /// Reads the whole queue; `None` where there is none, or none that can be read.
    pub(super) fn open(doctor: &mut Doctor) -> Option<Queue> {
        let opened = SqliteStore::open_home(&doctor.home, Access::Read);
        let read = opened.and_then(|store| {
            store.verify()?;
            let specs = all(&store)?;
            Ok(Queue { store, specs })
        });
        match read {
            Ok(queue) => Some(queue),
            Err(StoreError::Missing { .. }) => None,
            Err(error) => {
                let why = "nothing is started without the queue, and no daemon begins over a damaged one".to_owned();
                let place = doctor.home.db().display().to_string();
                let mend = match &error {
                    StoreError::Broken { advice, .. } | StoreError::Lost { advice, .. } => advice.clone(),
                    _ => "mend what the message names, and look again".to_owned(),
                };
                doctor.problem("queue", [error.to_string(), place, why, mend], None);
                None
            }
        }
    }

    /// The folders that hold working trees: the configured one, and those of specs that have theirs elsewhere.
    pub(super) fn tree_folders(&self, home: &Home) -> BTreeSet<PathBuf> {
        let recorded = self.specs.values().filter_map(|spec| Path::new(spec.worktree.as_ref()?).parent());
        recorded.map(Path::to_owned).chain([home.worktrees().to_owned()]).collect()
    }

    pub(super) fn status(&self, id: &str) -> Option<SpecStatus> {
        self.specs.get(id).map(|spec| spec.status)
    }
}

fn all(store: &SqliteStore) -> Result<BTreeMap<String, SpecView>, StoreError> {
    let (mut specs, mut offset) = (BTreeMap::new(), 0);
    loop {
        let page = store.specs(&Filter { all: true, limit: PAGE, offset, ..Filter::default() })?;
        specs.extend(page.specs.into_iter().map(|spec| (spec.id.as_str().to_owned(), spec)));
        if !page.more {
            return Ok(specs);
        }
        offset += PAGE;
    }
}

/// The name of a folder, as far as it may be a spec's.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

impl Doctor {
    /// Running specs while no daemon runs.
    pub(super) fn look_at_running(&mut self, queue: &Queue) {
        if self.daemon {
            return;
        }
        for claimed in queue.store.running().unwrap_or_default() {
            let spec = claimed.fence.spec;
            let alive = claimed.position.marker.as_deref().and_then(tree::supervisor_with);
            let (what, why) = match alive {
                Some(who) => (
                    format!("{spec} runs without a daemon (supervisor {})", who.pid),
                    "the next daemon takes it over as it is",
                ),
                None => (
                    format!("{spec} is running in the queue, and nothing of it runs"),
                    "the next daemon takes down how its command ended, or carries the step out again, in the same attempt",
                ),
            };
            let mend = format!("`boi daemon start` goes on with it, `boi cancel {spec}` gives it up");
            let folder = self.home.spec_attempts(&spec).display().to_string();
            self.note("running-without-daemon", [what, folder, why.into(), mend]);
        }
    }

    /// Processes that carry the marker of a command of this home whose spec has ended or is unknown.
    pub(super) fn look_at_processes(&mut self, queue: &Queue) {
        let marked = tree::all_marked();
        if marked.is_empty() {
            return;
        }
        let owners = self.markers();
        let mut orphans: BTreeMap<&str, (String, Vec<Identity>)> = BTreeMap::new();
        for (who, marker) in &marked {
            let Some(spec) = owners.get(marker.as_str()) else { continue };
            if queue.status(spec).is_none_or(SpecStatus::is_ended) {
                orphans.entry(spec).or_insert_with(|| (marker.clone(), Vec::new())).1.push(who.clone());
            }
        }
        let orphans: Vec<(String, Vec<Identity>)> =
            orphans.into_iter().map(|(spec, (_, who))| (spec.to_owned(), who)).collect();
        for (spec, processes) in orphans {
            let pids: Vec<String> = processes.iter().map(|who| who.pid.to_string()).collect();
            let what = format!("{spec} has ended, and processes of its commands have not");
            let why = "they cost time and memory, and may still change files".to_owned();
            let mend = format!("kill {}", pids.join(" "));
            let fix = || end(&processes).map(|()| "ended".to_owned());
            self.problem("orphans", [what, format!("pid {}", pids.join(", ")), why, mend], Some(&fix));
        }
    }

    /// The marker of each command of this home, and its spec.
    fn markers(&self) -> HashMap<String, String> {
        let mut markers = HashMap::new();
        for spec in files::listed(&self.home.attempts()).unwrap_or_default() {
            for command in
                files::listed(&spec).unwrap_or_default().iter().flat_map(|path| files::listed(path).unwrap_or_default())
            {
                if let Ok(marker) = std::fs::read_to_string(command.join("marker")) {
                    markers.insert(marker, name(&spec));
                }
            }
        }
        markers
    }

    /// Folders that no spec needs.
    pub(super) fn look_at_folders(&mut self, queue: &Queue) {
        let configured = self.home.worktrees().to_owned();
        let trees = queue.tree_folders(&self.home).into_iter().map(|folder| ("worktree", folder));
        for (kind, parent) in trees.chain([("attempts", self.home.attempts())]) {
            for path in files::listed(&parent).unwrap_or_default() {
                let spec = name(&path);
                let own = queue.specs.get(&spec).and_then(|spec| spec.worktree.as_ref());
                if kind == "worktree" && parent != configured && own.is_none_or(|own| Path::new(own) != path) {
                    // A folder that is not configured any more may hold what is not boi's.
                    continue;
                }
                let known = spec.parse::<SpecId>().ok().and_then(|_| queue.status(&spec));
                let what = match known {
                    None => format!("`{spec}` is of no spec in the queue"),
                    Some(SpecStatus::Completed) if kind == "worktree" => {
                        format!("{spec} is completed, and its worktree is still there")
                    }
                    Some(_) => continue,
                };
                let mend = match known {
                    Some(_) => format!("`boi clean {spec}` keeps what is unique in it, and removes it"),
                    None => {
                        format!("look into it, and remove it if nothing in it is wanted: rm -r '{}'", path.display())
                    }
                };
                let why = "it takes room, and the queue does not know of it any more".to_owned();
                let fix = || {
                    std::fs::remove_dir(&path)
                        .map(|()| "it was empty: removed".to_owned())
                        .map_err(|error| error.to_string())
                };
                let empty = path.is_dir() && files::listed(&path).is_ok_and(|inside| inside.is_empty());
                let attempt: Option<&dyn Fn() -> Result<String, String>> = if empty { Some(&fix) } else { None };
                let kind = if kind == "worktree" { "stale-worktree" } else { "stale-attempts" };
                self.problem(kind, [what, path.display().to_string(), why, mend], attempt);
            }
        }
    }
}

/// Ends exactly these processes: TERM, grace, KILL.
fn end(processes: &[Identity]) -> Result<(), String> {
    let in_words = |error: std::io::Error| error.to_string();
    let kill_at = Instant::now() + GRACE;
    let living = || processes.iter().filter(|who| process::lives(who)).cloned().collect::<Vec<Identity>>();
    let signal_all = |signal| {
        let refused = together::signal_all(signal, || Ok(living())).map_err(in_words)?.refused;
        refused.into_iter().next().map_or(Ok(()), |(_, error)| Err(in_words(error)))
    };
    signal_all(Signal::TERM)?;
    let mut killed = false;
    loop {
        let left = living();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= kill_at {
            if killed {
                let pids: Vec<String> = left.iter().map(|who| who.pid.to_string()).collect();
                return Err(format!("{} did not end", pids.join(", ")));
            }
            signal_all(Signal::KILL)?;
            killed = true;
            std::thread::sleep(LOOK_EVERY * 4);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
