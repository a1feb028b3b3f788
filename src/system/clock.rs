//! The wall clock, the time since the boot, and the id of the current boot.

#[cfg(test)]
pub(crate) mod fake;

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;
use crate::system::failpoint;

/// Returns the current time of the wall clock.
pub(crate) fn now() -> Timestamp {
    #[cfg(test)]
    if let Some(now) = fake::now() {
        return now;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Returns how long it is until `time`, at least a millisecond.
pub(crate) fn until(time: Timestamp) -> Duration {
    let millis = u64::try_from(time.millis_since(now())).unwrap_or(0);
    Duration::from_millis(millis.max(1))
}

/// Returns the time since the boot. It includes the time that the machine was suspended, unlike
/// [`std::time::Instant`].
pub(crate) fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    Duration::try_from(rustix::time::clock_gettime(CLOCK)).unwrap_or_default()
}

/// Returns the id of the current boot. A process that started under another boot id no longer exists.
pub(crate) fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| failpoint::boot_id().or_else(read_boot_id).unwrap_or_else(|| "unknown".to_owned()))
}

#[cfg(target_os = "linux")]
fn read_boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|text| text.trim().to_owned())
}

/// Returns the time of the boot. It serves as the boot id, because this system has none and a boot time never
/// repeats.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "`system` may not use `process`, and `process` needs the boot id")]
fn read_boot_id() -> Option<String> {
    let output = std::process::Command::new("sysctl").args(["-n", "kern.boottime"]).output().ok()?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}
