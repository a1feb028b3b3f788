//! The forker's side: receives requests and forks supervisors, until the daemon closes the socket.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::image::Image;
use super::{ForkRequest, message};
use crate::process::fork::fork_sibling;
use crate::system::failpoint;

/// What a forked process has to supervise.
#[derive(Debug)]
pub(crate) struct ToSupervise {
    /// The folder of the command.
    pub(crate) folder: PathBuf,
    /// The lock of the command.
    pub(crate) lock: OwnedFd,
}

/// Serves the daemon whose socket is standard input. Returns in each forked process with what it has to
/// supervise, and in the forker with `None` at the end. This process must have one thread.
pub(crate) fn serve() -> io::Result<Option<ToSupervise>> {
    let socket = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    // A signal from the daemon's terminal must not end the forker. The call fails for the leader of a session.
    rustix::process::setsid().ok();
    let image = Image::find()?;
    while let Some((request, [lock, messages])) = message::receive_request(&socket)? {
        failpoint::hit("fork.received");
        let forked = fork_sibling();
        if let Ok(None) = forked {
            drop(socket);
            return start_supervisor(&image, request, lock, messages).map(Some);
        }
        drop((lock, messages));
        failpoint::hit("fork.forked");
        message::send_answer(&socket, &forked)?;
        failpoint::hit("fork.answered");
    }
    Ok(None)
}

/// Turns this forked process into the supervisor that `request` describes. Its messages go to `messages`.
fn start_supervisor(image: &Image, request: ForkRequest, lock: OwnedFd, messages: OwnedFd) -> io::Result<ToSupervise> {
    rustix::stdio::dup2_stderr(messages)?;
    image.become_supervisor(request.folder.as_os_str(), &request.marker)?;
    for (name, value) in &request.variables {
        // SAFETY: this process has one thread.
        unsafe { std::env::set_var(name, value) };
    }
    Ok(ToSupervise { folder: request.folder, lock })
}
