//! The parts of private rooms that `benches/in_process.rs` measures. The program uses nothing of this file.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, HotConfig, WorkerConfig};
use crate::decide::tick;
use crate::domain::id::SpecId;
use crate::domain::lane::LaneLimit;
use crate::domain::spec::Spec;
use crate::queue::sqlite::Access;
use crate::queue::{Queue, open};
use crate::spec;
use crate::system::clock;
use crate::system::paths::Home;

/// Parses a valid spec file.
pub fn parse(text: &str) -> impl Sized + use<> {
    valid(text)
}

fn valid(text: &str) -> Spec {
    spec::parse("bench.toml", text.as_bytes()).draft.expect("the spec is valid").into_spec(None)
}

/// Returns how many specs a tick with `slots` free slots claims.
pub fn decide(slots: u32, eligible: u32) -> u32 {
    let (max_workers, spawns_per_tick, admitted) = (slots, slots, true);
    let inputs = tick::Inputs { max_workers, spawns_per_tick, running: 0, recent_starts: 0, eligible, admitted };
    tick::decide(&inputs).spawn
}

/// A queued spec.
pub struct Queued(SpecId);

/// The queue of a home without a daemon.
pub struct Backlog {
    queue: Arc<dyn Queue>,
    spec: Spec,
    config: WorkerConfig,
}

impl Backlog {
    /// Opens the queue of `home`. Its specs have the text `spec`.
    pub fn open(home: &Home, spec: &str) -> Backlog {
        let queue = open::open(home, Access::Write(Duration::ZERO)).expect("the queue opens");
        let config = HotConfig { generation: 1, config: Config::default() }.worker_config();
        Backlog { queue, spec: valid(spec), config }
    }

    /// Queues `count` specs in one transaction.
    pub fn enqueue(&self, count: usize) -> Vec<Queued> {
        let ids = self.queue.enqueue(vec![self.spec.clone(); count], HashSet::new(), clock::now());
        ids.expect("the specs are queued").into_iter().map(Queued).collect()
    }

    /// Cancels a queued spec.
    pub fn cancel(&self, spec: &Queued) {
        self.queue.cancel(&spec.0, clock::now()).expect("the spec is canceled");
    }

    /// Decides and claims as a tick of the daemon with `slots` free slots does. Returns the number of claimed specs.
    pub fn tick(&self, slots: u32) -> usize {
        let now = clock::now();
        self.queue.promote(now).expect("delays end");
        let lanes = self.queue.lanes(None).expect("lanes");
        let limit = |lane| LaneLimit { lane, limit: slots + 1, first: None, instead: None, skipped: vec![] };
        let limits: Vec<LaneLimit> = lanes.into_iter().map(limit).collect();
        let candidates = self.queue.eligible(&limits, None).expect("eligible specs");
        let spawn = decide(slots, u32::try_from(candidates.len()).unwrap_or(u32::MAX));
        let first = tick::first(candidates, spawn);
        self.queue.claim(&first, &self.config, usize::MAX, now).expect("the claim is durable").len()
    }
}
