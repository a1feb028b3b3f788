//! `boi daemon start|stop|restart|status`: the daemon in the background.

use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::args::ConfigFlags;
use super::backend::{self, Backend};
use super::{
    BAD_CONFIG, CliError, Context, ExitCode, FAILED, GAVE_UP, NO_DAEMON, USAGE, block_on_daemon, print_json, print_line,
};
use super::{handover, install};
use crate::config::flags::Flags;
use crate::control::client::Client;
use crate::control::wire::{GIVE_UP, Leave};
use crate::daemon::boot::{self, Seat};
use crate::daemon::{Event, Leaving};
use crate::domain::attempt::SpecStatus;
use crate::domain::id::SpecId;
use crate::domain::view::{DaemonView, SpecView, StatusView};
use crate::process::{self, background, tool};
use crate::queue::{Access, Filter, SqliteStore, Store};
use crate::reload;
use crate::system::logs::{self, Target};
use crate::ui::report;

/// How long a daemon may take to listen.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// How long a daemon may take to leave its workers and end.
const LEAVES_WITHIN: Duration = Duration::from_secs(30);
/// How long the socket of a daemon that has ended may linger.
const GOES_WITHIN: Duration = Duration::from_secs(2);
/// How often a daemon that starts or ends is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How often one that stops its workers is.
const LOOK_AGAIN_LATER: Duration = Duration::from_millis(50);
/// How often it is looked whether its queue answers.
const LOOK_AT_QUEUE: Duration = Duration::from_secs(1);

/// `boi daemon start`.
pub(super) async fn start(context: &Context, flags: &ConfigFlags, json: bool) -> Result<ExitCode, CliError> {
    if let Some((_, daemon)) = running(context).await? {
        refuse_scoped(&daemon)?;
        return told(&daemon, "runs already", json);
    }
    match may_begin(context, flags, json).await? {
        May::Begin => {}
        May::Refused(code) => return Ok(code),
        May::Taken => return Box::pin(start(context, flags, json)).await,
    }
    if flags.config.is_empty() && install::service(context.home.root()).is_some() {
        return managed(context, "start", "started as a service", json).await;
    }
    let (daemon, own) = begin(context, flags).await?;
    told(&daemon, if own { "started" } else { "runs already" }, json)
}

/// Whether a daemon may begin where none ran.
enum May {
    Begin,
    /// It could not, which was said.
    Refused(ExitCode),
    /// Somebody else began one meanwhile, which has the queue now.
    Taken,
}

async fn may_begin(context: &Context, flags: &ConfigFlags, json: bool) -> Result<May, CliError> {
    match handover::check(context, &flags.read()?, None, json) {
        Ok(Ok(())) => Ok(May::Begin),
        Ok(Err(code)) => Ok(May::Refused(code)),
        Err(_) if running(context).await?.is_some() => Ok(May::Taken),
        Err(error) => Err(error),
    }
}

/// Has the service manager start or restart the daemon.
async fn managed(context: &Context, verb: &str, done: &str, json: bool) -> Result<ExitCode, CliError> {
    install::ask(verb)?;
    match running(context).await? {
        Some((_, daemon)) => told(&daemon, done, json),
        None => Err(CliError::new(FAILED, format!("the service did {verb}, and no daemon listens in this home"))
            .hint("what it does: `systemctl --user status boi.service`")),
    }
}

/// `boi daemon restart`.
pub(super) async fn restart(context: &Context, flags: &ConfigFlags, json: bool) -> Result<ExitCode, CliError> {
    let Some(old) = Old::look(context).await? else {
        match may_begin(context, flags, json).await? {
            May::Begin => {}
            May::Refused(code) => return Ok(code),
            May::Taken => return Box::pin(restart(context, flags, json)).await,
        }
        let (daemon, own) = begin(context, flags).await?;
        let what = if own { "started; none ran" } else { "was started by another `boi` just now; none ran before" };
        return told(&daemon, what, json);
    };
    let pid = old.view.pid;
    if service_main(context) == Some(pid) {
        if !flags.config.is_empty() {
            let message = format!("the daemon (pid {pid}) is run as a service, which knows no `-c`");
            return Err(CliError::new(USAGE, message)
                .hint("put it in the configuration: `boi config set KEY=VALUE`; or stop the service first"));
        }
        if let Err(code) = handover::check(context, &flags.read()?, Some(&old.view), json)? {
            return Ok(code);
        }
        return managed(context, "restart", "restarted by its service manager; what ran was taken over", json).await;
    }
    // The new one starts first, and waits for the seat: so nobody is without a daemon for long.
    let kept = ConfigFlags { config: old.flags };
    let flags = if flags.config.is_empty() { &kept } else { flags };
    if let Err(code) = handover::check(context, &flags.read()?, Some(&old.view), json)? {
        return Ok(code);
    }
    let begun = spawn(context, flags)?;
    old.target.send(Signal::TERM)?;
    let daemon = listening(context, begun, Some(pid)).await?;
    told(&daemon, "restarted; what ran was taken over", json)
}

/// A daemon whose place another one is to take.
pub(super) struct Old {
    /// What it says of itself.
    pub(super) view: DaemonView,
    /// What was set for its process, as `-c` takes it.
    pub(super) flags: Vec<String>,
    target: process::Target,
}

impl Old {
    /// The one that runs, if any; a `boi run` makes way for nobody.
    pub(super) async fn look(context: &Context) -> Result<Option<Old>, CliError> {
        let until = Instant::now() + LEAVES_WITHIN;
        loop {
            let Some((client, view)) = running(context).await? else { return Ok(None) };
            refuse_scoped(&view)?;
            let target = target(&view)?;
            // The answer is given after the handle was opened: it is this process that is signalled.
            let again = match status(&client).await {
                Err(error) if !error.is_away() => return Err(error),
                answer => answer.ok().filter(|again| again.daemon.as_ref().map(|daemon| daemon.pid) == Some(view.pid)),
            };
            if let (Some(target), Some(again)) = (target, again) {
                let flags = again.config.flags.iter().map(|flag| flag.replacen(" = ", "=", 1)).collect();
                return Ok(Some(Old { view, flags, target }));
            }
            // Another one has its place by now: somebody else restarts it too.
            if Instant::now() >= until {
                return Err(ended_meanwhile(&view));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Has it leave what runs to the next one, and waits for its end.
    pub(super) async fn end(&self) -> Result<(), CliError> {
        self.target.send(Signal::TERM)?;
        while self.target.lives() {
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }
}

/// Has systemd run the daemon, whose unit is enabled, in the place of the `old` one; whether it did.
pub(super) async fn under_systemd(context: &Context, old: Option<&Old>) -> Result<bool, CliError> {
    let Some(old) = old else { return Ok(tool::run(&install::systemctl("start"))) };
    if service_main(context) == Some(old.view.pid) {
        return Ok(tool::run(&install::systemctl("restart")));
    }
    // The new one starts first, and waits for the seat: so a unit that cannot be started costs nobody the daemon.
    let Some(mut starting) = tool::begin(&install::systemctl("start")) else { return Ok(false) };
    let pid_file = context.home.pid_file();
    while !service_main(context).is_some_and(|pid| process::has_open(pid, &pid_file)) {
        if let Some(status) = starting.try_wait()? {
            return Ok(status.success());
        }
        sleep(LOOK_AGAIN_LATER).await;
    }
    old.target.send(Signal::TERM)?;
    let begun = starting.wait()?.success();
    if !begun && listens(context).await?.is_none() {
        eprintln!("warning: no daemon runs now; what ran lives on: `boi daemon start` takes it over");
    }
    Ok(begun)
}

/// The main process of the service that runs the daemon of this home.
fn service_main(context: &Context) -> Option<u32> {
    install::service(context.home.root())?.main
}

fn refuse_scoped(daemon: &DaemonView) -> Result<(), CliError> {
    if !daemon.scoped {
        return Ok(());
    }
    let message =
        format!("what runs is a `boi run` (pid {}): it carries out its own specs only, and ends with them", daemon.pid);
    Err(CliError::new(FAILED, message).hint("wait for its end, or end it with Ctrl-C, then `boi daemon start`"))
}

/// `boi daemon status`.
pub(super) async fn show(context: &Context, json: bool) -> Result<ExitCode, CliError> {
    let Some(client) = backend::daemon(&context.home).await? else {
        if json {
            print_json(&json!({"daemon": null}))?;
        } else {
            print_line("no daemon runs; start one: `boi daemon start`")?;
        }
        return Ok(NO_DAEMON);
    };
    let status = status(&client).await?;
    if json {
        print_json(&json!({"daemon": status.daemon, "config": status.config, "slots": status.slots,
            "paused": status.paused, "store": status.store, "log": status.daemon.and_then(|daemon| daemon.log)}))?;
        return Ok(0);
    }
    if let Some(daemon) = &status.daemon {
        let role = report::role(daemon);
        print_line(&format!("runs: pid {}, version {}, since {}{role}", daemon.pid, daemon.version, daemon.since))?;
    }
    for line in crate::ui::config::status(&status.config, true, context.color) {
        print_line(&line)?;
    }
    if let Some(reason) = &status.store.reason {
        print_line(&format!("queue: {reason}"))?;
    }
    print_line(&report::workers(&status.slots))?;
    print_line(&format!("log: {}", log(status.daemon.as_ref())))?;
    Ok(0)
}

/// `boi daemon stop`.
pub(super) fn stop(context: &Context, drain: bool, json: bool) -> Result<ExitCode, CliError> {
    block_on_daemon(async {
        let Some((client, daemon)) = running(context).await? else {
            return stop_what_was_left(context, drain, json).await;
        };
        let before = running_specs(&client).await?;
        let target = target(&daemon)?.ok_or_else(|| ended_meanwhile(&daemon))?;
        let how = if drain { Leave::Drain } else { Leave::Stop };
        client.ask::<_, Leave>("/v1/leave", &how).await?;
        if !json && !before.is_empty() {
            let what = if drain { "waiting for" } else { "stopping" };
            eprintln!("{what} {} worker{}: {}", before.len(), super::plural(before.len()), ids(&before));
        }
        let ended = async {
            while target.lives() {
                sleep(LOOK_AGAIN_LATER).await;
            }
        };
        tokio::select! {
            () = ended => {}
            hung = client.hung() => return Err(hung.into()),
            silent = silent(&client) => {
                let hint = format!("it stops when the queue answers; `kill -TERM {}` ends it now, and leaves running what runs",
                    daemon.pid);
                return Err(CliError::new(GAVE_UP, silent).hint(hint));
            }
        }
        report_stop(context, Some(daemon.pid), &before, json).await
    })
}

/// Waits until the daemon's queue has not answered for so long that it is given up.
async fn silent(client: &Client) -> String {
    loop {
        sleep(LOOK_AT_QUEUE).await;
        let Ok(StatusView { store, .. }) = status(client).await else { continue };
        if let (Some(reason), true) = (store.reason, store.unanswered_seconds >= Some(GIVE_UP.as_secs())) {
            return reason;
        }
    }
}

/// No daemon runs: this process is one for long enough to stop what an earlier one left.
async fn stop_what_was_left(context: &Context, drain: bool, json: bool) -> Result<ExitCode, CliError> {
    let home = backend::configured(&context.home);
    if let Some((before, counts)) = SqliteStore::left_behind(&home)
        && counts.running > 0
    {
        let message = format!("no daemon runs, and {} running in another queue, {}", counts.running, before.display());
        return Err(
            CliError::new(FAILED, message).hint("put `paths.db` back as it was, then `boi daemon stop` ends them")
        );
    }
    let Some(store) = backend::read(&home)? else { return nothing_to_stop(json) };
    let before: Vec<SpecView> = left_running(&store)?;
    drop(store);
    if before.is_empty() {
        return nothing_to_stop(json);
    }
    let booted = reload::boot(&context.home, &Flags::default()).map_err(CliError::from)?;
    home.prepare()?;
    let log = logs::begin(Target::File(home.log_file()), &booted.config.log)
        .map_err(|message| CliError::new(BAD_CONFIG, message))?;
    if !json {
        eprintln!("no daemon runs; ending what an earlier one left: {}", ids(&before));
    }
    let running = Seat::take_to_stop(&home).await?.start(
        booted,
        log,
        Some(before.iter().map(|spec| spec.id.clone()).collect()),
    )?;
    let how = if drain { Leaving::Drain } else { Leaving::Stop };
    running.handle.send(Event::Leave(how));
    running.ended().await?;
    report_stop(context, None, &before, json).await
}

fn nothing_to_stop(json: bool) -> Result<ExitCode, CliError> {
    if json {
        print_json(&json!({"daemon": null, "stopped": [], "running": []}))?;
    } else {
        print_line("no daemon runs, and nothing that one left")?;
    }
    Ok(0)
}

/// What became of the specs that ran.
async fn report_stop(
    context: &Context,
    pid: Option<u32>,
    before: &[SpecView],
    json: bool,
) -> Result<ExitCode, CliError> {
    let now = match before {
        [] => Vec::new(),
        _ => {
            let ids = before.iter().map(|spec| spec.id.clone()).collect();
            // The configuration may name another queue by now than that of the daemon that ended.
            let path = pid.and_then(|_| SqliteStore::last_used(&context.home));
            let path = path.unwrap_or_else(|| backend::configured(&context.home).db().to_owned());
            SqliteStore::open(&path, Access::Read)?.specs(&Filter { ids, ..Filter::default() })?.specs
        }
    };
    let with =
        |wanted: fn(SpecStatus) -> bool| -> Vec<&SpecView> { now.iter().filter(|spec| wanted(spec.status)).collect() };
    let queued = with(|status| status == SpecStatus::Queued);
    let running = with(|status| status == SpecStatus::Running);
    let ended = with(SpecStatus::is_ended);
    let list = |specs: &[&SpecView]| -> Vec<SpecId> { specs.iter().map(|spec| spec.id.clone()).collect() };
    // Another word, such as SIGTERM or a restart, reached it before it had done this one.
    let next = if running.is_empty() { None } else { self::running(context).await?.map(|(_, daemon)| daemon.pid) };
    if json {
        print_json(&json!({"daemon": pid, "stopped": list(&queued), "ended": list(&ended), "running": list(&running),
            "next_daemon": next}))?;
    } else {
        let who = pid.map_or("ended".to_owned(), |pid| format!("daemon (pid {pid}) ended"));
        let what = if running.is_empty() { "nothing of it runs any more" } else { "it was told to leave what runs" };
        print_line(&format!("{who}; {what}"))
            .and_then(|()| said("stopped and queued again", &queued))
            .and_then(|()| said("ended by themselves", &ended))
            .and_then(|()| said("still running", &running))?;
    }
    if running.is_empty() {
        return Ok(0);
    }
    match next {
        Some(pid) => eprintln!("another daemon (pid {pid}) goes on with it; `boi daemon stop` stops that one"),
        None => eprintln!("`boi daemon start` goes on with it, `boi daemon stop` ends it"),
    }
    Ok(FAILED)
}

fn said(what: &str, specs: &[&SpecView]) -> Result<(), CliError> {
    if specs.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = specs.iter().map(|spec| spec.id.as_str()).collect();
    print_line(&format!("  {what}: {}", ids.join(" ")))
}

fn ids(specs: &[SpecView]) -> String {
    specs.iter().map(|spec| spec.id.as_str()).collect::<Vec<_>>().join(" ")
}

async fn running_specs(client: &Client) -> Result<Vec<SpecView>, CliError> {
    let backend = Backend::Daemon(client.clone());
    let filter = Filter { status: Some(SpecStatus::Running), limit: 10_000, ..Filter::default() };
    Ok(backend.status(filter, None).await?.status.specs)
}

fn left_running(store: &dyn Store) -> Result<Vec<SpecView>, CliError> {
    let filter = Filter { status: Some(SpecStatus::Running), limit: 10_000, ..Filter::default() };
    Ok(store.specs(&filter)?.specs)
}

async fn status(client: &Client) -> Result<StatusView, CliError> {
    let filter = Filter { limit: 1, ..Filter::default() };
    Ok(Backend::Daemon(client.clone()).status(filter, None).await?.status)
}

/// The daemon that runs, and what it says of itself.
async fn running(context: &Context) -> Result<Option<(Client, DaemonView)>, CliError> {
    let until = Instant::now() + GOES_WITHIN;
    loop {
        let asked = match backend::daemon(&context.home).await? {
            Some(client) => view(client).await,
            None => return Ok(None),
        };
        match asked {
            // The socket of one that is just ending may accept once more.
            Err(error) if error.is_away() && Instant::now() < until => sleep(LOOK_AGAIN).await,
            told => return told,
        }
    }
}

/// The daemon that listens now, and what it says of itself.
async fn listens(context: &Context) -> Result<Option<(Client, DaemonView)>, CliError> {
    match Client::connect(&context.home.socket()).await? {
        Some(client) => view(client).await,
        None => Ok(None),
    }
}

async fn view(client: Client) -> Result<Option<(Client, DaemonView)>, CliError> {
    Ok(status(&client).await?.daemon.map(|daemon| (client, daemon)))
}

/// A handle on a daemon; `None` when it has ended meanwhile.
fn target(daemon: &DaemonView) -> Result<Option<process::Target>, CliError> {
    let identity = i32::try_from(daemon.pid).ok().and_then(process::identity);
    Ok(identity.map(|identity| process::target(&identity)).transpose()?.flatten())
}

fn ended_meanwhile(daemon: &DaemonView) -> CliError {
    CliError::new(FAILED, format!("the daemon (pid {}) has ended meanwhile", daemon.pid))
}

/// Starts a daemon in the background and waits until it listens; the one that runs then, and whether it is that one:
/// somebody else may have been faster.
async fn begin(context: &Context, flags: &ConfigFlags) -> Result<(DaemonView, bool), CliError> {
    let begun = spawn(context, flags)?;
    let pid = begun.child.id();
    let daemon = listening(context, begun, None).await?;
    let own = daemon.pid == pid;
    Ok((daemon, own))
}

/// A daemon that was started, and where in the log its words begin.
struct Begun {
    child: Child,
    log: PathBuf,
    offset: u64,
}

fn spawn(context: &Context, flags: &ConfigFlags) -> Result<Begun, CliError> {
    let home = backend::configured(&context.home);
    home.prepare()?;
    let log = home.log_file();
    let offset = background::length(&log);
    flags.read()?;
    let given = flags.config.iter().flat_map(|flag| ["-c", flag]);
    let arguments: Vec<&str> = ["daemon", "run", "--background"].into_iter().chain(given).collect();
    let child = background::start(&arguments, &log)
        .map_err(|error| CliError::new(FAILED, format!("cannot start a daemon: {error}")))?;
    Ok(Begun { child, log, offset })
}

/// Waits until another daemon than `old` listens; the child's own words are the error when it ends instead.
async fn listening(context: &Context, begun: Begun, old: Option<u32>) -> Result<DaemonView, CliError> {
    let Begun { mut child, log, offset } = begun;
    let until = Instant::now() + STARTS_WITHIN.max(LEAVES_WITHIN);
    loop {
        // While one daemon ends and the other begins, a connection may break.
        if let Ok(Some((_, daemon))) = listens(context).await
            && Some(daemon.pid) != old
        {
            if daemon.pid != child.id() {
                // Another one was faster, such as a service's: this one would wait for its end.
                child.kill().and_then(|()| child.wait())?;
            }
            return Ok(daemon);
        }
        if let Some(status) = child.try_wait()? {
            let said = without_events(&background::said_since(&log, offset));
            let code =
                status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(FAILED);
            let message = format!("the daemon ended at once:\n{}", said.trim_end());
            return Err(CliError::new(code, message).hint(format!("its log: {}", log.display())));
        }
        if Instant::now() >= until {
            let message = format!("the daemon (pid {}) does not listen yet", child.id());
            return Err(CliError::new(GAVE_UP, message).hint(format!("its log: {}", log.display())));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// What was printed, without the lines of the log: those may be of the daemon whose place was to be taken.
fn without_events(text: &str) -> String {
    let is_event = |line: &&str| line.split(' ').next().is_some_and(|word| word.parse::<jiff::Timestamp>().is_ok());
    text.lines().filter(|line| !is_event(line)).collect::<Vec<_>>().join("\n")
}

fn told(daemon: &DaemonView, what: &str, json: bool) -> Result<ExitCode, CliError> {
    if json {
        print_json(&json!({"daemon": daemon, "log": daemon.log}))?;
    } else {
        print_line(&format!("daemon {what}: pid {}\n  log: {}", daemon.pid, log(Some(daemon))))?;
    }
    Ok(0)
}

/// Where the log of a daemon is.
fn log(daemon: Option<&DaemonView>) -> &str {
    daemon.and_then(|daemon| daemon.log.as_deref()).unwrap_or("its standard error")
}

/// How long a daemon that is to take over waits for the seat.
pub(super) fn patience(background: bool) -> Duration {
    if background { LEAVES_WITHIN } else { boot::PROBED }
}
