//! Saves `config.toml` in every way that programs do, with the real reload thread in this process, and measures: which
//! saves were missed, which put a configuration in force that nobody saved, and how long after the save the swap came.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use boi::config::flags::Flags;
use boi::config::{Config, HotConfig};
use boi::domain::verdict::Verdict;
use boi::reload::{self, Callbacks, Judge, ReloadHandle, Reloader};
use boi::system::paths::Home;

/// A save that is not in force after this time was missed.
const MISSED: Duration = Duration::from_secs(8);

/// What a swap put in force, and when.
#[derive(Debug, Clone)]
pub struct Swap {
    pub at: SystemTime,
    pub config: Config,
}

#[derive(Default)]
struct Seen {
    swaps: Vec<Swap>,
    verdicts: Vec<Verdict>,
    generation: u64,
}

/// A home whose configuration is watched.
pub struct Scene {
    // Dropped first: its thread writes into the folder.
    reloader: Reloader,
    dir: tempfile::TempDir,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Scene {
    pub fn new(prepare: impl FnOnce(&Path)) -> Scene {
        let dir = tempfile::Builder::new().prefix("boi-saves-").tempdir().expect("a folder");
        let root = dir.path().join("boi");
        fs::create_dir(&root).expect("a home");
        prepare(&root);
        let home = Home::at(root);
        home.prepare().expect("a home that is safe");
        let booted = reload::boot(&home, &Flags::default()).expect("a good configuration");
        let hot = Arc::new(ArcSwap::from_pointee(HotConfig { generation: 1, config: booted.config.clone() }));
        let seen = Arc::new((Mutex::new(Seen { generation: 1, ..Seen::default() }), Condvar::new()));
        let publish = {
            let (hot, seen) = (Arc::clone(&hot), Arc::clone(&seen));
            move |view: &boi::domain::view::ConfigView| {
                let at = SystemTime::now();
                let (mutex, news) = &*seen;
                let mut seen = mutex.lock().expect("nobody panicked with it");
                if view.generation != seen.generation {
                    seen.generation = view.generation;
                    seen.swaps.push(Swap { at, config: hot.load().config.clone() });
                }
                seen.verdicts.extend(view.verdict.clone());
                news.notify_all();
            }
        };
        let callbacks = Callbacks { publish: Box::new(publish), set_log_filter: Box::new(|_| Ok(())) };
        let judge = Judge::new(home, &booted, Arc::clone(&hot), callbacks);
        let reloader = Reloader::start(judge).expect("a thread");
        Scene { dir, seen, reloader }
    }

    /// A folder for other files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("boi")
    }

    pub fn config(&self) -> PathBuf {
        self.root().join("config.toml")
    }

    pub fn handle(&self) -> ReloadHandle {
        self.reloader.handle()
    }

    pub fn swaps(&self) -> Vec<Swap> {
        self.seen.0.lock().expect("nobody panicked with it").swaps.clone()
    }

    /// Waits until `wanted` accepts the last verdict, and returns it.
    #[track_caller]
    pub fn verdict(&self, wanted: impl Fn(&Verdict) -> bool) -> Verdict {
        let (mutex, news) = &*self.seen;
        let seen = mutex.lock().expect("nobody panicked with it");
        let (seen, late) = news
            .wait_timeout_while(seen, MISSED, |seen| !seen.verdicts.last().is_some_and(&wanted))
            .expect("nobody panicked with it");
        assert!(!late.timed_out(), "no such verdict came, but {:?}", seen.verdicts.last());
        seen.verdicts.last().cloned().expect("a verdict")
    }

    /// Waits until `number` is in force, and returns when it was put in force; `None`: it never was.
    pub fn in_force(&self, number: u32) -> Option<SystemTime> {
        self.in_force_within(number, MISSED)
    }

    fn in_force_within(&self, number: u32, limit: Duration) -> Option<SystemTime> {
        let (mutex, news) = &*self.seen;
        let is = |swap: &Swap| swap.config.max_workers == number && agrees(&swap.config);
        let seen = mutex.lock().expect("nobody panicked with it");
        let (seen, _) = news
            .wait_timeout_while(seen, limit, |seen| !seen.swaps.last().is_some_and(is))
            .expect("nobody panicked with it");
        seen.swaps.last().filter(|swap| is(swap)).map(|swap| swap.at)
    }
}

/// A configuration that contains `number` at its beginning, in its middle and at its end. A prefix is valid too, but its
/// values do not agree.
pub fn text(number: u32) -> String {
    let mut text = format!("max_workers = {number}\n");
    for line in 0..12 {
        writeln!(text, "# a comment that makes the file longer, line {line} of it, for no other reason than that")
            .unwrap();
    }
    writeln!(text, "claude_args = [\"--number\", \"{number}\"]\nspawns_per_tick = {number}\n# more").unwrap();
    writeln!(text, "tick_interval_ms = {}", 1000 + number).unwrap();
    text
}

/// Whether all values of a configuration agree: it was saved as a whole.
pub fn agrees(config: &Config) -> bool {
    let number = config.max_workers;
    config.spawns_per_tick == number
        && config.tick_interval_ms == u64::from(1000 + number)
        && config.claude().worker.args.last() == Some(&number.to_string())
}

/// One way to save a file.
pub struct Style {
    pub name: &'static str,
    /// Longest time from the save to the swap.
    pub within: Duration,
    /// The program that saves; empty: none.
    pub program: &'static str,
    /// Prepares the home for this style.
    pub prepare: fn(&Path),
    /// Saves `text` as the configuration in the home `root`; `dir` is for other files. Returns when the save was complete;
    /// `None`: the times of the file tell.
    pub save: fn(root: &Path, dir: &Path, text: &str) -> Option<SystemTime>,
    /// Undoes what `prepare` did outside of the home's files.
    pub finish: fn(root: &Path),
}

/// The longest delay of a save that ends with a close or a rename.
pub const ORDINARY: Duration = Duration::from_millis(50);

/// The result of the saves of one style.
#[derive(Debug, Default)]
pub struct Figures {
    pub saves: u32,
    pub missed: u32,
    pub wrong: u32,
    pub delays: Vec<Duration>,
}

impl Figures {
    /// The delay that the share `share` of the saves does not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        let mut delays = self.delays.clone();
        delays.sort();
        let at = ((delays.len() as f64 * share).ceil() as usize).clamp(1, delays.len().max(1));
        delays.get(at - 1).copied().unwrap_or_default()
    }
}

/// Saves `count` times in one style; `None`: its program is not installed.
pub fn measure(style: &Style, count: u32) -> Option<Figures> {
    if !style.program.is_empty() && !is_there(style.program) {
        return None;
    }
    let scene = Scene::new(|root| {
        fs::write(root.join("config.toml"), text(7)).expect("a configuration");
        (style.prepare)(root);
    });
    let mut figures = Figures { saves: count, ..Figures::default() };
    for number in 0..count {
        let number = 100 + number % 900;
        let end = (style.save)(&scene.root(), scene.dir(), &text(number));
        // A program may take time to exit after the save, so the times of the file count.
        let end = end.or_else(|| changed_at(&scene.config())).expect("the file is there");
        match scene.in_force_within(number, MISSED.max(style.within * 2)) {
            Some(at) => figures.delays.push(at.duration_since(end).unwrap_or_default()),
            None => figures.missed += 1,
        }
    }
    (style.finish)(&scene.root());
    figures.wrong = u32::try_from(scene.swaps().iter().filter(|swap| !agrees(&swap.config)).count()).unwrap();
    Some(figures)
}

fn changed_at(path: &Path) -> Option<SystemTime> {
    let metadata = fs::metadata(path).ok()?;
    let part = |seconds: i64, nanos: i64| {
        UNIX_EPOCH + Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0))
    };
    let link = fs::symlink_metadata(path).ok()?;
    Some(part(metadata.ctime(), metadata.ctime_nsec()).max(part(link.ctime(), link.ctime_nsec())))
}

fn is_there(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn shell(root: &Path, script: &str) {
    run(Command::new("sh").args(["-c", script]).current_dir(root));
}

/// Writes `text` to a file beside the home, for programs that copy or move it.
fn beside(dir: &Path, text: &str) -> PathBuf {
    let new = dir.join("new.toml");
    fs::write(&new, text).expect("a file");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("a mode");
    new
}

fn in_chunks(root: &Path, text: &str, pause: Duration) -> Option<SystemTime> {
    let mut file = File::create(root.join("config.toml")).expect("the file");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for chunk in lines.chunks(lines.len().div_ceil(6)) {
        file.write_all(chunk.concat().as_bytes()).expect("a chunk");
        sleep(pause);
    }
    drop(file);
    Some(SystemTime::now())
}

fn vim(program: &str, root: &Path, dir: &Path, text: &str, backup: &str) -> Option<SystemTime> {
    let new = beside(dir, text);
    let quiet: &[&str] = if program == "nvim" {
        &["--headless", "-es", "-u", "NONE", "-i", "NONE"]
    } else {
        &["-Nes", "-u", "NONE", "-i", "NONE"]
    };
    let set = format!("set writebackup backupcopy={backup}");
    let read = format!("0r {}", new.display());
    run(Command::new(program)
        .args(quiet)
        .args(["-c", &set, "-c", "%d _", "-c", &read, "-c", "wq"])
        .arg("config.toml")
        .current_dir(root));
    None
}

/// Ways to save on mounts: none without root and `/dev/fuse`.
pub fn mounted_styles() -> Vec<Style> {
    if !rustix::process::getuid().is_root() || !Path::new("/dev/fuse").exists() {
        return Vec::new();
    }
    let unmount: fn(&Path) = |root| shell(root, "umount -l ../mount");
    vec![
        Style {
            name: "write in place on a tmpfs",
            within: ORDINARY,
            program: "mount",
            prepare: |root| {
                shell(root, "mkdir ../mount && mount -t tmpfs none ../mount && mv config.toml ../mount/c.toml");
                symlink("../mount/c.toml", root.join("config.toml")).expect("a link");
            },
            save: |_, dir, text| {
                fs::write(dir.join("mount/c.toml"), text).expect("a write");
                Some(SystemTime::now())
            },
            finish: unmount,
        },
        Style {
            name: "two halves, 1 s apart, beyond bindfs",
            // The poll, then the time for which the file has to be the same.
            within: Duration::from_secs(10),
            program: "bindfs",
            prepare: |root| {
                shell(root, "mkdir ../mount ../beyond && mv config.toml ../beyond/c.toml && bindfs ../beyond ../mount");
                symlink("../mount/c.toml", root.join("config.toml")).expect("a link");
            },
            save: |_, dir, text| {
                let (first, second) = text.split_at(text.len() / 2);
                let mut file = File::create(dir.join("beyond/c.toml")).expect("the file");
                file.write_all(first.as_bytes()).expect("a half");
                sleep(Duration::from_secs(1));
                file.write_all(second.as_bytes()).expect("a half");
                drop(file);
                Some(SystemTime::now())
            },
            finish: unmount,
        },
    ]
}

/// All ways to save.
pub fn styles() -> Vec<Style> {
    let none: fn(&Path) = |_| {};
    let style = |name, program, prepare, save| Style { name, within: ORDINARY, program, prepare, save, finish: |_| {} };
    vec![
        style("write in place", "", none, |root, _, text| {
            fs::write(root.join("config.toml"), text).expect("a write");
            Some(SystemTime::now())
        }),
        style("overwrite in place, then truncate", "", none, |root, _, text| {
            let mut file = OpenOptions::new().write(true).open(root.join("config.toml")).expect("the file");
            file.write_all(text.as_bytes()).expect("a write");
            file.set_len(text.len() as u64).expect("a length");
            drop(file);
            Some(SystemTime::now())
        }),
        style("6 chunks, 15 ms apart", "", none, |root, _, text| in_chunks(root, text, Duration::from_millis(15))),
        style("6 lines' chunks, 300 ms apart", "", none, |root, _, text| {
            in_chunks(root, text, Duration::from_millis(300))
        }),
        style("truncate, pause, write", "", none, |root, _, text| {
            let mut file = File::create(root.join("config.toml")).expect("the file");
            sleep(Duration::from_millis(60));
            file.write_all(text.as_bytes()).expect("a write");
            drop(file);
            Some(SystemTime::now())
        }),
        style("new file, renamed", "", none, |root, _, text| {
            let new = root.join(".config.toml.tmp");
            fs::write(&new, text).expect("a write");
            fs::rename(&new, root.join("config.toml")).expect("a rename");
            Some(SystemTime::now())
        }),
        style("delete, make again after 50 ms", "", none, |root, _, text| {
            fs::remove_file(root.join("config.toml")).expect("it is there");
            sleep(Duration::from_millis(50));
            fs::write(root.join("config.toml"), text).expect("a write");
            Some(SystemTime::now())
        }),
        style("rename away, write anew", "", none, |root, _, text| {
            fs::rename(root.join("config.toml"), root.join("config.toml~")).expect("a rename");
            fs::write(root.join("config.toml"), text).expect("a write");
            fs::remove_file(root.join("config.toml~")).expect("it is there");
            Some(SystemTime::now())
        }),
        Style {
            within: Duration::from_millis(250),
            ..style("hard link", "", none, |root, dir, text| {
                let new = beside(dir, text);
                fs::remove_file(root.join("config.toml")).expect("it is there");
                fs::hard_link(&new, root.join("config.toml")).expect("a link");
                let end = SystemTime::now();
                fs::remove_file(&new).expect("it is there");
                Some(end)
            })
        },
        style(
            "symlink retargeted (ln -sfn)",
            "ln",
            |root| {
                fs::rename(root.join("config.toml"), root.join("real-0.toml")).expect("a rename");
                symlink("real-0.toml", root.join("config.toml")).expect("a link");
            },
            |root, _, text| {
                let old = fs::read_link(root.join("config.toml")).expect("a link");
                let new = if old.ends_with("real-0.toml") { "real-1.toml" } else { "real-0.toml" };
                fs::write(root.join(new), text).expect("a write");
                run(Command::new("ln").args(["-sfn", new, "config.toml"]).current_dir(root));
                None
            },
        ),
        style(
            "target of a symlink in another folder",
            "",
            |root| {
                let dotfiles = root.parent().expect("a parent").join("dotfiles");
                fs::create_dir(&dotfiles).expect("a folder");
                fs::rename(root.join("config.toml"), dotfiles.join("boi.toml")).expect("a rename");
                symlink("../dotfiles/boi.toml", root.join("config.toml")).expect("a link");
            },
            |_, dir, text| {
                let new = dir.join("dotfiles/boi.toml.tmp");
                fs::write(&new, text).expect("a write");
                fs::rename(&new, dir.join("dotfiles/boi.toml")).expect("a rename");
                Some(SystemTime::now())
            },
        ),
        style(
            "Kubernetes ..data swap",
            "",
            |root| {
                fs::create_dir(root.join("..v-0")).expect("a folder");
                fs::rename(root.join("config.toml"), root.join("..v-0/config.toml")).expect("a rename");
                symlink("..v-0", root.join("..data")).expect("a link");
                symlink("..data/config.toml", root.join("config.toml")).expect("a link");
            },
            |root, _, text| {
                let old = fs::read_link(root.join("..data")).expect("a link");
                let number: u32 =
                    old.to_str().and_then(|name| name.strip_prefix("..v-")?.parse().ok()).expect("a number");
                let new = format!("..v-{}", number + 1);
                fs::create_dir(root.join(&new)).expect("a folder");
                fs::write(root.join(&new).join("config.toml"), text).expect("a write");
                symlink(&new, root.join("..data_tmp")).expect("a link");
                fs::rename(root.join("..data_tmp"), root.join("..data")).expect("a rename");
                let end = SystemTime::now();
                fs::remove_dir_all(root.join(old)).expect("a folder");
                Some(end)
            },
        ),
        style("sed -i", "sed", none, |root, _, text| {
            let number = text.split_whitespace().nth(2).expect("a number");
            let script = format!(
                "s/^max_workers.*/max_workers = {number}/; s/^spawns.*/spawns_per_tick = {number}/; \
                 s/\"[0-9]*\"\\]/\"{number}\"]/; s/^tick.*/tick_interval_ms = {}/",
                1000 + number.parse::<u32>().expect("a number")
            );
            run(Command::new("sed").args(["-i", &script, "config.toml"]).current_dir(root));
            None
        }),
        style("mv from another folder", "mv", none, |root, dir, text| {
            let new = beside(dir, text);
            run(Command::new("mv").arg(new).arg(root.join("config.toml")));
            None
        }),
        style("cp over it", "cp", none, |root, dir, text| {
            let new = beside(dir, text);
            run(Command::new("cp").arg(new).arg(root.join("config.toml")));
            None
        }),
        style("install", "install", none, |root, dir, text| {
            let new = beside(dir, text);
            run(Command::new("install").args(["-m", "600"]).arg(new).arg(root.join("config.toml")));
            None
        }),
        style("shell redirection", "sh", none, |root, dir, text| {
            beside(dir, text);
            shell(root, "cat ../new.toml > config.toml");
            None
        }),
        style("dd", "dd", none, |root, dir, text| {
            beside(dir, text);
            shell(root, "dd if=../new.toml of=config.toml bs=64 2>/dev/null");
            None
        }),
        style("vim, backupcopy=no", "vim", none, |root, dir, text| vim("vim", root, dir, text, "no")),
        style("vim, backupcopy=yes", "vim", none, |root, dir, text| vim("vim", root, dir, text, "yes")),
        style("vim, backupcopy=auto", "vim", none, |root, dir, text| vim("vim", root, dir, text, "auto")),
        style("nvim, backupcopy=auto", "nvim", none, |root, dir, text| vim("nvim", root, dir, text, "auto")),
        style("nvim, backupcopy=yes", "nvim", none, |root, dir, text| vim("nvim", root, dir, text, "yes")),
        style("nano", "nano", none, |root, dir, text| {
            let new = beside(dir, text);
            // As a person does: cuts the buffer to its end (Alt-T), then reads the new file into it (^R).
            nano(root, &new);
            None
        }),
        style("emacs", "emacs", none, |root, dir, text| {
            let new = beside(dir, text);
            let script = format!(
                "(progn (find-file \"config.toml\") (erase-buffer) (insert-file-contents \"{}\") (save-buffer))",
                new.display()
            );
            run(Command::new("emacs").args(["-Q", "--batch", "--eval", &script]).current_dir(root).env("HOME", dir));
            None
        }),
    ]
}

/// Saves with nano, which needs a terminal: `script` provides one. Keys are sent after nano has drawn its screen; earlier
/// the terminal would interpret them.
fn nano(root: &Path, new: &Path) {
    let mut child = Command::new("script")
        .args(["-qfec", "nano -I -L config.toml", "/dev/null"])
        .current_dir(root)
        .env("TERM", "xterm")
        .env("HOME", root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("script starts");
    let (mut keys, mut screen) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
    let mut drawn = Vec::new();
    let mut until = |wanted: &[u8]| {
        let mut chunk = [0; 4096];
        while !drawn.windows(wanted.len()).any(|part| part == wanted) {
            let read = screen.read(&mut chunk).expect("a screen");
            assert!(read > 0, "nano ended: {}", String::from_utf8_lossy(&drawn));
            drawn.extend_from_slice(&chunk[..read]);
        }
        drawn.clear();
    };
    until(b"Exit");
    write!(keys, "\x1b\\\x1bt\x12").expect("keys");
    until(b"insert");
    write!(keys, "{}\r", new.display()).expect("keys");
    until(b"Read ");
    write!(keys, "\x0f").expect("keys");
    until(b"Name to Write");
    write!(keys, "\r").expect("keys");
    until(b"Wrote ");
    write!(keys, "\x18").expect("keys");
    std::io::copy(&mut screen, &mut std::io::sink()).expect("a screen");
    assert!(child.wait().expect("nano ends").success());
}
