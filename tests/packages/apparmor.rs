//! The AppArmor profile as text; `crate::confined` has its effect.

use super::built::in_tree;
use crate::host::Ran;
use crate::needs;
use std::fs;
use std::process::Command;

fn profile() -> String {
    fs::read_to_string(in_tree("packaging/apparmor/usr.sbin.sendmail365")).unwrap()
}

#[test]
fn the_profile_is_one() {
    if !needs("apparmor_parser") {
        return;
    }
    let mut command = Command::new("apparmor_parser");
    command.args(["--skip-kernel-load", "--skip-cache", "--names"]);
    let file = in_tree("packaging/apparmor/usr.sbin.sendmail365");
    let ran = Ran::of(command.arg(&file));
    ran.exits(0);
    assert_eq!(ran.stdout, "sendmail365\n");
    let mut command = Command::new("apparmor_parser");
    command.args(["--skip-kernel-load", "--skip-cache"]);
    Ran::of(command.arg(&file)).exits(0);
}

/// The value of a variable of the profile.
fn place(profile: &str, variable: &str) -> String {
    let mut lines = profile.lines();
    let value = lines.find_map(|line| line.strip_prefix(&format!("@{{SENDMAIL365_{variable}}}=")));
    value.unwrap().to_owned()
}

/// Every file that is written to by a host as it is installed has its rule.
#[test]
fn the_profile_knows_the_files_of_the_package() {
    let profile = profile();
    let table = in_tree("packaging/tmpfiles.d/sendmail365.conf");
    let table = fs::read_to_string(table).unwrap();
    let files = table.lines().filter_map(|line| line.strip_prefix("f "));
    for path in files.map(|rest| rest.split(' ').next().unwrap()) {
        let mut places = [
            ("SETTINGS", "/token.{0,1,lock} rwk,"),
            ("STATE", "/** rwk,"),
            ("SPOOL", "/** rwkl,"),
        ]
        .into_iter();
        let covers = |(name, rule): (&str, &str)| {
            let below = path.strip_prefix(&place(&profile, name))?;
            let slot = below.starts_with("/token.") || name != "SETTINGS";
            slot.then(|| format!("  @{{SENDMAIL365_{name}}}{rule}\n"))
        };
        let rule = places.find_map(covers).expect(path);
        assert!(profile.contains(&rule), "{path}: {rule}");
    }
    assert!(profile.contains("  include if exists <local/usr.sbin.sendmail365>\n"));
    assert!(profile.contains("\ninclude if exists <tunables/sendmail365>\n"));
}
