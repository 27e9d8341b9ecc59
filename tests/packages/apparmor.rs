//! The AppArmor profile: its syntax everywhere, its effect where the kernel has AppArmor.

use super::built::{folder, in_tree};
use crate::callers::machine::Machine;
use crate::host::{Ran, finish};
use crate::{is_root, needs};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where the kernel says whether it confines programs.
const SWITCH: &str = "/sys/module/apparmor/parameters/enabled";

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

/// Every file that is written to by a host as it is installed has its rule.
#[test]
fn the_profile_knows_the_files_of_the_package() {
    let profile = profile();
    let table = in_tree("packaging/tmpfiles.d/sendmail365.conf");
    let table = fs::read_to_string(table).unwrap();
    let files = table.lines().filter_map(|line| line.strip_prefix("f "));
    for path in files.map(|rest| rest.split(' ').next().unwrap()) {
        let (folder, name) = path.rsplit_once('/').unwrap();
        let rule = match name.strip_prefix("token.") {
            Some(_) if folder == "/etc/sendmail365" => "/token.{0,1,lock} rwk,",
            _ => "/** rwk",
        };
        assert!(profile.contains(&format!("  {folder}{rule}")), "{path}");
    }
    assert!(profile.contains("  include if exists <local/usr.sbin.sendmail365>\n"));
}

/// The profile enforced: a message goes out, another is queued and sent, the queue is listed.
#[test]
fn the_program_sends_under_the_profile_where_the_kernel_has_it() {
    let switch = fs::read_to_string(SWITCH).unwrap_or_default();
    if switch.trim() != "Y" {
        // Nothing to try: this kernel confines no program, whatever is installed.
        let listed = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
        assert!(!listed.contains("apparmor"), "the kernel has it: {listed}");
        assert!(!Path::new("/sys/kernel/security/apparmor").exists());
        return;
    }
    if !is_root() || !needs("apparmor_parser") || !needs("aa-exec") {
        return;
    }
    let Some(machine) = Machine::with(&["aa-exec"]) else {
        return;
    };
    let file = folder().join("profile");
    let (name, head) = (
        "sendmail365-tests",
        "profile sendmail365 /usr/sbin/sendmail365 flags=(complain) {",
    );
    // The settings of this host point into the folder of the test.
    let more = format!(
        "profile {name} {{\n  {0}** rwkl,\n  {0} r,\n",
        machine.host.path("").display()
    );
    let text = profile();
    assert!(text.contains(head));
    fs::write(&file, text.replace(head, &more)).unwrap();
    let load = |way| {
        Ran::of(
            Command::new("apparmor_parser")
                .args([way, "--skip-cache"])
                .arg(&file),
        )
    };
    load("--replace").exits(0);
    let run = |words: &[&str], text: &str| {
        let confined = ["aa-exec", "-p", name, "--"];
        let mut command = machine.inside(confined.iter().chain(words).copied());
        finish(&mut command, text.as_bytes())
    };
    let text = "To: ops@example.com\n\nhello\n";
    let sent = run(&["/usr/sbin/sendmail", "-t", "-i"], text);
    let listed = run(&["/usr/bin/mailq"], "");
    let shell = run(&["/bin/sh", "-c", "true"], "");
    load("--remove").exits(0);
    sent.exits(0).silently();
    listed.exits(0);
    assert!(!shell.status.success(), "the profile starts other programs");
    assert_eq!(machine.only().recipients, ["ops@example.com"]);
}
