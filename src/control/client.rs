//! The command line's side of the socket.
//!
//! An answer may take long, since a question for newer state waits for news, and a cancel for the end of processes. So a
//! daemon is taken for hung only when it does not answer a question that costs nothing, asked beside the other.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use super::wire::{GIVE_UP, Refusal, RefusalCode};
use crate::process;
use crate::system::paths::ShortPath;

/// After so long without an answer it is looked whether the daemon answers at all.
const QUIET: Duration = Duration::from_secs(3);
/// How long that may take before the user is told.
const PROBE: Duration = Duration::from_secs(2);

/// Where a daemon listens.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    pid: Arc<AtomicI32>,
    /// Whether the user was told that it does not answer.
    told: Arc<AtomicBool>,
}

/// Why the daemon did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon listens.
    #[error("no daemon runs")]
    NoDaemon,
    /// The daemon refused.
    #[error("{message}")]
    Refused {
        /// Why.
        message: String,
        /// Whose fault it is.
        code: RefusalCode,
    },
    /// The daemon went away before it had answered.
    #[error("the daemon went away before it had answered")]
    Away,
    /// The daemon is there, and answers nothing.
    #[error("the daemon{}{} has not answered for {} s", of_pid(*pid), if *stopped { " is stopped, and" } else { "" }, GIVE_UP.as_secs())]
    Hung {
        /// Its process, where the kernel says it.
        pid: Option<i32>,
        /// Whether a signal stopped it.
        stopped: bool,
    },
    /// The connection broke.
    #[error("the daemon at {} does not answer: {reason}", socket.display())]
    Broken {
        /// Where.
        socket: PathBuf,
        /// How.
        reason: String,
    },
}

impl Client {
    /// The daemon that listens at `socket`, if one does.
    pub async fn connect(socket: &Path) -> Result<Option<Client>, ClientError> {
        let (pid, told) = (Arc::default(), Arc::default());
        let client = Client { socket: socket.to_owned(), pid, told };
        match client.stream().await {
            Ok(_) => Ok(Some(client)),
            Err(ClientError::NoDaemon) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks the daemon.
    pub async fn ask<Q: Serialize, A: DeserializeOwned>(&self, path: &str, question: &Q) -> Result<A, ClientError> {
        tokio::select! {
            biased;
            answer = self.ask_once(path, question) => answer,
            // A question that is given up may be carried out all the same.
            hung = self.hung() => Err(hung),
        }
    }

    /// Waits until the daemon is to be given up. The user is told once that it does not answer.
    pub async fn hung(&self) -> ClientError {
        let mut alive = Instant::now();
        loop {
            sleep(QUIET).await;
            let mut within = PROBE;
            loop {
                let asked = Instant::now();
                // A refusal or a broken connection is an answer: who asked gets to know it.
                if timeout(within, self.ask_once::<_, serde::de::IgnoredAny>("/v1/config", &())).await.is_ok() {
                    alive = asked;
                    break;
                }
                let pid = Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid > 0);
                if alive.elapsed() >= GIVE_UP {
                    return ClientError::Hung { pid, stopped: pid.is_some_and(process::is_stopped) };
                }
                if !self.told.swap(true, Ordering::Relaxed) {
                    eprintln!("the daemon{} does not answer; still waiting", of_pid(pid));
                }
                within = GIVE_UP.saturating_sub(alive.elapsed());
            }
        }
    }

    async fn ask_once<Q: Serialize, A: DeserializeOwned>(&self, path: &str, question: &Q) -> Result<A, ClientError> {
        let broken = |reason: String| ClientError::Broken { socket: self.socket.clone(), reason };
        let body = serde_json::to_vec(question).map_err(|error| broken(error.to_string()))?;
        let stream = self.stream().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(error.to_string()))?;
        // The connection's own end is seen by the request that waits on it.
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::post(path)
            .header("host", "boi")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| broken(error.to_string()))?;
        // Once connected, only the end of the other side cuts an answer off.
        let response = sender.send_request(request).await.map_err(|_| ClientError::Away)?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|_| ClientError::Away)?.to_bytes();
        if status == StatusCode::OK {
            return serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()));
        }
        let Refusal { error, code } = serde_json::from_slice(&bytes).unwrap_or_else(|_| Refusal {
            error: format!("{status}: {}", String::from_utf8_lossy(&bytes)),
            code: RefusalCode::Internal,
        });
        Err(ClientError::Refused { message: error, code })
    }

    async fn stream(&self) -> Result<UnixStream, ClientError> {
        let broken = |error: io::Error| ClientError::Broken { socket: self.socket.clone(), reason: error.to_string() };
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

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_answers_nothing_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let client = Client::connect(&path).await.unwrap().expect("somebody listens");
        let asked = Instant::now();
        let error = client.ask::<_, ()>("/v1/status", &()).await.unwrap_err();
        assert_eq!(asked.elapsed().as_secs(), GIVE_UP.as_secs());
        assert!(matches!(error, ClientError::Hung { pid: Some(_), stopped: false }), "{error}");
        assert!(client.told.load(Ordering::Relaxed));
    }
}
