//! The daemon's side of the socket.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures::FutureExt;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustix::net::{SocketFlags, accept_with};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::wire::{Ask, CancelResult, Cleaned, Dispatch, Ids, InForce, Leave, Pause, Refusal, RefusalCode, Told};
use crate::domain::id::SpecId;
use crate::domain::view::StatusView;
use crate::queue::{Canceled, Filter, Store, StoreError};
use crate::system::paths;

/// The largest request: more specs than anybody writes by hand.
const LARGEST: usize = 256 << 20;
/// How long a question for newer state is held open.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How often it is looked whether the socket is where it was bound.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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

/// The socket, bound, reachable for this user only. One whose file is removed is bound again.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    file: Option<(u64, u64)>,
    is_ours: Box<dyn Fn() -> bool + Send>,
}

/// Binds the socket. What lies at its path is a dead daemon's: the caller holds the lock of the living one, for as long as
/// `is_ours` says so.
pub fn bind(path: &Path, is_ours: impl Fn() -> bool + Send + 'static) -> io::Result<Socket> {
    Ok(Socket { listener: listen(path)?, path: path.to_owned(), file: place(path), is_ours: Box::new(is_ours) })
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let short = paths::ShortPath::new(path)?;
    let listener = UnixListener::bind(short.path())?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Which file is at a path.
fn place(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Socket {
    /// Binds the socket again where its file was removed or replaced.
    fn hold(&mut self) {
        if self.file.is_some() && place(&self.path) == self.file || !(self.is_ours)() {
            return;
        }
        match listen(&self.path) {
            Ok(listener) => {
                warn!(socket = %self.path.display(), "the control socket was removed: it is made again");
                self.listener = listener;
                self.file = place(&self.path);
            }
            // Said once.
            Err(error) if self.file.take().is_some() => {
                warn!(socket = %self.path.display(), %error, "the control socket was removed, and cannot be made again");
            }
            Err(_) => {}
        }
    }

    /// Removes the socket's file, so that nobody connects any more.
    fn remove(&self) {
        if place(&self.path) == self.file
            && (self.is_ours)()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            warn!(socket = %self.path.display(), %error, "the control socket stays");
        }
    }

    /// Who has connected and is not served yet.
    fn waiting(&self) -> impl Iterator<Item = UnixStream> {
        // The runtime may not have noticed them yet.
        let accept = || accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC).ok();
        std::iter::from_fn(accept).filter_map(|stream| UnixStream::from_std(stream.into()).ok())
    }
}

/// Whether who has connected may ask: this user.
fn is_own(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == rustix::process::getuid().as_raw() => return true,
        Ok(peer) => warn!(uid = peer.uid(), "a stranger was turned away from the control socket"),
        Err(error) => warn!(%error, "a peer without credentials was turned away"),
    }
    false
}

/// Serves the socket until it is `closing`: then nobody can connect any more, and who has is answered before this returns.
pub async fn serve<C: Control>(mut socket: Socket, control: C, mut closing: watch::Receiver<bool>) {
    let until = closing.clone();
    let routes = Router::new()
        .route("/v1/dispatch", post(dispatch::<C>))
        .route("/v1/status", post(async move |state: State<C>, asked| status(state, asked, until.clone()).await))
        .route("/v1/cancel", post(cancel::<C>))
        .route("/v1/retry", post(retry::<C>))
        .route("/v1/pause", post(pause::<C>))
        .route("/v1/config", post(in_force::<C>))
        .route("/v1/leave", post(leave::<C>))
        .route("/v1/cleaned", post(cleaned::<C>))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(control);
    let mut connections = JoinSet::new();
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let answer = |stream: UnixStream, connections: &mut JoinSet<()>| {
        if is_own(&stream) {
            let service = TowerToHyperService::new(routes.clone());
            // Who asked has gone away, or sent what is no request: its own side says so.
            connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service).map(drop));
        }
    };
    loop {
        // Cancel-safe, all of them: who has connected stays in the queue, what has ended stays in the set.
        tokio::select! {
            accepted = socket.listener.accept() => match accepted {
                Ok((stream, _)) => answer(stream, &mut connections),
                Err(error) => {
                    warn!(%error, "the control socket cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = look.tick() => socket.hold(),
            () = closed(&mut closing) => break,
        }
    }
    socket.remove();
    for stream in socket.waiting() {
        answer(stream, &mut connections);
    }
    while connections.join_next().await.is_some() {}
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // A daemon that is gone has closed it as well.
    drop(closing.wait_for(|closing| *closing).await);
}

async fn dispatch<C: Control>(State(control): State<C>, Json(asked): Json<Dispatch>) -> Result<Json<Ids>, Failure> {
    Ok(Json(Ids { ids: control.dispatch(asked.specs).await? }))
}

async fn status<C: Control>(
    State(control): State<C>,
    Json(asked): Json<Ask>,
    mut closing: watch::Receiver<bool>,
) -> Result<Json<Told>, Failure> {
    let revision = match asked.newer_than {
        Some(revision) => tokio::select! {
            revision = control.newer_than(revision) => revision,
            () = tokio::time::sleep(LONGEST_WAIT) => revision,
            () = closed(&mut closing) => revision,
        },
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
