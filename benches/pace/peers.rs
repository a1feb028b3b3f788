//! The peers that are measured beside boi, each with a daemon of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::support::wait_for;

/// The peers that are installed.
pub struct Peers {
    tsp: Option<PathBuf>,
    pueue: Option<(PathBuf, PathBuf)>,
}

/// One running peer.
pub struct Peer {
    pub name: &'static str,
    program: PathBuf,
    folder: tempfile::TempDir,
    daemon: Option<std::process::Child>,
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}

impl Peers {
    pub fn find() -> Peers {
        let peers = Peers { tsp: find("tsp"), pueue: find("pueue").zip(find("pueued")) };
        for (name, is_there) in [("task-spooler (tsp)", peers.tsp.is_some()), ("pueue", peers.pueue.is_some())] {
            if !is_there {
                println!("{name} is not installed: it is not measured");
            }
        }
        peers
    }

    /// Starts each peer with this many slots.
    pub fn start(&self, slots: usize) -> Vec<Peer> {
        let tsp = self.tsp.iter().map(|program| Peer::tsp(program, slots));
        let pueue = self.pueue.iter().map(|(client, daemon)| Peer::pueue(client, daemon, slots));
        tsp.chain(pueue).collect()
    }
}

impl Peer {
    fn tsp(program: &Path, slots: usize) -> Peer {
        let folder = tempfile::tempdir().expect("a folder");
        let peer = Peer { name: "task-spooler", program: program.to_owned(), folder, daemon: None };
        peer.run(&["-S", &slots.to_string()]);
        peer
    }

    fn pueue(program: &Path, daemon: &Path, slots: usize) -> Peer {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            "shared:\n  pueue_directory: {0}\n  runtime_directory: {0}\n  use_unix_socket: true\n  \
             unix_socket_path: {0}/socket\ndaemon: {{}}\n",
            folder.path().display()
        );
        fs::write(folder.path().join("pueue.yml"), config).expect("a configuration");
        let mut command = Command::new(daemon);
        command.arg("-c").arg(folder.path().join("pueue.yml")).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = command.spawn().expect("pueued starts");
        let peer = Peer { name: "pueue", program: program.to_owned(), folder, daemon: Some(daemon) };
        wait_for("pueued answers", || peer.command(&["status"]).status().ok()?.success().then_some(()));
        peer.run(&["parallel", &slots.to_string()]);
        peer
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        if self.daemon.is_some() {
            command.arg("-c").arg(self.folder.path().join("pueue.yml"));
        } else {
            command.env("TS_SOCKET", self.folder.path().join("socket")).env("TMPDIR", self.folder.path());
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) {
        assert!(self.command(arguments).status().expect("the peer runs").success(), "{} {arguments:?}", self.name);
    }

    /// Adds a shell command to the peer's queue.
    pub fn add(&self, command: &str) {
        match self.daemon {
            Some(_) => self.run(&["add", "--", command]),
            None => self.run(&["-n", "sh", "-c", command]),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        match &mut self.daemon {
            Some(daemon) => {
                daemon.kill().ok();
                daemon.wait().ok();
            }
            None => drop(self.command(&["-K"]).status()),
        }
    }
}
