//! The messages between the daemon and its forker, over a stream socket.
//!
//! | message | bytes | descriptors |
//! | --- | --- | --- |
//! | request | length (4 bytes), then folder, marker and variables (`NAME=VALUE`), each ended by NUL | the lock, the file `supervisor` |
//! | answer | pid, or 0; the number of the error, or 0 (4 bytes each) | the pidfd, if there is one |

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use super::image;
use crate::process::fork::Sibling;

/// The most bytes that a request may have. Linux accepts no larger environment with its default stack limit.
const MAX_REQUEST: usize = 8 << 20;

/// What a new supervisor gets to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForkRequest {
    /// The folder of the command.
    pub(crate) folder: PathBuf,
    pub(crate) marker: String,
    /// The variables that the supervisor adds to its environment, which the command inherits.
    pub(crate) variables: Vec<(String, OsString)>,
}

impl ForkRequest {
    /// Whether the forker has room for this request. A text with NUL fits nowhere; the caller's own start of a
    /// process reports it.
    pub(super) fn fits(&self) -> bool {
        let bytes: usize = self.variables.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let has_nul = |text: &OsStr| text.as_bytes().contains(&0);
        let folder = self.folder.as_os_str();
        folder.len() < image::MAX_FOLDER
            && bytes + 2 * image::MAX_FOLDER < MAX_REQUEST
            && !has_nul(folder)
            && self
                .variables
                .iter()
                .all(|(name, value)| !name.is_empty() && !name.contains(['=', '\0']) && !has_nul(value))
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = [self.folder.as_os_str().as_bytes(), b"\0", self.marker.as_bytes(), b"\0"].concat();
        for (name, value) in &self.variables {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'=');
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(0);
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<ForkRequest> {
        let mut texts = bytes.strip_suffix(b"\0")?.split(|&byte| byte == 0);
        let folder = Path::new(OsStr::from_bytes(texts.next()?)).to_owned();
        let marker = String::from_utf8(texts.next()?.to_vec()).ok()?;
        let variable = |text: &[u8]| {
            let equals = text.iter().position(|&byte| byte == b'=')?;
            let name = String::from_utf8(text[..equals].to_vec()).ok()?;
            Some((name, OsString::from_vec(text[equals + 1..].to_vec())))
        };
        Some(ForkRequest { folder, marker, variables: texts.map(variable).collect::<Option<_>>()? })
    }
}

/// Sends a request with the descriptors of the lock and of the file for messages.
pub(super) fn send_request(
    socket: &UnixStream,
    request: &ForkRequest,
    descriptors: [BorrowedFd<'_>; 2],
) -> io::Result<()> {
    let text = request.encode();
    let length = u32::try_from(text.len()).ok().filter(|_| text.len() <= MAX_REQUEST);
    let length = length.ok_or(io::ErrorKind::ArgumentListTooLong)?.to_ne_bytes();
    send(socket, &[&length[..], &text].concat(), &descriptors)
}

/// Receives a request; `None`: the daemon closed its end.
pub(super) fn receive_request(mut socket: &UnixStream) -> io::Result<Option<(ForkRequest, [OwnedFd; 2])>> {
    let mut length = [0; 4];
    let Some(descriptors) = receive(socket, &mut length)? else { return Ok(None) };
    let mut text = vec![0; usize::try_from(u32::from_ne_bytes(length)).map_err(io::Error::other)?];
    socket.read_exact(&mut text)?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a request cannot be read");
    let request = ForkRequest::decode(&text).ok_or_else(damaged)?;
    Ok(Some((request, descriptors.try_into().map_err(|_| damaged())?)))
}

/// Sends the answer to a request.
pub(super) fn send_answer(socket: &UnixStream, forked: &io::Result<Option<Sibling>>) -> io::Result<()> {
    let (pid, error, pidfd) = match forked {
        Ok(Some(forked)) => (forked.pid, 0, forked.pidfd.as_ref()),
        Ok(None) => (0, libc::EIO, None),
        Err(error) => (0, error.raw_os_error().unwrap_or(libc::EIO), None),
    };
    let pidfd: Vec<BorrowedFd<'_>> = pidfd.into_iter().map(AsFd::as_fd).collect();
    send(socket, &[pid.to_ne_bytes(), error.to_ne_bytes()].concat(), &pidfd)
}

/// Receives the answer to a request: the new supervisor, or why the kernel refused it.
pub(super) fn receive_answer(socket: &UnixStream) -> io::Result<io::Result<Sibling>> {
    let mut answer = [0; 8];
    let descriptors = receive(socket, &mut answer)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let number = |at: usize| i32::from_ne_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]);
    Ok(match (number(0), number(4)) {
        (pid, 0) => Ok(Sibling { pid, pidfd: descriptors.into_iter().next() }),
        (_, error) => Err(io::Error::from_raw_os_error(error)),
    })
}

fn send(mut socket: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    // The descriptors arrive with the first byte, and are sent once even if the rest needs more calls.
    let sent =
        rustix::io::retry_on_intr(|| sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL))?;
    socket.write_all(&bytes[sent..])
}

/// Fills `bytes`, and returns the descriptors that came with them; `None`: the other end is closed.
fn receive(mut socket: &UnixStream, bytes: &mut [u8]) -> io::Result<Option<Vec<OwnedFd>>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let rights = |message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    };
    let descriptors = control.drain().filter_map(rights).flatten().collect();
    socket.read_exact(&mut bytes[received.bytes..])?;
    Ok(Some(descriptors))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn request(variables: Vec<(String, OsString)>) -> ForkRequest {
        ForkRequest { folder: "/home of boi/command-1".into(), marker: "m".repeat(32), variables }
    }

    fn variable(name: &str, value: &[u8]) -> (String, OsString) {
        (name.to_owned(), OsString::from_vec(value.to_vec()))
    }

    #[test]
    fn a_request_arrives_whole_with_its_descriptors() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let large = variable("LARGE", &vec![b'x'; 1 << 20]);
        for variables in [vec![], vec![variable("A", b"=b\xff"), variable("EMPTY", b"")], vec![large]] {
            let request = request(variables);
            assert!(request.fits());
            let null = File::open("/dev/null").unwrap();
            let received = std::thread::scope(|scope| {
                scope.spawn(|| send_request(&ours, &request, [null.as_fd(), null.as_fd()]).unwrap());
                receive_request(&theirs).unwrap().unwrap()
            });
            assert_eq!(received.0, request);
        }
        drop(ours);
        assert!(receive_request(&theirs).unwrap().is_none());
    }

    #[test]
    fn a_request_that_no_environment_can_hold_does_not_fit() {
        for wrong in [variable("A", b"b\0c"), variable("A=B", b"c"), variable("", b"c"), variable("A\0", b"c")] {
            assert!(!request(vec![wrong]).fits());
        }
        assert!(!request(vec![variable("LARGE", &vec![b'x'; MAX_REQUEST])]).fits());
        assert!(!ForkRequest { folder: "x".repeat(image::MAX_FOLDER).into(), ..request(vec![]) }.fits());
    }

    #[test]
    fn an_answer_has_the_supervisor_or_the_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let pidfd = Some(OwnedFd::from(File::open("/dev/null").unwrap()));
        send_answer(&theirs, &Ok(Some(Sibling { pid: 4711, pidfd }))).unwrap();
        let forked = receive_answer(&ours).unwrap().unwrap();
        assert!(forked.pid == 4711 && forked.pidfd.is_some());
        send_answer(&theirs, &Err(io::Error::from_raw_os_error(libc::EAGAIN))).unwrap();
        assert_eq!(receive_answer(&ours).unwrap().unwrap_err().raw_os_error(), Some(libc::EAGAIN));
        drop(theirs);
        assert_eq!(receive_answer(&ours).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
