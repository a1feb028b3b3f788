//! What the daemon that runs says of itself and of its queue, and whether it says anything.

use super::Doctor;
use crate::cli::backend::{self, Backend};
use crate::cli::{CliError, block_on};
use crate::domain::view::StoreView;
use crate::queue::Filter;

impl Doctor {
    /// Asks the daemon. Returns whether the queue may be looked at: where the daemon waits for it in vain, so would this
    /// process.
    pub(super) fn look_at_daemon(&mut self) -> bool {
        let home = self.home.clone();
        let asked = block_on(async {
            let Some(client) = backend::daemon(&home).await? else { return Ok(StoreView::default()) };
            let filter = Filter { limit: 1, ..Filter::default() };
            Ok(Backend::Daemon(client).status(filter, None).await?.status.store)
        });
        match asked {
            Ok(StoreView { reason: None, .. }) => true,
            Ok(StoreView { reason: Some(reason), unanswered_seconds, .. }) => {
                let why = "nothing new is started for as long as that is so; what runs goes on".to_owned();
                let mend = "mend what it names: the daemon goes on by itself then".to_owned();
                let place = self.home.db().display().to_string();
                self.problem("daemon", [reason, place, why, mend], None);
                unanswered_seconds.is_none()
            }
            Err(error) => {
                let mend = match &error {
                    CliError::Message { hint: Some(hint), .. } | CliError::Away { hint, .. } => hint.clone(),
                    _ => "see the daemon's log".to_owned(),
                };
                let why = "nothing new is started, and no command reaches it; what runs goes on".to_owned();
                self.problem("daemon", [error.message(), self.home.socket().display().to_string(), why, mend], None);
                true
            }
        }
    }
}
