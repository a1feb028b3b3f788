//! Resets the signals that this program inherited as ignored or blocked, and sets the signals of its
//! commands.
//!
//! Ignored and blocked signals are inherited. A caller such as `nohup`, a shell script that started this program in the
//! background, or an interpreter may leave some of them changed: with SIGCHLD ignored no child can be waited for, and with
//! SIGTERM blocked a daemon cannot be ended.

use std::mem::MaybeUninit;
use std::ptr;

/// Unblocks all signals and resets SIGCHLD, in case the caller had blocked or ignored them; SIGHUP stays as
/// inherited. Ignores SIGXFSZ, so that a write beyond a file size limit fails like a write to a full disk.
/// Must be called before this process has threads.
pub fn prepare() {
    unblock_all();
    // SAFETY: no handler is installed.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Sets the default action for every signal of a command, and unblocks all. SIGHUP is ignored, so that a
/// closed terminal does not end an agent. Makes only async-signal-safe calls, so a forked process may call
/// it.
pub(crate) fn set_for_command() {
    for signal in 1..=libc::SIGRTMAX() {
        let action = if signal == libc::SIGHUP { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: no handler is installed. For a signal whose action cannot be changed, the call fails
        // without effect.
        unsafe { libc::signal(signal, action) };
    }
    unblock_all();
}

/// Undoes for a program of the user what [`prepare`] ignores.
pub(crate) fn restore_for_user() {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
}

/// Whether this process ignores SIGHUP, as under `nohup`.
pub(crate) fn ignores_hangup() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call only writes the present action to `action`, which is valid when zeroed.
    unsafe {
        libc::sigaction(libc::SIGHUP, ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

fn unblock_all() {
    let mut none = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: `none` is initialized by the first call and only read by the second.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}
