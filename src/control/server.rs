//! The daemon's side of the socket.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::Listener;
use axum::{Json, Router};
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tracing::warn;

use super::wire::{Ask, CancelResult, Cleaned, Dispatch, Ids, InForce, Leave, Pause, Refusal, RefusalCode, Told};
use crate::domain::id::SpecId;
use crate::domain::view::StatusView;
use crate::host::paths;
use crate::host::store::{Canceled, Filter, Store, StoreError};

/// The largest request: more specs than anybody writes by hand.
const LARGEST: usize = 256 << 20;
/// How long a question for newer state is held open.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What the socket does with a daemon.
pub trait Control: Clone + Send + Sync + 'static {
    /// Queues specs, all or none.
    fn dispatch(
        &self,
        specs: Vec<crate::domain::spec::Spec>,
    ) -> impl Future<Output = Result<Vec<SpecId>, StoreError>> + Send;
    /// The state.
    fn status(&self, filter: Filter) -> impl Future<Output = Result<StatusView, StoreError>> + Send;
    /// The state's revision, once it is newer than `revision`.
    fn newer_than(&self, revision: u64) -> impl Future<Output = u64> + Send;
    /// The state's revision.
    fn revision(&self) -> u64;
    /// Ends a spec.
    fn cancel(&self, spec: SpecId) -> impl Future<Output = Result<Canceled, StoreError>> + Send;
    /// Queues a spec again, and what failed because of it.
    fn retry(&self, spec: SpecId) -> impl Future<Output = Result<Vec<SpecId>, StoreError>> + Send;
    /// Pauses or resumes claiming.
    fn set_paused(&self, paused: bool) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// The configuration in force.
    fn in_force(&self) -> InForce;
    /// Begins to end the daemon.
    fn leave(&self, how: Leave);
    /// Notes what a clean has put away.
    fn cleaned(&self, cleaned: Cleaned) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The socket, bound, reachable for this user only.
pub struct Private(UnixListener);

/// Binds the socket. What lies at its path is a dead daemon's: the caller holds the lock of the living one.
pub fn bind(path: &Path) -> io::Result<Private> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let short = paths::ShortPath::new(path)?;
    let listener = UnixListener::bind(short.path())?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(Private(listener))
}

impl Listener for Private {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) => match stream.peer_cred() {
                    Ok(peer) if peer.uid() == rustix::process::getuid().as_raw() => return (stream, address),
                    Ok(peer) => warn!(uid = peer.uid(), "a stranger was turned away from the control socket"),
                    Err(error) => warn!(%error, "a peer without credentials was turned away"),
                },
                Err(error) => {
                    warn!(%error, "the control socket cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Serves the socket until it is aborted.
pub async fn serve<C: Control>(listener: Private, control: C) {
    let routes = Router::new()
        .route("/v1/dispatch", post(dispatch::<C>))
        .route("/v1/status", post(status::<C>))
        .route("/v1/cancel", post(cancel::<C>))
        .route("/v1/retry", post(retry::<C>))
        .route("/v1/pause", post(pause::<C>))
        .route("/v1/config", post(in_force::<C>))
        .route("/v1/leave", post(leave::<C>))
        .route("/v1/cleaned", post(cleaned::<C>))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(control);
    if let Err(error) = axum::serve(listener, routes).await {
        warn!(%error, "the control socket broke down");
    }
}

async fn dispatch<C: Control>(State(control): State<C>, Json(asked): Json<Dispatch>) -> Result<Json<Ids>, Failure> {
    Ok(Json(Ids { ids: control.dispatch(asked.specs).await? }))
}

async fn status<C: Control>(State(control): State<C>, Json(asked): Json<Ask>) -> Result<Json<Told>, Failure> {
    let revision = match asked.newer_than {
        Some(revision) => {
            let newer = tokio::time::timeout(LONGEST_WAIT, control.newer_than(revision)).await;
            newer.unwrap_or(revision)
        }
        None => control.revision(),
    };
    Ok(Json(Told { revision, status: control.status(asked.filter).await? }))
}

async fn cancel<C: Control>(
    State(control): State<C>,
    Json(asked): Json<Ids>,
) -> Result<Json<Vec<CancelResult>>, Failure> {
    let mut results = Vec::new();
    for id in asked.ids {
        let outcome = control.cancel(id.clone()).await?;
        results.push(CancelResult { id, outcome });
    }
    Ok(Json(results))
}

async fn retry<C: Control>(State(control): State<C>, Json(asked): Json<Ids>) -> Result<Json<Ids>, Failure> {
    let mut ids = Vec::new();
    for id in asked.ids {
        if !ids.contains(&id) {
            ids.extend(control.retry(id).await?);
        }
    }
    Ok(Json(Ids { ids }))
}

async fn pause<C: Control>(State(control): State<C>, Json(asked): Json<Pause>) -> Result<Json<Pause>, Failure> {
    control.set_paused(asked.paused).await?;
    Ok(Json(asked))
}

async fn in_force<C: Control>(State(control): State<C>) -> Json<InForce> {
    Json(control.in_force())
}

async fn leave<C: Control>(State(control): State<C>, Json(how): Json<Leave>) -> Json<Leave> {
    control.leave(how);
    Json(how)
}

async fn cleaned<C: Control>(State(control): State<C>, Json(asked): Json<Cleaned>) -> Result<Json<()>, Failure> {
    Ok(Json(control.cleaned(asked).await?))
}

/// Notes in a store what a clean has put away.
pub fn note_cleaned(store: &dyn Store, cleaned: &Cleaned) -> Result<(), StoreError> {
    store.keep(&cleaned.id, cleaned.kept.clone())?;
    if cleaned.worktree {
        store.set_worktree(&cleaned.id, None)?;
    }
    if cleaned.branch {
        store.forget_branch(&cleaned.id)?;
    }
    Ok(())
}

struct Failure(StoreError);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, code) = match &self.0 {
            StoreError::Unknown(_) => (StatusCode::NOT_FOUND, RefusalCode::Unknown),
            StoreError::Refused(_) => (StatusCode::CONFLICT, RefusalCode::Refused),
            StoreError::Silent { .. } => (StatusCode::SERVICE_UNAVAILABLE, RefusalCode::Silent),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, RefusalCode::Internal),
        };
        (status, Json(Refusal { error: self.0.to_string(), code })).into_response()
    }
}
