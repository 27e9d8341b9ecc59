//! What went wrong with the spool, in an administrator's words.

use crate::outcome::{Failure, Stage};
use crate::sys::file::error_name;
use std::io::{Error, ErrorKind};
use std::path::Path;

/// A failure at `path`, with its cause and cure; `what` is what could not be done.
pub(super) fn explain(what: &str, path: &Path, error: &Error) -> Failure {
    let name = error_name(error);
    let failure = Failure::defer(what)
        .at(Stage::Queue)
        .with_os_error(error)
        .with_err(&name);
    let path = path.display();
    match error.kind() {
        ErrorKind::StorageFull => failure
            .because(format!("the disk of {path} is full"))
            .fix("free some space, or inodes, on that disk, then try again"),
        ErrorKind::QuotaExceeded => failure
            .because(format!("the disk quota at {path} is used up"))
            .fix("raise the quota or free some space, then try again"),
        ErrorKind::ReadOnlyFilesystem => failure
            .because(format!("{path} is on a read-only file system"))
            .fix(
                "mount it for writing, or name it in ReadWritePaths= of the unit that runs this; dmesg says \
                 whether an error made it read-only",
            ),
        ErrorKind::NotFound => failure
            .because(format!("{path} does not exist"))
            .fix(format!("create it: {EXPECTED}"))
            .with_reason("missing"),
        ErrorKind::PermissionDenied => wrong_mode(failure, &path.to_string()),
        ErrorKind::NotADirectory => failure
            .because(format!("{path} is not a directory"))
            .fix(format!("make it one: {EXPECTED}"))
            .with_reason("mode"),
        ErrorKind::FileTooLarge => failure
            .because("the message is larger than this process may write")
            .fix("raise the caller's file size limit (ulimit -f)"),
        _ if name == "EMFILE" => failure
            .because("this process may not open another file")
            .fix("raise the caller's limit of open files (ulimit -n), or let it leave fewer open"),
        _ if name == "ENFILE" => failure
            .because("this host cannot open another file")
            .fix("end what holds too many open, or raise fs.file-max, then try again"),
        ErrorKind::OutOfMemory => failure
            .because(format!("{path}: {error}"))
            .fix("free some memory, or raise the caller's limit (ulimit -v), then try again"),
        _ => failure
            .because(format!("{path}: {error}"))
            .fix("see dmesg for errors of that disk; try again once it works"),
    }
}

/// The failure where a directory that is there is no spool: anybody may write to it, or those who
/// have to may not.
pub(super) fn wrong_owner(what: &str, path: &Path) -> Failure {
    let failure = Failure::defer(what).at(Stage::Queue).with_err("EPERM");
    wrong_mode(failure, &path.display().to_string())
}

/// The failure where the queue cannot be locked for a run; `own` is a user's own spool.
pub(super) fn explain_lock(path: &Path, own: bool, error: &Error) -> Failure {
    let failure = explain("the queue cannot be run", path, error);
    let path = path.display();
    match (error.kind(), own) {
        (ErrorKind::NotFound, false) => failure.fix(format!(
            "as root: install -o root -g sendmail365 -m 0660 /dev/null {path}"
        )),
        (ErrorKind::PermissionDenied, false) => failure.fix(format!(
            "as root: chown root:sendmail365 {path} && chmod 0660 {path}"
        )),
        (ErrorKind::NotFound, true) => failure.fix(format!("touch {path}")),
        (ErrorKind::PermissionDenied, true) => failure.fix(format!("chmod 0600 {path}")),
        _ => failure,
    }
}

const EXPECTED: &str = "tmp, queue and failed belong to sendmail365:sendmail365 with mode 3770, their \
     parent to root:sendmail365 with mode 0750 (in a user's own spool: the user, 0700)";

fn wrong_mode(failure: Failure, path: &str) -> Failure {
    failure
        .because(format!("{path} has the wrong owner or mode"))
        .fix(format!("set them right: {EXPECTED}"))
        .with_reason("mode")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Class;

    #[test]
    fn a_lock_that_is_missing_is_no_directory() {
        let cure = |number, own| {
            let error = Error::from_raw_os_error(number);
            let failure = explain_lock(Path::new("/s/runner.lock"), own, &error);
            failure.cure().unwrap().to_owned()
        };
        let made = "as root: install -o root -g sendmail365 -m 0660 /dev/null /s/runner.lock";
        assert_eq!(cure(2, false), made);
        assert_eq!(cure(2, true), "touch /s/runner.lock");
        assert!(cure(13, false).ends_with("chmod 0660 /s/runner.lock"));
        assert_eq!(cure(13, true), "chmod 0600 /s/runner.lock");
        assert!(cure(28, false).contains("free some space"));
    }

    #[test]
    fn every_cause_is_named_with_a_cure_and_the_caller_may_repeat() {
        let named = [
            (28, "ENOSPC", "is full"),
            (122, "EDQUOT", "quota"),
            (30, "EROFS", "read-only"),
            (2, "ENOENT", "does not exist"),
            (13, "EACCES", "wrong owner or mode"),
            (27, "EFBIG", "larger than this process may write"),
            (24, "EMFILE", "may not open another file"),
            (23, "ENFILE", "host cannot open another file"),
            (12, "ENOMEM", "/s/tmp: Cannot allocate memory"),
            (5, "EIO", "/s/tmp: Input/output error"),
        ];
        for (number, name, why) in named {
            let error = Error::from_raw_os_error(number);
            let failure = explain("it cannot be queued", Path::new("/s/tmp"), &error);
            assert_eq!(
                (failure.class(), failure.stage()),
                (Class::TryAgain, Some(Stage::Queue))
            );
            assert_eq!(failure.err(), Some(name));
            assert!(failure.why().unwrap().contains(why), "{failure:?}");
            let blames_disk = failure
                .cure()
                .unwrap()
                .contains("dmesg for errors of that disk");
            assert_eq!(blames_disk, name == "EIO", "{failure:?}");
        }
    }
}
