//! The command line's side of the control socket.
//!
//! An answer may take long: a status request can wait for a newer state, and a cancel can wait for processes
//! to end. While the client waits for an answer, it makes a second, cheap call from time to time. Only a
//! daemon that does not answer this call either counts as hung.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use super::calls::{Call, CallFailure, FailureCode, GIVE_UP, GetConfig, VERSION_HEADER};
use crate::process::peer::Peer;
use crate::process::procfs;
use crate::system::output::say;
use crate::system::paths::ShortPath;

/// How long the client waits for an answer before it checks whether the daemon answers at all.
const QUIET: Duration = Duration::from_secs(3);
/// How long the check after [`QUIET`] may take before the client prints that the daemon does not
/// answer.
const PROBE: Duration = Duration::from_secs(2);

/// A client of the daemon that listens at a socket.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    socket: PathBuf,
    pid: Arc<AtomicI32>,
    /// A connection that no call has used yet.
    unused: Arc<Mutex<Option<UnixStream>>>,
    /// The daemon's version, which is known after the first answer.
    version: Arc<OnceLock<String>>,
    /// Whether the client has already printed that the daemon does not answer.
    warned: Arc<AtomicBool>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No daemon listens on the socket.
    #[error("no daemon runs")]
    NoDaemon,
    /// The daemon answered with a failure.
    #[error("{message}")]
    Refused {
        /// The daemon's message that says why the call failed.
        message: String,
        /// The kind of the failure.
        code: FailureCode,
    },
    /// The daemon ended before it answered.
    #[error("the daemon ended before it answered the call")]
    Away,
    /// The daemon runs and has answered nothing for [`GIVE_UP`].
    #[error("the daemon{}{} has not answered for {} s", of_pid(*pid), if *stopped { " is stopped, and" } else { "" }, GIVE_UP.as_secs())]
    Hung {
        /// The daemon's pid, if the kernel reports it.
        pid: Option<i32>,
        /// Whether the process is stopped by a signal.
        stopped: bool,
    },
    /// The call failed for another reason, such as a broken connection or an invalid answer.
    #[error("the call to the daemon at {} failed: {reason}", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What failed.
        reason: String,
    },
}

impl Client {
    /// Connects to the daemon that listens at `socket`; `None`: no daemon listens there.
    pub(crate) async fn connect(socket: &Path) -> Result<Option<Client>, ClientError> {
        let socket = socket.to_owned();
        let client = Client {
            socket,
            pid: Arc::default(),
            unused: Arc::default(),
            version: Arc::default(),
            warned: Arc::default(),
        };
        match client.stream().await {
            Ok(stream) => {
                *client.unused.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
                Ok(Some(client))
            }
            Err(ClientError::NoDaemon) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a call, and returns the daemon's answer.
    pub(crate) async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, ClientError> {
        tokio::select! {
            biased;
            answer = self.call_once(call) => answer,
            // The daemon may still carry out a call for which the client no longer waits.
            hung = self.hung() => Err(hung),
        }
    }

    /// Makes a call, and returns the process that answered it.
    pub(crate) async fn call_with_peer<C: Call>(&self, call: &C) -> Result<(C::Answer, Peer), ClientError> {
        let exchange = async {
            let stream = self.stream().await?;
            let peer = Peer::open(&stream, stream.peer_cred().ok().and_then(|peer| peer.pid()));
            Ok((self.exchange(stream, call).await?, peer))
        };
        tokio::select! {
            biased;
            answer = exchange => answer,
            hung = self.hung() => Err(hung),
        }
    }

    /// The path of the socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns the version of the daemon, once it has answered a call. A daemon that sends no version has
    /// version 0.1.0.
    pub(crate) fn daemon_version(&self) -> Option<&str> {
        self.version.get().map(String::as_str)
    }

    /// The daemon's pid, if the kernel reports it.
    pub(crate) fn pid(&self) -> Option<i32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid > 0)
    }

    /// Returns when the daemon has answered nothing for [`GIVE_UP`]. Before that, tells the user once that the daemon
    /// does not answer.
    pub(crate) async fn hung(&self) -> ClientError {
        let mut alive = Instant::now();
        loop {
            sleep(QUIET).await;
            let mut within = PROBE;
            loop {
                let asked = Instant::now();
                // A failed check counts as an answer: the user's own call reports the failure.
                if timeout(within, self.call_once(&GetConfig)).await.is_ok() {
                    alive = asked;
                    break;
                }
                let pid = self.pid();
                if alive.elapsed() >= GIVE_UP {
                    return ClientError::Hung { pid, stopped: pid.is_some_and(procfs::is_stopped) };
                }
                if !self.warned.swap(true, Ordering::Relaxed) {
                    say!("the daemon{} does not answer; still waiting", of_pid(pid));
                }
                within = GIVE_UP.saturating_sub(alive.elapsed());
            }
        }
    }

    async fn call_once<C: Call>(&self, call: &C) -> Result<C::Answer, ClientError> {
        self.exchange(self.stream().await?, call).await
    }

    pub(super) fn broken(&self, reason: String) -> ClientError {
        ClientError::Broken { socket: self.socket.clone(), reason }
    }

    async fn exchange<C: Call>(&self, stream: UnixStream, call: &C) -> Result<C::Answer, ClientError> {
        let broken = |reason: String| self.broken(reason);
        let body = serde_json::to_vec(call).map_err(|error| broken(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(error.to_string()))?;
        // If the connection fails, the request on it fails too and reports the error.
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::post(C::PATH)
            .header("host", "boi")
            .header("content-type", "application/json")
            .header(VERSION_HEADER, env!("CARGO_PKG_VERSION"))
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| broken(error.to_string()))?;
        // Once the connection is made, only the end of the daemon interrupts the answer.
        let response = sender.send_request(request).await.map_err(|_| ClientError::Away)?;
        let version = response.headers().get(VERSION_HEADER).and_then(|version| version.to_str().ok());
        self.version.get_or_init(|| version.unwrap_or("0.1.0").to_owned());
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|_| ClientError::Away)?.to_bytes();
        if status == StatusCode::OK {
            return serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()));
        }
        let CallFailure { error, code } = serde_json::from_slice(&bytes).unwrap_or_else(|_| CallFailure {
            error: match status {
                StatusCode::NOT_FOUND => format!(
                    "the running daemon (version {}) does not know this command; `boi daemon restart` replaces it by \
                     version {}",
                    self.daemon_version().unwrap_or("0.1.0"),
                    env!("CARGO_PKG_VERSION")
                ),
                status => format!("{status}: {}", String::from_utf8_lossy(&bytes)),
            },
            code: if status == StatusCode::NOT_FOUND { FailureCode::NoSuchCall } else { FailureCode::Internal },
        });
        Err(ClientError::Refused { message: error, code })
    }

    pub(super) async fn stream(&self) -> Result<UnixStream, ClientError> {
        let unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A daemon that ended has closed its connections.
        let is_open = |stream: &UnixStream| matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if let Some(stream) = unused.filter(is_open) {
            return Ok(stream);
        }
        let broken = |error: io::Error| self.broken(error.to_string());
        let short = match ShortPath::new(&self.socket) {
            Ok(short) => short,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ClientError::NoDaemon),
            Err(error) => return Err(broken(error)),
        };
        match UnixStream::connect(short.path()).await {
            Ok(stream) => {
                if let Some(pid) = stream.peer_cred().ok().and_then(|peer| peer.pid()) {
                    self.pid.store(pid, Ordering::Relaxed);
                }
                Ok(stream)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Err(ClientError::NoDaemon),
                _ => Err(broken(error)),
            },
        }
    }
}

fn of_pid(pid: Option<i32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::calls::StatusRequest;

    #[tokio::test(start_paused = true)]
    async fn the_client_gives_up_on_a_daemon_that_answers_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let client = Client::connect(&path).await.unwrap().expect("a listener");
        let asked = Instant::now();
        let error = client.call(&StatusRequest::default()).await.unwrap_err();
        assert_eq!(asked.elapsed().as_secs(), GIVE_UP.as_secs());
        assert!(matches!(error, ClientError::Hung { pid: Some(_), stopped: false }), "{error}");
        assert!(client.warned.load(Ordering::Relaxed));
    }
}
