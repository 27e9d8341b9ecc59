//! Who starts the runs of the host's queue: a timer of systemd, or cron.
#![expect(clippy::disallowed_methods, reason = "edge: files of systemd and cron")]

use super::file::read_regular;
use std::path::{Path, PathBuf};

/// The timer of the package.
pub const TIMER: &str = "sendmail365-queue.timer";

/// Where the links of timers that are switched on lie.
const WANTED: [&str; 4] = [
    "/etc/systemd/system/timers.target.wants",
    "/run/systemd/system/timers.target.wants",
    "/usr/lib/systemd/system/timers.target.wants",
    "/lib/systemd/system/timers.target.wants",
];

const CRONTABS: [&str; 2] = ["/etc/cron.d/sendmail365", "/etc/crontab"];

/// The name of who starts the runs of the host's queue; none if nobody is found.
///
/// Where systemd runs, the package's line for cron does nothing, and a line of one's own is taken
/// for what it says.
pub fn starter() -> Option<String> {
    let with_systemd = Path::new("/run/systemd/system").is_dir();
    let mut links = WANTED.iter().map(|dir| Path::new(dir).join(TIMER));
    if with_systemd && links.any(|link| std::fs::symlink_metadata(link).is_ok()) {
        return Some(TIMER.to_owned());
    }
    let crontabs = CRONTABS.iter().map(PathBuf::from);
    let mut found = crontabs.filter(|path| starts_a_run(path, with_systemd));
    found.next().map(|path| path.display().to_string())
}

fn starts_a_run(crontab: &Path, with_systemd: bool) -> bool {
    const SIZE_MAX: u64 = 1024 * 1024;
    let text = read_regular(crontab, SIZE_MAX).map(|(text, _)| text);
    let text = text.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().any(|line| is_a_run(line, with_systemd))
}

/// Whether a line of a crontab runs the queue.
fn is_a_run(line: &str, with_systemd: bool) -> bool {
    let line = line.trim_start();
    let ours = line.contains("sendmail") && line.split_whitespace().any(|word| word == "-q");
    let idle = with_systemd && line.contains("test -d /run/systemd/system ||");
    ours && !idle && !line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_unless_it_is_switched_off() {
        let own = include_str!("../../packaging/cron.d/sendmail365");
        let line = own.lines().last().unwrap();
        assert!(is_a_run(line, false));
        assert!(!is_a_run(line, true), "systemd has its own timer");
        assert!(is_a_run("*/5 * * * * root /usr/sbin/sendmail -q", true));
        for line in [
            "# * * * * * root sendmail -q",
            "0 0 * * * root mailq",
            "0 0 * * * root sendmail -qf",
            "",
        ] {
            assert!(!is_a_run(line, false), "{line}");
        }
    }
}
