//! The files of a user's own settings: he alone, or root, may change them.

use super::files::{NAME, ROOMS, Sites, gathered, unseen};
use super::report::Check;
use crate::config::Config;
use crate::oauth;
use crate::sys::caller::{Account, Caller};
use crate::sys::look::{self, Kind, Seen};
use crate::sys::privilege::raised;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Judges the files of a user's own settings: his alone, or root's.
pub(super) fn judge(config: &Config, caller: &Caller) -> (Vec<Check>, usize) {
    let sites = Sites::of(config);
    let mut dirs = sites.tokens.clone();
    dirs.push(sites.state.clone());
    let mut files: Vec<PathBuf> = oauth::files(&sites.tokens).collect();
    let shared = sites.shared();
    let lacking = shared.iter().any(|path| is_missing(path));
    files.extend(shared);
    if let Some(spool) = &sites.spool {
        dirs.extend(ROOMS.map(|name| spool.join(name)));
        dirs.push(spool.clone());
        files.push(spool.join("runner.lock"));
    }
    dirs.dedup();
    let mut found: Vec<Check> = dirs.iter().filter_map(|dir| own_dir(dir, caller)).collect();
    found.extend(files.iter().filter_map(|file| own_file(file, caller)));
    if lacking {
        let what = format!("{} lacks what processes share", config.state_dir.display());
        found.push(
            Check::warn(NAME, what)
                .because("without it neither connections nor messages a minute are counted")
                .fix("run `sendmail365 login`, with the same -C if you gave one, which makes it"),
        );
    }
    let count = dirs.len() + files.len() + config.secret_files.len();
    found.extend(
        config
            .secret_files
            .iter()
            .filter_map(|file| secret(file, caller)),
    );
    (gathered(found), count)
}

fn is_missing(path: &Path) -> bool {
    look::look(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// None where nothing is: a user's own directories are made with his first sign-in or message.
fn seen(path: &Path, caller: &Caller) -> Result<Option<Seen>, Check> {
    let shown = path.display().to_string();
    match raised(|| look::look(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unseen(&shown, &error)),
        Ok(seen) if seen.uid == caller.uid || seen.uid == 0 => Ok(Some(seen)),
        // Root's other settings name the host's directories unless they say otherwise.
        Ok(seen) if caller.uid == 0 && seen.uid == Account::of_queue().uid => Ok(Some(seen)),
        Ok(seen) => Err(Check::failed(NAME, shown.as_str())
            .because(format!("belongs to uid {}", seen.uid))
            .fix(format!("as root: chown {} {shown}", caller.uid))),
    }
}

fn own_dir(path: &Path, caller: &Caller) -> Option<Check> {
    let found = match seen(path, caller) {
        Ok(found) => found?,
        Err(check) => return Some(check),
    };
    let open = found.mode & 0o022 != 0 && found.mode & 0o1000 == 0;
    open.then(|| {
        Check::failed(NAME, path.display().to_string())
            .because(format!("has mode {:04o}: others can change it", found.mode))
            .fix(format!("chmod go-w {}", path.display()))
    })
}

/// A file that holds the sign-in or is shared by processes; in root's directories for the group too.
fn own_file(path: &Path, caller: &Caller) -> Option<Check> {
    let found = match seen(path, caller) {
        Ok(found) => found?,
        Err(check) => return Some(check),
    };
    let parent = path.parent().and_then(|dir| look::look(dir).ok());
    let wanted = match parent.is_some_and(|dir| dir.uid == 0) {
        true => 0o660,
        false => 0o600,
    };
    let shown = path.display();
    if found.kind != Kind::File || found.links != 1 {
        let check = Check::failed(NAME, shown.to_string());
        let check = check.because("it is not a regular file with one name");
        return Some(check.fix("remove it, then run `sendmail365 login`"));
    }
    (found.mode & !wanted != 0).then(|| {
        Check::failed(NAME, shown.to_string())
            .because(format!("has mode {:04o}, not {wanted:04o}", found.mode))
            .fix(format!("chmod {wanted:04o} {shown}"))
    })
}

/// A secret, a certificate or a key.
fn secret(path: &Path, caller: &Caller) -> Option<Check> {
    let metadata = match seen(path, caller) {
        Ok(found) => found?,
        Err(check) => return Some(check),
    };
    (metadata.kind == Kind::File && metadata.mode & 0o022 != 0).then(|| {
        Check::failed(NAME, path.display().to_string())
            .because(format!(
                "has mode {:04o}: others can change it",
                metadata.mode
            ))
            .fix(format!("chmod go-w {}", path.display()))
    })
}
