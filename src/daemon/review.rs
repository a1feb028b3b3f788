//! Carries out the calls for the review of results. What they need of git, the command has done, or does
//! afterwards.

use tokio::sync::watch;

use super::Event;
use super::handle::Handle;
use crate::control::calls::{CallFailure, GIVE_UP, Ids};
use crate::control::review::{DropSpec, DroppedSpec, Opened, RestoredSpec, SendBack, UndoDrop};
use crate::control::server::Serve;
use crate::system::clock;

impl Serve<DropSpec> for Handle {
    async fn serve(
        &self,
        DropSpec { id, head }: DropSpec,
        _: watch::Receiver<bool>,
    ) -> Result<DroppedSpec, CallFailure> {
        let drop_spec = |handle: Handle| async move {
            let dropped = handle.queue(move |queue| queue.drop_spec(&id, head, clock::now())).await?;
            handle.shared.changed();
            Ok(DroppedSpec { before: dropped.before, failed: dropped.failed })
        };
        Ok(self.unless_silent(GIVE_UP, drop_spec).await?)
    }
}

impl Serve<UndoDrop> for Handle {
    async fn serve(
        &self,
        UndoDrop { id, kept }: UndoDrop,
        _: watch::Receiver<bool>,
    ) -> Result<RestoredSpec, CallFailure> {
        let undo = |handle: Handle| async move {
            let _no_removal = handle.shared.retention.exclude().await;
            let status = handle.queue(move |queue| queue.undo_drop(&id, kept, clock::now())).await?;
            handle.shared.changed();
            Ok(RestoredSpec { status })
        };
        Ok(self.unless_silent(GIVE_UP, undo).await?)
    }
}

impl Serve<SendBack> for Handle {
    async fn serve(&self, call: SendBack, _: watch::Receiver<bool>) -> Result<Ids, CallFailure> {
        let SendBack { id, note, max_usd } = call;
        let send_back = |handle: Handle| async move {
            let _no_removal = handle.shared.retention.exclude().await;
            let ids = handle.queue(move |queue| queue.send_back(&id, &note, max_usd, clock::now())).await?;
            handle.send(Event::Queued);
            handle.shared.changed();
            Ok(Ids { ids })
        };
        Ok(self.unless_silent(GIVE_UP, send_back).await?)
    }
}

impl Serve<Opened> for Handle {
    async fn serve(&self, call: Opened, _: watch::Receiver<bool>) -> Result<(), CallFailure> {
        let Opened { id, worktree, head } = call;
        let record = |handle: Handle| async move {
            handle.queue(move |queue| queue.record_opened(&id, worktree, head)).await?;
            handle.shared.changed();
            Ok(())
        };
        Ok(self.unless_silent(GIVE_UP, record).await?)
    }
}
