//! The command line's side of the stream of events.

use std::collections::VecDeque;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::calls::{CallFailure, FailureCode, VERSION_HEADER};
use super::client::{Client, ClientError};
use super::events::{KEEP_ALIVE, Reader, Received, StreamRequest};

/// How long a stream may be silent until it counts as broken. The daemon sends something every [`KEEP_ALIVE`].
const SILENT: Duration = Duration::from_secs(3 * KEEP_ALIVE.as_secs());

/// A stream of events from a daemon.
pub(crate) struct EventStream {
    body: Incoming,
    reader: Reader,
    received: VecDeque<Received>,
}

impl Client {
    /// Asks the daemon for a stream of events. A daemon of an earlier version answers with
    /// [`FailureCode::NoSuchCall`].
    pub(crate) async fn events(&self, request: &StreamRequest) -> Result<EventStream, ClientError> {
        tokio::select! {
            biased;
            stream = self.open_events(request) => stream,
            hung = self.hung() => Err(hung),
        }
    }

    async fn open_events(&self, request: &StreamRequest) -> Result<EventStream, ClientError> {
        let broken = |reason: String| self.broken(reason);
        let stream = self.stream().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| broken(error.to_string()))?;
        // If the connection fails, reading the body fails too and reports the error.
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::get(request.path())
            .header("host", "boi")
            .header("accept", "text/event-stream")
            .header(VERSION_HEADER, env!("CARGO_PKG_VERSION"))
            .body(Empty::new())
            .map_err(|error| broken(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(|_| ClientError::Away)?;
        match response.status() {
            StatusCode::OK => {
                Ok(EventStream { body: response.into_body(), reader: Reader::default(), received: VecDeque::new() })
            }
            StatusCode::NOT_FOUND => Err(ClientError::Refused {
                message: "the daemon is of an earlier version, which has no events".to_owned(),
                code: FailureCode::NoSuchCall,
            }),
            status => {
                let bytes = response.into_body().collect().await.map_err(|_| ClientError::Away)?.to_bytes();
                let failure = serde_json::from_slice(&bytes).unwrap_or_else(|_| CallFailure {
                    error: format!("{status}: {}", String::from_utf8_lossy(&bytes)),
                    code: FailureCode::Internal,
                });
                Err(ClientError::Refused { message: failure.error, code: failure.code })
            }
        }
    }
}

impl EventStream {
    /// Waits for the next message. Fails when the daemon has ended. Cancel-safe: what was read stays.
    pub(crate) async fn next(&mut self) -> Result<Received, ClientError> {
        loop {
            if let Some(received) = self.received.pop_front() {
                return Ok(received);
            }
            let frame = timeout(SILENT, self.body.frame()).await.map_err(|_| ClientError::Away)?;
            let frame = frame.ok_or(ClientError::Away)?.map_err(|_| ClientError::Away)?;
            if let Some(bytes) = frame.data_ref() {
                self.received.extend(self.reader.take(bytes));
            }
        }
    }
}
