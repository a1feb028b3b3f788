//! A sandbox for one test: a temporary home, a git repository, and the real `boi`. Dropping it ends its daemon and its
//! commands, and checks that no cgroup is left.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a test waits for a condition before it fails; far more than any of them needs.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The room that a file system in memory needs for sandboxes, in bytes.
const ROOM: u64 = 1 << 30;

/// The names of variables that a sandbox does not pass on begin with these: the caller's, for git, boi and agents.
const FOREIGN: [&str; 10] =
    ["GIT_", "BOI_", "CLAUDE", "ANTHROPIC_", "CODEX_", "OPENAI_", "GEMINI_", "GOOGLE_", "OPENCODE", "FAKE_AGENT_"];

/// Polls `condition` until it returns a value. Panics after [`DEADLINE`].
#[track_caller]
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < until, "timed out waiting for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Prints that the running test is skipped, and why.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not `eprintln!`, whose text the test harness hides when a test passes.
    writeln!(std::io::stderr(), "skipped: {test}: {why}").expect("stderr is open");
}

/// Whether the process `pid` has a living thread. A zombie has none.
pub fn lives(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok())
        .any(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X'])))
}

/// Waits for a file that holds a pid, and returns the pid.
#[track_caller]
pub fn pid_in(file: &Path) -> i32 {
    wait_for(&format!("a pid in {}", file.display()), || fs::read_to_string(file).ok()?.trim().parse().ok())
}

/// Waits until the process `pid` has a file called `name` open.
#[track_caller]
pub fn wait_until_open(pid: u64, name: &str) {
    wait_for(&format!("pid {pid} opens {name}"), || {
        let links = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        links.filter_map(|link| fs::read_link(link.path()).ok()).any(|path| path.ends_with(name)).then_some(())
    });
}

/// Creates and locks a file. Dropping it releases the lock.
pub fn locked(path: &Path) -> File {
    let file = File::options().create(true).append(true).open(path).expect("a file");
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).expect("the lock is free");
    file
}

/// The program of the fake agent. Panics if it has not been built: `cargo test` builds it, `cargo test --test it` does
/// not.
#[track_caller]
pub fn fake_agent() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_boi")).with_file_name("examples").join("fake-agent");
    let build = "run `cargo build --example fake-agent` first, or all tests with `cargo test`";
    assert!(program.exists(), "{} is missing: {build}", program.display());
    program
}

/// An unrelated process, which boi must not end.
pub struct Bystander(Child);

impl Bystander {
    pub fn start(program: &str, arguments: &[&str]) -> Bystander {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        Bystander(command.spawn().expect("the bystander starts"))
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }

    #[track_caller]
    pub fn must_live(mut self) {
        assert!(self.0.try_wait().expect("a child of this process").is_none(), "an unrelated process was ended");
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// How a finished `boi` ended, and what it printed.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A `boi` that was started. Dropping it kills it.
pub struct Begun {
    child: Child,
    io: tempfile::TempDir,
}

impl Begun {
    pub fn pid(&self) -> u64 {
        self.child.id().into()
    }

    /// What it has printed to standard output so far.
    pub fn out(&self) -> String {
        self.read("out")
    }

    /// What it has printed to standard error so far.
    pub fn err(&self) -> String {
        self.read("err")
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.io.path().join(name)).expect("its output")).into_owned()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it has not been reaped");
    }

    /// Waits until it has ended.
    #[track_caller]
    pub fn end(mut self) -> Said {
        let ended = wait_for_end(&mut self.child);
        let (out, err) = (self.out(), self.err());
        let Some(status) = ended else { panic!("boi has not ended in time: {out}{err}") };
        Said { code: status.code(), out, err }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A temporary home, repository and daemon. Nothing of it runs after it is dropped.
pub struct Sandbox {
    folder: tempfile::TempDir,
    /// The `boi` that runs.
    pub program: PathBuf,
    variables: Vec<(String, String)>,
    daemon: Option<Child>,
    in_background: AtomicBool,
}

impl Sandbox {
    /// A sandbox with the configuration `config`, and a repository `repo` with one commit on `main`.
    pub fn new(config: &str) -> Sandbox {
        Sandbox::below(&std::env::temp_dir(), config)
    }

    /// The same in memory, if a file system in memory has room and runs programs: for tests that create many files.
    pub fn in_memory(config: &str) -> Sandbox {
        let memory = Path::new("/dev/shm");
        let fits = rustix::fs::statvfs(memory).is_ok_and(|found| {
            !found.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC) && found.f_bavail * found.f_frsize >= ROOM
        });
        let place = if fits { memory.to_owned() } else { std::env::temp_dir() };
        Sandbox::below(&place, config)
    }

    fn below(place: &Path, config: &str) -> Sandbox {
        let folder = tempfile::Builder::new().prefix("boi-it-").tempdir_in(place).expect("a folder");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_boi"));
        let in_background = AtomicBool::new(false);
        let sandbox = Sandbox { folder, program, variables: Vec::new(), daemon: None, in_background };
        fs::create_dir_all(sandbox.path("home")).expect("a home");
        fs::create_dir_all(sandbox.path("boi")).expect("a home of boi");
        fs::write(sandbox.path("boi/config.toml"), config).expect("a configuration");
        sandbox.make_repo("repo");
        sandbox
    }

    /// Adds environment variables for `boi`; a later one replaces an earlier one of the same name.
    pub fn with_variables<N: Into<String>>(mut self, variables: impl IntoIterator<Item = (N, String)>) -> Sandbox {
        self.variables.extend(variables.into_iter().map(|(name, value)| (name.into(), value)));
        self
    }

    /// The same sandbox with the other of two names for its home: the folder itself, or a link to it.
    pub fn by_the_other_name(self) -> Sandbox {
        let is_alias = self
            .variables
            .iter()
            .rfind(|(name, _)| name == "BOI_HOME")
            .is_some_and(|(_, home)| home.ends_with("alias"));
        if !self.exists("alias") {
            std::os::unix::fs::symlink(self.path("boi"), self.path("alias")).expect("a link");
        }
        let home = self.path(if is_alias { "boi" } else { "alias" }).display().to_string();
        self.with_variables([("BOI_HOME", home)])
    }

    /// The path of `name` below the sandbox.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path of `name` below the sandbox as text, such as for a shell command.
    pub fn at(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A shell command that appends a line to `starts`, writes its pid to `pid`, and waits until `go` exists.
    pub fn barrier(&self) -> String {
        let [starts, pid, go] = ["starts", "pid", "go"].map(|name| self.at(name));
        format!("echo x >> {starts}; echo $$ > {pid}; until test -e {go}; do sleep 0.02; done")
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Writes a file below the sandbox. A command that waits for that file goes on.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file is written");
        path
    }

    fn make_repo(&self, name: &str) {
        fs::create_dir_all(self.path(name)).expect("a folder");
        self.git(name, &["init", "-q", "-b", "main"]);
        self.git(name, &["config", "user.name", "Test"]);
        self.git(name, &["config", "user.email", "test@example.invalid"]);
        self.write(&format!("{name}/a.txt"), "one\n");
        self.git(name, &["add", "-A"]);
        self.git(name, &["commit", "-q", "-m", "first"]);
    }

    /// A program in the sandbox, without the caller's variables for git, boi and agents.
    fn isolated(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if FOREIGN.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("NO_COLOR", "1");
        command.env("HOME", self.path("home")).stdin(Stdio::null()).current_dir(self.folder.path());
        command
    }

    /// Runs git, which must succeed. Returns its output without trailing whitespace.
    #[track_caller]
    pub fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let mut command = self.isolated(Path::new("git"));
        let output: Output = command.arg("-C").arg(self.path(folder)).args(arguments).output().expect("git runs");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// The command `boi` with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.with_environment(&self.program, arguments)
    }

    fn with_environment(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = self.isolated(program);
        // A second panic, in `drop`, would abort the test program.
        if !self.variables.iter().any(|(name, _)| name == "CLAUDE_BIN") && !std::thread::panicking() {
            command.env("CLAUDE_BIN", fake_agent());
        }
        command.env("BOI_HOME", self.path("boi"));
        command.env("FAKE_AGENT_TRACE", self.path("trace")).env("FAKE_AGENT_SESSIONS", self.path("sessions"));
        // Some tests have specs that ended long ago.
        command.env("BOI_RETENTION_MILLIS", "3600000");
        command.args(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts `boi` and does not wait for it.
    pub fn begin(&self, arguments: &[&str]) -> Begun {
        let io = tempfile::tempdir().expect("a folder");
        let file = |name| File::create(io.path().join(name)).expect("a file");
        let child = self.command(arguments).stdout(file("out")).stderr(file("err")).spawn().expect("boi starts");
        Begun { child, io }
    }

    /// Runs `boi` and waits until it has ended.
    #[track_caller]
    pub fn boi(&self, arguments: &[&str]) -> Said {
        self.begin(arguments).end()
    }

    /// Runs `boi` with `text` on its standard input.
    #[track_caller]
    pub fn with_stdin(&self, arguments: &[&str], text: &str) -> Said {
        let input = tempfile::NamedTempFile::new().expect("a file");
        fs::write(input.path(), text).expect("a file is written");
        let output = self.command(arguments).stdin(input.reopen().expect("a file")).output().expect("boi runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs `boi` with `/dev/full` as its standard output: every write fails.
    #[track_caller]
    pub fn to_full_disk(&self, arguments: &[&str]) -> Said {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let output = self.command(arguments).stdout(full).output().expect("boi runs");
        Said { code: output.status.code(), out: String::new(), err: String::from_utf8_lossy(&output.stderr).into() }
    }

    /// Runs `boi`, which must exit with 0.
    #[track_caller]
    pub fn good(&self, arguments: &[&str]) -> Said {
        let said = self.boi(arguments);
        assert_eq!(said.code, Some(0), "boi {arguments:?}: {said:?}");
        said
    }

    /// Queues a spec with this text and returns its id.
    #[track_caller]
    pub fn dispatch(&self, spec: &str) -> String {
        let name = format!("{}.toml", uuid::Uuid::new_v4());
        self.write(&name, spec);
        let said = self.good(&["dispatch", "--json", &name]).json();
        said["specs"][0]["id"].as_str().expect("an id").to_owned()
    }

    /// Runs `boi run --json` on a spec with this text. Returns the exit code and the spec.
    #[track_caller]
    pub fn run(&self, spec: &str) -> (Option<i32>, Value) {
        self.write("spec.toml", spec);
        let said = self.boi(&["run", "--json", "spec.toml"]);
        (said.code, said.json()["specs"][0].clone())
    }

    /// What `boi status ID --json` shows of a spec.
    #[track_caller]
    pub fn spec(&self, id: &str) -> Value {
        self.good(&["status", id, "--json"]).json()
    }

    /// Waits until a spec has this status and no lander will change it, and returns the spec.
    #[track_caller]
    pub fn wait_for_status(&self, id: &str, status: &str) -> Value {
        let mut last = Value::Null;
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            last = self.spec(id);
            let is_landing = ["waiting", "landing"].iter().any(|delivery| last["delivery"] == *delivery);
            if last["status"] == status && !is_landing {
                return last;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("timed out waiting until {id} is {status}: {last:#}\n{}", self.daemon_log());
    }

    fn daemon_log(&self) -> String {
        fs::read_to_string(self.path("daemon.err")).unwrap_or_default()
    }

    /// Runs `boi`, which leaves a daemon in the background. Dropping the sandbox stops that daemon.
    #[track_caller]
    pub fn background(&self, arguments: &[&str]) -> Said {
        self.in_background.store(true, Ordering::Relaxed);
        self.good(arguments)
    }

    /// Starts `wrapper`, whose last argument is the path of `boi`; `None` if its program cannot be started.
    pub fn begin_wrapped(&self, wrapper: &[&str]) -> Option<Child> {
        let log = File::options().create(true).append(true).open(self.path("daemon.err")).expect("a log");
        let mut command = self.with_environment(Path::new(wrapper[0]), &wrapper[1..]);
        command.arg(env!("CARGO_BIN_EXE_boi")).stdout(Stdio::null()).stderr(log).spawn().ok()
    }

    /// Starts a daemon and does not wait until it listens.
    #[track_caller]
    pub fn begin_daemon(&mut self) {
        self.begin_daemon_with(&[]);
    }

    #[track_caller]
    fn begin_daemon_with(&mut self, arguments: &[&str]) {
        assert!(self.daemon.is_none(), "the sandbox has a daemon already");
        let log = File::options().create(true).append(true).open(self.path("daemon.err")).expect("a log");
        let mut command = self.command(&["daemon", "run", "--foreground"]);
        command.args(arguments);
        self.daemon = Some(command.stdout(Stdio::null()).stderr(log).spawn().expect("the daemon starts"));
    }

    /// Starts a daemon and waits until it answers.
    #[track_caller]
    pub fn start_daemon(&mut self) {
        self.start_daemon_with(&[]);
    }

    /// Starts a daemon with further arguments of `boi daemon run` and waits until it answers.
    #[track_caller]
    pub fn start_daemon_with(&mut self, arguments: &[&str]) {
        self.begin_daemon_with(arguments);
        let until = Instant::now() + DEADLINE;
        loop {
            let said = self.boi(&["status", "--json"]);
            if said.code == Some(0) && !said.json()["daemon"].is_null() {
                return;
            }
            let ended = self.daemon.as_mut().and_then(|daemon| daemon.try_wait().expect("a child"));
            let is_late = Instant::now() >= until || ended.is_some();
            assert!(!is_late, "no daemon answers: ended {ended:?}: {said:?}\n{}", self.daemon_log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Gives up the daemon: the caller has to end it.
    #[track_caller]
    pub fn take_daemon(&mut self) -> Child {
        self.daemon.take().expect("a daemon runs")
    }

    /// Kills the daemon with SIGKILL.
    #[track_caller]
    pub fn kill_daemon(&mut self) {
        let mut child = self.daemon.take().expect("a daemon runs");
        child.kill().expect("it has not been reaped");
        child.wait().expect("it was killed");
    }

    /// Waits for a daemon that ends without a signal from this sandbox.
    #[track_caller]
    pub fn wait_for_daemon(&mut self) -> ExitStatus {
        let mut child = self.daemon.take().expect("a daemon runs");
        wait_for_end(&mut child).unwrap_or_else(|| panic!("the daemon has not ended in time: {}", self.daemon_log()))
    }

    /// Sends a signal to the daemon and waits until it has ended.
    #[track_caller]
    pub fn stop_daemon(&mut self, signal: Signal) -> ExitStatus {
        let mut child = self.daemon.take().expect("a daemon runs");
        kill_process(Pid::from_child(&child), signal).expect("it has not been reaped");
        wait_for_end(&mut child).unwrap_or_else(|| panic!("the daemon has not ended in time: {}", self.daemon_log()))
    }

    /// Starts `boi`, calls `ready`, sends a signal and waits until `boi` has ended. Returns its exit code.
    #[track_caller]
    pub fn interrupt(&self, arguments: &[&str], signal: Signal, ready: impl FnOnce()) -> Option<i32> {
        let mut child =
            self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("boi starts");
        ready();
        kill_process(Pid::from_child(&child), signal).expect("it has not been reaped");
        wait_for_end(&mut child).expect("it ends").code()
    }

    /// The folder of every command that was begun.
    pub fn commands(&self) -> Vec<PathBuf> {
        let below = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let attempts = below(self.path("boi/attempts")).flat_map(below);
        attempts.flat_map(below).filter(|folder| folder.join("lock").exists()).collect()
    }

    /// What boi must never change in the user's checkout: a value to compare with a later one.
    pub fn checkout(&self) -> Vec<Vec<u8>> {
        let status = self.git("repo", &["--no-optional-locks", "status", "--porcelain=v2"]);
        let files =
            ["repo/.git/HEAD", "repo/.git/index", "repo/.git/config", "repo/.git/refs/heads/main", "repo/a.txt"];
        let bytes = files.iter().map(|name| fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}")));
        bytes.chain([status.into_bytes()]).collect()
    }
}

/// Waits until a child has ended. Kills it after [`DEADLINE`] and returns `None`.
fn wait_for_end(child: &mut Child) -> Option<ExitStatus> {
    let until = Instant::now() + DEADLINE;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().expect("a child of this process") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it has not been reaped");
    child.wait().expect("it was killed");
    None
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.in_background.load(Ordering::Relaxed)
            && let Ok(mut stop) = self.command(&["daemon", "stop"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        {
            wait_for_end(&mut stop);
        }
        // Specs that have not ended are canceled, also after a failed test.
        if let Ok(output) = self.command(&["status", "--json"]).output()
            && let Ok(status) = serde_json::from_slice::<Value>(&output.stdout)
        {
            let specs = status["specs"].as_array().cloned().unwrap_or_default();
            let open = specs.iter().filter(|spec| spec["finished_at"].is_null()).filter_map(|spec| spec["id"].as_str());
            let ids: Vec<&str> = open.collect();
            if !ids.is_empty()
                && let Ok(mut cancel) =
                    self.command(&["cancel"]).args(ids).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
            {
                wait_for_end(&mut cancel);
            }
        }
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().ok();
            daemon.wait().ok();
        }
        if !std::thread::panicking() {
            let cgroup_of = |command: PathBuf| -> Option<PathBuf> {
                let started: Value = serde_json::from_slice(&fs::read(command.join("started")).ok()?).ok()?;
                started["cgroup"].as_str().map(PathBuf::from)
            };
            let cgroups = self.commands().into_iter().filter_map(cgroup_of);
            let left: Vec<PathBuf> = cgroups.filter(|cgroup| cgroup.exists()).collect();
            assert!(left.is_empty(), "cgroups were left: {left:?}");
        }
    }
}
