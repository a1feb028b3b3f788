//! The calls of the commands for the review of results: through the daemon, or, while none runs, on the
//! queue.

use super::CliError;
use super::backend::{Backend, call, write};
use crate::control::client::Client;
use crate::control::review::{DropSpec, DroppedSpec, Opened, RestoredSpec, SendBack, UndoDrop};
use crate::domain::id::SpecId;
use crate::domain::life::SpecStatus;
use crate::domain::money::Usd;
use crate::system::clock;
use crate::system::paths::Home;

/// What the commands wait for, in messages.
const ANSWER: Option<&str> = Some("the daemon's answer");

impl Backend {
    /// Records that a spec is dropped whose branch is at `head`.
    pub(super) async fn drop_spec(
        &mut self,
        home: &Home,
        id: &SpecId,
        head: Option<&str>,
    ) -> Result<DroppedSpec, CliError> {
        let request = DropSpec { id: id.clone(), head: head.map(str::to_owned) };
        let by_daemon = async |client: &Client| Ok(call(client, &request).await?);
        self.carry_out(home, ANSWER, by_daemon, async |home| {
            let dropped = write(home)?.drop_spec(id, head.map(str::to_owned), clock::now())?;
            Ok(DroppedSpec { before: dropped.before, failed: dropped.failed })
        })
        .await
    }

    /// Gives a dropped spec its former status back; returns this status.
    pub(super) async fn undo_drop(
        &mut self,
        home: &Home,
        id: &SpecId,
        kept: Option<String>,
    ) -> Result<SpecStatus, CliError> {
        let request = UndoDrop { id: id.clone(), kept: kept.clone() };
        let by_daemon = async |client: &Client| {
            let RestoredSpec { status } = call(client, &request).await?;
            Ok(status)
        };
        self.carry_out(home, ANSWER, by_daemon, async |home| {
            Ok(write(home)?.undo_drop(id, kept.clone(), clock::now())?)
        })
        .await
    }

    /// Sends a spec back to its agent with a note; returns all specs that were queued.
    pub(super) async fn send_back(
        &mut self,
        home: &Home,
        id: &SpecId,
        note: &str,
        max_usd: Option<Usd>,
    ) -> Result<Vec<SpecId>, CliError> {
        let request = SendBack { id: id.clone(), note: note.to_owned(), max_usd };
        let by_daemon = async |client: &Client| Ok(call(client, &request).await?.ids);
        self.carry_out(home, ANSWER, by_daemon, async |home| {
            Ok(write(home)?.send_back(id, note, max_usd, clock::now())?)
        })
        .await
    }

    /// Records the worktree that the user opened, and the commit of the branch in it.
    pub(super) async fn opened(&mut self, home: &Home, opened: &Opened) -> Result<(), CliError> {
        let by_daemon = async |client: &Client| Ok(call(client, opened).await?);
        self.carry_out(home, ANSWER, by_daemon, async |home| {
            let Opened { id, worktree, head } = opened.clone();
            Ok(write(home)?.record_opened(&id, worktree, head)?)
        })
        .await
    }
}
