//! Changes of holds that the user makes: `boi hold`, `boi resume`, and changes of what an agent needs.

use tracing::info;

use super::Lanes;
use crate::control::calls::ResumedAgents;
use crate::decide::hold;
use crate::domain::hold::{Hold, HoldCause};
use crate::domain::time::Timestamp;
use crate::queue::QueueError;
use crate::system::clock;

impl Lanes {
    /// Changes the hold of each agent for which `change` returns another one, and stores it. Returns the agents whose hold
    /// changed.
    async fn change(&self, change: impl Fn(&str, Hold) -> Option<Hold>) -> Result<Vec<String>, QueueError> {
        let mut changed = Vec::new();
        for (agent, lane) in &mut self.state().lanes {
            let Some(before) = lane.hold.clone() else { continue };
            lane.hold = change(agent, before.clone());
            if lane.hold.as_ref() != Some(&before) {
                changed.push(agent.clone());
            }
        }
        if !changed.is_empty() {
            self.wake();
        }
        for agent in &changed {
            self.save(agent).await?;
        }
        Ok(changed)
    }

    /// Carries out `boi resume`. `named`: the agent that the user named.
    pub(crate) async fn resume(&self, named: Option<&str>) -> Result<ResumedAgents, QueueError> {
        let now = clock::now();
        let resume = |agent: &str, hold| match named {
            Some(name) if name != agent => Some(hold),
            _ => hold::resumed(hold, named.is_some(), now),
        };
        let changed = self.change(resume).await?;
        let (probed, opened) = changed.into_iter().partition(|agent| self.hold(agent).is_some());
        Ok(ResumedAgents { probed, opened })
    }

    /// Lets one run start as a probe for each agent in `agents` whose hold needs the user, because something changed that
    /// the user may have changed to end it.
    pub(in crate::daemon) async fn changed_by_user(&self, agents: &[String]) -> Result<(), QueueError> {
        let now = clock::now();
        let change = |agent: &str, hold| {
            let is_changed = agents.iter().any(|changed| changed == agent);
            Some(if is_changed { hold::after_change(hold, now) } else { hold })
        };
        for agent in self.change(change).await? {
            info!(agent, "something changed that may end the hold on this agent: boi starts one run as a probe");
        }
        Ok(())
    }

    /// Returns the agents whose hold needs the user, with the hold.
    pub(in crate::daemon) fn needing_the_user(&self) -> Vec<(String, Hold)> {
        let state = self.state();
        let held = state.lanes.iter().filter_map(|(agent, lane)| Some((agent.clone(), lane.hold.clone()?)));
        held.filter(|(_, hold)| hold::needs_the_user(hold)).collect()
    }

    /// Ends the holds that the user made until a time that has come. Returns when the next such hold ends.
    pub(in crate::daemon) async fn end_expired(&self, now: Timestamp) -> Result<Option<Timestamp>, QueueError> {
        for agent in self.change(|_, held| Some(held).filter(|held| !hold::is_over(held, now))).await? {
            info!(agent, "the hold on this agent has ended, because its time has come");
        }
        let state = self.state();
        let holds = state.lanes.values().filter_map(|lane| lane.hold.as_ref());
        Ok(holds.filter(|held| held.cause == HoldCause::ByHand).filter_map(|held| held.until).min())
    }

    /// Holds an agent by hand.
    pub(crate) async fn hold_by_hand(&self, agent: &str, until: Option<Timestamp>) -> Result<(), QueueError> {
        self.state().lane(agent).hold = Some(hold::by_hand(clock::now(), until));
        self.wake();
        self.save(agent).await
    }
}
