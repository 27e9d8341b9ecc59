//! The packages that all tests of this process share.

use crate::binary;
use crate::host::Ran;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The version of the tree.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One that comes after it.
pub const NEWER: &str = concat!(env!("CARGO_PKG_VERSION"), "+newer");

/// A file of the tree.
pub fn in_tree(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// A folder for what lives as long as this process; those of processes that are gone are removed.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let above = Path::new(env!("CARGO_TARGET_TMPDIR"));
        for entry in fs::read_dir(above).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let process = name.strip_prefix("packages-");
            if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let own = above.join(format!("packages-{}", std::process::id()));
        fs::create_dir_all(&own).unwrap();
        own
    })
}

/// Calls `packaging/build` for the program under test.
pub fn build(output: &Path, more: &[&str], settle: impl FnOnce(&mut Command)) -> Vec<PathBuf> {
    let mut command = Command::new("sh");
    command.args(["-c", "umask ${MASK:-022} && exec \"$@\"", "sh"]);
    command.arg(in_tree("packaging/build")).arg("--quick");
    command.arg("--binary").arg(binary());
    command.arg("--output").arg(output).args(more);
    settle(&mut command);
    let ran = Ran::of(&mut command);
    ran.exits(0);
    assert_eq!(ran.stderr, "", "packaging/build complains");
    ran.stdout.lines().map(PathBuf::from).collect()
}

/// The tool and the package of links, in this version.
pub fn debs(version: &str) -> [PathBuf; 2] {
    let built = once(version, "deb");
    built.try_into().unwrap()
}

/// The one RPM, in this version.
pub fn rpm(version: &str) -> PathBuf {
    once(version, "rpm").remove(0)
}

/// The folder that the recipe of the container copies from.
pub fn context() -> PathBuf {
    once(VERSION, "container").remove(0)
}

fn once(version: &str, kind: &str) -> Vec<PathBuf> {
    type Done = Vec<(String, Vec<PathBuf>)>;
    static DONE: Mutex<Done> = Mutex::new(Vec::new());
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    let key = format!("{kind} {version}");
    if let Some((_, built)) = done.iter().find(|(name, _)| *name == key) {
        return built.clone();
    }
    let built = build(folder(), &["--version", version, kind], |_| ());
    done.push((key, built.clone()));
    built
}
