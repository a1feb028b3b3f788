//! One HTTP exchange on a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A request as it was read.
pub struct Call {
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers with their names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Call {
    /// The value of a header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Answers the one request on a connection.
pub fn serve(stream: &TcpStream, answer: impl FnOnce(&Call) -> Response) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut call = Call { method, path, headers: Vec::new(), body: Vec::new() };
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        call.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut out = stream;
    if call.header("expect").is_some() {
        out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length = call.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    call.body = vec![0; length];
    reader.read_exact(&mut call.body)?;
    out.write_all(&answer(&call).bytes())?;
    out.flush()
}

pub struct Response {
    pub status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    pub fn json(status: u16, body: &Value) -> Response {
        let headers = vec![("content-type", "application/json".to_owned())];
        Response { status, headers, body: body.to_string().into_bytes() }
    }

    /// A stream of server-sent events; an event with a `type` is named by it.
    pub fn stream<'a>(events: impl IntoIterator<Item = &'a Value>) -> Response {
        let text: String = events
            .into_iter()
            .map(|event| match event["type"].as_str() {
                Some(kind) => format!("event: {kind}\ndata: {event}\n\n"),
                None => format!("data: {event}\n\n"),
            })
            .collect();
        let headers = vec![("content-type", "text/event-stream".to_owned())];
        Response { status: 200, headers, body: text.into_bytes() }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Response {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn without_body(mut self) -> Response {
        self.body.clear();
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\nconnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len()));
        [head.as_bytes(), &self.body].concat()
    }
}
