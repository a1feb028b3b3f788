//! Where log events go, and the filter that a reload can change.

use std::fs::File;
use std::io::IsTerminal;
use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Changes the filter of a running log.
#[derive(Clone)]
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

/// Where log events are written.
pub enum Target {
    /// Standard error, with colour on a terminal unless the user asked for none.
    Stderr {
        /// Whether colour is welcome.
        color: bool,
    },
    /// A file, appended to.
    File(File),
}

/// Begins logging, with `filter` as the configuration has it.
pub fn begin(target: Target, filter: &str) -> Result<LogFilter, String> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let registry = tracing_subscriber::registry().with(filter);
    let begun = match target {
        Target::Stderr { color } => {
            let ansi = color && std::io::stderr().is_terminal();
            registry.with(fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false)).try_init()
        }
        Target::File(file) => {
            registry.with(fmt::layer().with_writer(Arc::new(file)).with_ansi(false).with_target(false)).try_init()
        }
    };
    begun.map_err(|error| error.to_string())?;
    Ok(LogFilter(handle))
}

impl LogFilter {
    /// Puts another filter in force.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        self.0.reload(parse(filter)?).map_err(|error| error.to_string())
    }
}

/// Whether the subscriber takes a filter.
pub fn check(filter: &str) -> Result<(), String> {
    parse(filter).map(drop)
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter).map_err(|error| format!("the log filter `{filter}` is not valid: {error}"))
}
