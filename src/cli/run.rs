//! `boi run`: the main job in one command. Without a daemon this process is one, for these specs and what they wait for.

use std::time::Duration;

use futures::StreamExt;
use signal_hook::consts::SIGINT;
use signal_hook_tokio::Signals;
use tokio::time::Instant;

use super::args::Run;
use super::backend::{self, Backend, LOOK_AGAIN};
use super::{BAD_CONFIG, CliError, Context, ExitCode, FAILED, INTERRUPTED, block_on_daemon, print, print_json, specs};
use crate::daemon::boot::{self, Running, Seat};
use crate::daemon::{Event, Leaving};
use crate::domain::attempt::SpecStatus;
use crate::domain::id::SpecId;
use crate::domain::outcome::Delivery;
use crate::domain::view::{SpecView, StatusView};
use crate::queue::{Filter, Store};
use crate::reload;
use crate::system::logs::{self, Target};
use crate::ui::progress::Progress;
use crate::ui::report;

/// How long a daemon that has gone away is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may be away before that is said.
const NOTICE: Duration = Duration::from_secs(1);

/// `boi run`.
pub(super) fn run(context: Context, asked: Run) -> Result<ExitCode, CliError> {
    block_on_daemon(async {
        match Backend::find(&context.home).await? {
            Backend::Daemon(client) => through_daemon(&context, Backend::Daemon(client), &asked).await,
            Backend::Own(_) => as_daemon(&context, &asked).await,
        }
    })
}

async fn through_daemon(context: &Context, mut backend: Backend, asked: &Run) -> Result<ExitCode, CliError> {
    let status = backend.status_now(&context.home, &Filter { limit: 1, ..Filter::default() }, None).await?.status;
    if let Some(daemon) = status.daemon.filter(|daemon| daemon.scoped) {
        let message =
            format!("another `boi run` (pid {}) carries out its own specs and would not touch these", daemon.pid);
        return Err(CliError::new(FAILED, message)
            .hint("wait for its end; or start a daemon for both next time: `boi daemon start`"));
    }
    let home = backend::configured(&context.home);
    let queue = backend::read(&home)?;
    let loaded = specs::load(&asked.files, queue.as_ref().map(|store| store as &dyn Store))?;
    let ids = backend.dispatch(&context.home, loaded).await?;
    let mut interrupts = Signals::new([SIGINT])?;
    tokio::select! {
        // Neither branch changes anything: the daemon carries the specs out.
        told = follow(context, &backend, &ids, asked.json) => conclude(context, &told?, asked.json),
        _ = interrupts.next() => {
            eprintln!("\nno longer following; the daemon goes on: `boi status`");
            Ok(INTERRUPTED)
        }
    }
}

async fn as_daemon(context: &Context, asked: &Run) -> Result<ExitCode, CliError> {
    let booted = match reload::boot(&context.home, &asked.flags.read()?) {
        Ok(booted) => booted,
        Err(error) => {
            super::report(&error.into(), asked.json, context.color);
            return Ok(BAD_CONFIG);
        }
    };
    let home = context.home.clone().with_paths(&booted.config.paths);
    home.prepare()?;
    let seat = Seat::take(&home, boot::PROBED).await?;
    let loaded = specs::load(&asked.files, Some(seat.store()))?;
    let ids = backend::enqueue(seat.store(), loaded)?;
    // The terminal belongs to the progress display.
    let log_file = home.log_file();
    let log = logs::begin(Target::File(log_file), &booted.config.log)
        .map_err(|message| CliError::new(BAD_CONFIG, message))?;
    let running = seat.start(booted, log, Some(ids.clone()))?;
    follow_own(context, running, &ids, asked.json).await
}

async fn follow_own(context: &Context, running: Running, ids: &[SpecId], json: bool) -> Result<ExitCode, CliError> {
    let mut progress = Progress::begin(json);
    let handle = running.handle.clone();
    let filter = Filter { ids: ids.to_vec(), history: true, ..Filter::default() };
    let ended = running.ended();
    tokio::pin!(ended);
    // The daemon itself acts on them; here they are only talked about.
    let mut interrupts = Signals::new([SIGINT])?;
    let mut interrupted = 0_u32;
    let mut revision = 0;
    let last = loop {
        let status = handle.status(filter.clone()).await?.with_ids_in_reasons();
        progress.show(&status);
        if status.specs.iter().all(|spec| spec.status.is_ended()) {
            handle.send(Event::Leave(Leaving::Stop));
            ended.as_mut().await?;
            break status;
        }
        tokio::select! {
            // Cancel-safe: only waits.
            newer = handle.newer_than(revision) => revision = newer,
            // Cancel-safe: a signal that was not received stays in the stream.
            Some(_) = interrupts.next() => {
                interrupted += 1;
                let ids = ids_of(&status, |spec| spec.status == SpecStatus::Running);
                if interrupted == 1 && !ids.is_empty() {
                    progress.say(&format!("\nstopping {ids}; Ctrl-C once more to leave without waiting"));
                }
            }
            // Cancel-safe: pinned outside the loop.
            left = ended.as_mut() => {
                left?;
                break handle.status(filter.clone()).await?.with_ids_in_reasons();
            }
        }
    };
    progress.end();
    if last.specs.iter().all(|spec| spec.status.is_ended()) {
        return conclude(context, &last, json);
    }
    if json {
        print_json(&last)?;
    }
    say_what_is_left(&last, interrupted > 0);
    Ok(INTERRUPTED)
}

/// The ids of the specs that `select` takes, apart by spaces.
fn ids_of(status: &StatusView, select: impl Fn(&SpecView) -> bool) -> String {
    let ids: Vec<&str> = status.specs.iter().filter(|spec| select(spec)).map(|spec| spec.id.as_str()).collect();
    ids.join(" ")
}

/// Says what became of the specs that have not ended. `told`: their commands were told to end.
fn say_what_is_left(status: &StatusView, told: bool) {
    let running = ids_of(status, |spec| spec.status == SpecStatus::Running);
    let stopped = ids_of(status, |spec| spec.status == SpecStatus::Queued && spec.attempt > 0);
    let fresh = ids_of(status, |spec| spec.status == SpecStatus::Queued && spec.attempt == 0);
    eprintln!();
    match (running.as_str(), told) {
        ("", _) => {}
        (ids, true) => {
            eprintln!("being ended: {ids} (their commands were told to end; the next daemon queues them again)");
        }
        (ids, false) => eprintln!("left running: {ids}; a daemon takes them over"),
    }
    for (what, ids) in [("stopped and queued again", &stopped), ("not started, still queued", &fresh)] {
        if !ids.is_empty() {
            eprintln!("{what}: {ids}");
        }
    }
    let all = ids_of(status, |spec| !spec.status.is_ended());
    eprintln!("  go on: `boi daemon start` (drains the whole queue); give up: `boi cancel {all}`");
}

/// Follows specs that a daemon carries out, over its restarts too.
async fn follow(context: &Context, backend: &Backend, ids: &[SpecId], json: bool) -> Result<StatusView, CliError> {
    let mut progress = Progress::begin(json);
    let filter = Filter { ids: ids.to_vec(), history: true, ..Filter::default() };
    let mut newer_than = None;
    let mut away_since = None;
    loop {
        match backend.status(filter.clone(), newer_than).await {
            Ok(told) => {
                newer_than = Some(told.revision);
                away_since = None;
                progress.show(&told.status);
                if told.status.specs.iter().all(|spec| spec.status.is_ended()) {
                    progress.end();
                    return Ok(told.status);
                }
            }
            // A daemon that restarts is back in a moment; its revisions begin anew.
            Err(error) if error.is_away() => {
                let since = *away_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= PATIENCE {
                    progress.end();
                    let told = Backend::Own(backend::configured(&context.home)).status(filter.clone(), None).await?;
                    if told.status.specs.iter().all(|spec| spec.status.is_ended()) {
                        return Ok(told.status);
                    }
                    let open = ids_of(&told.status, |spec| !spec.status.is_ended());
                    let message = format!("{}, and none has come back: not ended: {open}", error.message());
                    return Err(
                        CliError::new(error.code(), message).hint("go on: `boi daemon start` (drains the whole queue)")
                    );
                }
                if since.elapsed() >= NOTICE {
                    progress.say(&format!(
                        "{}; another daemon is waited for, for {} s",
                        error.message(),
                        PATIENCE.as_secs()
                    ));
                }
                newer_than = None;
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Says how the specs ended, and what to do with the result.
fn conclude(context: &Context, status: &StatusView, json: bool) -> Result<ExitCode, CliError> {
    if json {
        print_json(status)?;
    } else {
        print(report::ended(&status.specs, context.color).as_bytes())?;
    }
    let good = status
        .specs
        .iter()
        .all(|spec| spec.status == SpecStatus::Completed && spec.delivery != Some(Delivery::Unmerged));
    Ok(if good { 0 } else { FAILED })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::spec::{Action, Deliver, Spec, Task};
    use crate::queue::{Access, SqliteStore};
    use crate::system::clock;
    use crate::system::paths::Home;

    #[tokio::test(start_paused = true)]
    async fn following_a_daemon_that_does_not_come_back_ends_with_the_reason() {
        let dir = tempfile::TempDir::new().unwrap();
        let home = Home::at(dir.path().join("boi"));
        home.prepare().unwrap();
        let task = Task {
            id: "t-1".into(),
            title: "t".into(),
            action: Action::Run("true".into()),
            needs: vec![],
            verify: vec![],
            timeout_minutes: None,
        };
        let spec = Spec {
            title: "t".into(),
            repo: None,
            context: None,
            agent: "claude".into(),
            model: None,
            priority: 100,
            after: vec![],
            deliver: Deliver::Branch,
            verify: vec![],
            tasks: vec![task],
        };
        let store = SqliteStore::open(home.db(), Access::Write(Duration::ZERO)).unwrap();
        let ids = store.enqueue(vec![spec], clock::now()).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(home.socket()).unwrap();
        let backend = Backend::find(&home).await.unwrap();
        assert!(backend.is_daemon());
        drop(socket);
        let error = follow(&Context { home, color: false }, &backend, &ids, true).await.unwrap_err();
        assert_eq!(error.code(), crate::cli::NO_DAEMON);
        assert!(error.message().contains(&format!("not ended: {}", ids[0])), "{}", error.message());
    }
}
