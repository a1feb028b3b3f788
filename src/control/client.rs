//! The command line's side of the socket.

use std::io;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::wire::{Refusal, RefusalCode};
use crate::host::paths::ShortPath;

/// Where a daemon listens.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
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
        let client = Client { socket: socket.to_owned() };
        match client.stream().await {
            Ok(_) => Ok(Some(client)),
            Err(ClientError::NoDaemon) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks the daemon.
    pub async fn ask<Q: Serialize, A: DeserializeOwned>(&self, path: &str, question: &Q) -> Result<A, ClientError> {
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
            Ok(stream) => Ok(stream),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Err(ClientError::NoDaemon),
                _ => Err(broken(error)),
            },
        }
    }
}
