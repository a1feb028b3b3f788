//! The daemon's side of the control socket. Only processes of the user who runs the daemon get answers. If
//! the socket's file is removed, the socket is bound again. A daemon that ends first answers the calls that
//! it has accepted.

use std::convert::Infallible;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustix::net::{SocketFlags, accept_with};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use super::calls::{
    Call, CallFailure, Cancel, CheckProgram, Dispatch, FailureCode, GetConfig, HoldAgent, Land, Leave, Reload,
    ResumeAgents, Retry, RevokeTrust, SetPaused, SetPriority, SettleChanges, StatusRequest, Stop, Trust,
    VERSION_HEADER,
};
use super::events::{self, StreamQuery, StreamRequest};
use super::review::{DropSpec, Opened, SendBack, UndoDrop};
use crate::queue::Cleaned;
use crate::system::paths;
use crate::system::repeat::{self, Repeated};

/// The largest accepted request, in bytes. No list of specs that was written by hand is larger.
const LARGEST_REQUEST: usize = 256 << 20;
/// The interval between two checks that the socket's file is still in place.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Answers calls of one type.
pub(crate) trait Serve<C: Call>: Clone + Send + Sync + 'static {
    /// Carries out `call`. A call that waits for a newer state returns early when `closing` turns true.
    fn serve(
        &self,
        call: C,
        closing: watch::Receiver<bool>,
    ) -> impl Future<Output = Result<C::Answer, CallFailure>> + Send;
}

/// Answers calls of every type.
pub(crate) trait Service:
    Serve<Dispatch>
    + Serve<StatusRequest>
    + Serve<Cancel>
    + Serve<Land>
    + Serve<Retry>
    + Serve<Stop>
    + Serve<SetPriority>
    + Serve<SetPaused>
    + Serve<HoldAgent>
    + Serve<ResumeAgents>
    + Serve<Trust>
    + Serve<RevokeTrust>
    + Serve<GetConfig>
    + Serve<CheckProgram>
    + Serve<Leave>
    + Serve<Reload>
    + Serve<Cleaned>
    + Serve<SettleChanges>
    + Serve<DropSpec>
    + Serve<UndoDrop>
    + Serve<SendBack>
    + Serve<Opened>
{
    /// Returns the stream of events, in parts of whole messages. The stream ends when `closing` turns true.
    fn events(
        &self,
        request: StreamRequest,
        closing: watch::Receiver<bool>,
    ) -> impl Future<Output = Result<BoxStream<'static, String>, CallFailure>> + Send;
}

/// The bound control socket.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    file: Option<(u64, u64)>,
    is_ours: Box<dyn Fn() -> bool + Send>,
}

/// Binds the socket, and removes a file that is already at its path. Such a file was left by a daemon that
/// died, because the caller holds the lock of the pid file, so no other daemon runs. `is_ours` returns
/// whether the home at this path is still the home of this daemon.
pub(crate) fn bind(path: &Path, is_ours: impl Fn() -> bool + Send + 'static) -> io::Result<Socket> {
    Ok(Socket { listener: listen(path)?, path: path.to_owned(), file: file_identity(path), is_ours: Box::new(is_ours) })
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

/// The device and inode of the file at a path.
fn file_identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Socket {
    /// Waits until the socket's file was removed or replaced, at least [`CHECK_EVERY`].
    fn replaced(&self) -> Repeated<()> {
        let (path, file) = (self.path.clone(), self.file);
        repeat::until_found(CHECK_EVERY, move || (file.is_none() || file_identity(&path) != file).then_some(()))
    }

    /// Binds the socket again if its file was removed or replaced.
    fn restore(&mut self) {
        if self.file.is_some() && file_identity(&self.path) == self.file || !(self.is_ours)() {
            return;
        }
        match listen(&self.path) {
            Ok(listener) => {
                warn!(socket = %self.path.display(), "the control socket was removed; the daemon created it again");
                self.listener = listener;
                self.file = file_identity(&self.path);
            }
            // The error is logged only once: `file` is `None` until the socket is bound again.
            Err(error) if self.file.take().is_some() => {
                warn!(socket = %self.path.display(), %error, "the control socket was removed, and the daemon cannot create it again: `boi` commands cannot reach this daemon");
            }
            Err(_) => {}
        }
    }

    /// Removes the socket's file, so that no client connects any more.
    fn remove(&self) {
        if file_identity(&self.path) == self.file
            && (self.is_ours)()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            warn!(socket = %self.path.display(), %error, "the daemon cannot remove the file of its control socket");
        }
    }

    /// Accepts the connections that clients have made and that are not served yet.
    fn pending_connections(&self) -> impl Iterator<Item = UnixStream> {
        // The async listener may not have returned these connections yet, so they are accepted with a direct
        // call.
        let accept = || accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC).ok();
        std::iter::from_fn(accept).filter_map(|stream| UnixStream::from_std(stream.into()).ok())
    }
}

/// Whether the peer is a process of this user.
fn is_own(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == rustix::process::getuid().as_raw() => return true,
        Ok(peer) => warn!(uid = peer.uid(), "the daemon refused another user's connection to the control socket"),
        Err(error) => {
            warn!(%error, "the daemon refused a connection to the control socket, because it cannot read the client's credentials")
        }
    }
    false
}

/// Serves the socket until `closing` turns true. Then removes the socket, so that no more clients can
/// connect, answers every connected client, and returns.
pub(crate) async fn serve<S: Service>(mut socket: Socket, service: S, mut closing: watch::Receiver<bool>) {
    let routes = Router::new();
    let routes = route::<Dispatch, S>(routes, &closing);
    let routes = route::<StatusRequest, S>(routes, &closing);
    let routes = route::<Cancel, S>(routes, &closing);
    let routes = route::<Land, S>(routes, &closing);
    let routes = route::<Retry, S>(routes, &closing);
    let routes = route::<Stop, S>(routes, &closing);
    let routes = route::<SetPriority, S>(routes, &closing);
    let routes = route::<SetPaused, S>(routes, &closing);
    let routes = route::<HoldAgent, S>(routes, &closing);
    let routes = route::<ResumeAgents, S>(routes, &closing);
    let routes = route::<Trust, S>(routes, &closing);
    let routes = route::<RevokeTrust, S>(routes, &closing);
    let routes = route::<GetConfig, S>(routes, &closing);
    let routes = route::<CheckProgram, S>(routes, &closing);
    let routes = route::<Leave, S>(routes, &closing);
    let routes = route::<Reload, S>(routes, &closing);
    let routes = route::<Cleaned, S>(routes, &closing);
    let routes = route::<SettleChanges, S>(routes, &closing);
    let routes = event_route(routes, &closing);
    let routes = route::<DropSpec, S>(routes, &closing);
    let routes = route::<UndoDrop, S>(routes, &closing);
    let routes = route::<SendBack, S>(routes, &closing);
    let routes = route::<Opened, S>(routes, &closing);
    let routes = routes.layer(DefaultBodyLimit::max(LARGEST_REQUEST)).with_state(service);
    let mut connections = JoinSet::new();
    let mut replaced = socket.replaced();
    let answer = |stream: UnixStream, connections: &mut JoinSet<()>| {
        if is_own(&stream) {
            let service = TowerToHyperService::new(routes.clone());
            // An error means that the client disconnected or sent no valid request: it gets no answer.
            connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service).map(drop));
        }
    };
    loop {
        // All branches are cancel-safe: a connection stays in the backlog, and an ended task stays in the set.
        tokio::select! {
            accepted = socket.listener.accept() => match accepted {
                Ok((stream, _)) => answer(stream, &mut connections),
                Err(error) => {
                    warn!(%error, "the daemon cannot accept a connection to the control socket; it tries again");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = &mut replaced => {
                socket.restore();
                replaced = socket.replaced();
            }
            () = closed(&mut closing) => break,
        }
    }
    socket.remove();
    for stream in socket.pending_connections() {
        answer(stream, &mut connections);
    }
    while connections.join_next().await.is_some() {}
}

/// Waits until the socket is to be closed.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    // If the sender was dropped, the socket is to be closed as well.
    drop(closing.wait_for(|closing| *closing).await);
}

/// Adds the route of one call.
fn route<C: Call, S: Serve<C>>(routes: Router<S>, closing: &watch::Receiver<bool>) -> Router<S> {
    let closing = closing.clone();
    let answer = async move |State(service): State<S>, headers: HeaderMap, Json(call): Json<C>| {
        log_version_skew(&headers);
        let version = [(VERSION_HEADER, env!("CARGO_PKG_VERSION"))];
        match service.serve(call, closing.clone()).await {
            Ok(answer) => (version, Json(answer)).into_response(),
            Err(failure) => (status_of(failure.code), version, Json(failure)).into_response(),
        }
    };
    routes.route(C::PATH, post(answer))
}

/// Adds the route of the stream of events.
fn event_route<S: Service>(routes: Router<S>, closing: &watch::Receiver<bool>) -> Router<S> {
    let closing = closing.clone();
    let answer = async move |State(service): State<S>, headers: HeaderMap, RawQuery(query): RawQuery| {
        let last_id = headers.get(events::LAST_EVENT_ID).and_then(|id| id.to_str().ok());
        let version = (VERSION_HEADER, env!("CARGO_PKG_VERSION"));
        let request = match StreamQuery::parse(&query.unwrap_or_default()).read(last_id) {
            Ok(request) => request,
            Err(error) => {
                let failure = CallFailure { error: error.to_string(), code: FailureCode::Refused };
                return (StatusCode::BAD_REQUEST, [version], Json(failure)).into_response();
            }
        };
        match service.events(request, closing.clone()).await {
            Ok(stream) => {
                let kind = ("content-type", "text/event-stream");
                let body = Body::from_stream(stream.map(Ok::<_, Infallible>));
                ([version, kind, ("cache-control", "no-store")], body).into_response()
            }
            Err(failure) => (status_of(failure.code), [version], Json(failure)).into_response(),
        }
    };
    routes.route(events::PATH, get(answer))
}

fn status_of(code: FailureCode) -> StatusCode {
    match code {
        FailureCode::Unknown | FailureCode::NoSuchCall => StatusCode::NOT_FOUND,
        FailureCode::Refused => StatusCode::CONFLICT,
        FailureCode::Silent => StatusCode::SERVICE_UNAVAILABLE,
        FailureCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Logs once that a client of another version called.
fn log_version_skew(headers: &HeaderMap) {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    let client = headers.get(VERSION_HEADER).and_then(|version| version.to_str().ok());
    if client != Some(env!("CARGO_PKG_VERSION")) && !LOGGED.swap(true, Ordering::Relaxed) {
        let (client, daemon) = (client.unwrap_or("0.1.0"), env!("CARGO_PKG_VERSION"));
        warn!(
            client,
            daemon,
            "a `boi` command of another version called this daemon; to replace the daemon by one of that version, run `boi daemon restart` with that program"
        );
    }
}
