//! Carries out orders to a worker between its steps, and waits out the pause before a try, which an order
//! ends.

use std::time::Duration;

use tokio::sync::watch;
use tracing::info;

use super::{Worker, WorkerError};
use crate::daemon::{Order, WorkerEnd};
use crate::decide::step;
use crate::domain::cause::Cause;
use crate::queue::GiveBack;
use crate::system::clock;

impl Worker {
    /// Waits until the pause before the next try is over, if there is one, or until an order arrives.
    /// Meanwhile the spec keeps its slot, and `boi status` shows why it waits.
    pub(super) async fn pause_before_try(&self, orders: &mut watch::Receiver<Order>) {
        let next_try = self.position.next_try();
        let next_setup = self.position.next_setup();
        let Some(until) = next_try.map(|next| next.1).or(next_setup.map(|next| next.1)) else { return };
        // The clock may have been set back since the time was recorded, so the longest pause bounds the wait.
        let [_, longest] = self.claimed.config.retry_backoff_seconds;
        let left = Duration::from_millis(u64::try_from(until.millis_since(clock::now())).unwrap_or(0));
        let left = left.min(Duration::from_secs(longest));
        if left.is_zero() || *orders.borrow() != Order::Work {
            return;
        }
        let (spec, progress) = (&self.claimed.fence.spec, &self.position.progress);
        let tries = self.claimed.config.retry_count.saturating_add(1);
        let cause = match (next_try, &progress.failure, next_setup) {
            (Some((of, _)), Some(failure), _) => Some(Cause::NextTry {
                task: self.task(of).id.clone(),
                failure: failure.clone().without_output(),
                failed: of.number - progress.first_try,
                tries,
                until,
            }),
            (None, _, Some((setup, _))) => Some(Cause::NextSetup {
                command: self.claimed.spec.setup[setup.index].clone(),
                failed: setup.run - 1,
                runs: tries,
                until,
            }),
            _ => None,
        };
        self.shared.set_cause(spec, cause);
        self.shared.changed();
        tokio::select! {
            // Cancel-safe: only waits.
            () = tokio::time::sleep(left) => {}
            // Cancel-safe: an order that was not seen stays in the channel.
            _ = orders.wait_for(|order| *order != Order::Work) => {}
        }
        self.shared.set_cause(spec, None);
        self.shared.changed();
    }

    /// Carries out an order between two steps. Returns how the worker ends; `None` if the worker continues.
    pub(super) async fn obey(&mut self, order: Order) -> Result<Option<WorkerEnd>, WorkerError> {
        match order {
            Order::Work => Ok(None),
            Order::Detach => Ok(Some(WorkerEnd::Detached)),
            Order::Cancel => {
                self.end_leftover_git().await?;
                let changes = std::mem::take(&mut self.interrupted);
                self.record(step::canceled(self.position.progress.clone()), changes).await?;
                Ok(None)
            }
            Order::Stop => {
                self.end_leftover_git().await?;
                self.stopped().await.map(Some)
            }
        }
    }

    async fn stopped(&mut self) -> Result<WorkerEnd, WorkerError> {
        let (position, cause) = (self.position.clone().resumed(), Some(Cause::Stopped));
        let changes = std::mem::take(&mut self.interrupted);
        let lane = self.lane_at(&position);
        let back = GiveBack { position, changes, cause, not_before: None, setback: false, lane };
        let end = self.give_back(back).await?;
        info!(spec = %self.claimed.fence.spec, attempt = self.claimed.fence.attempt, "spec stopped and queued again");
        Ok(end)
    }
}
