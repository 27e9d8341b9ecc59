//! On a host that has another mail transport agent.

use super::built::{VERSION, debs, folder};
use super::life::LINKS;
use super::root::Root;
use crate::host::Ran;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A package as Postfix's or Exim's is to dpkg.
fn other_agent(name: &str) -> PathBuf {
    let tree = folder().join(name);
    for below in ["DEBIAN", "usr/sbin", "usr/share/man/man8"] {
        fs::create_dir_all(tree.join(below)).unwrap();
    }
    let control = format!(
        "Package: {name}\nVersion: 3.7\nArchitecture: all\nMaintainer: x <x@example.com>\n\
         Provides: mail-transport-agent\nConflicts: mail-transport-agent\n\
         Replaces: mail-transport-agent\nDescription: another agent\n"
    );
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    fs::write(tree.join("usr/sbin/sendmail"), "the other one's\n").unwrap();
    fs::write(tree.join("usr/share/man/man8/sendmail.8.gz"), "its page\n").unwrap();
    let file = folder().join(format!("{name}.deb"));
    let mut command = Command::new("dpkg-deb");
    command.args(["-Zgzip", "--root-owner-group", "--build"]);
    Ran::of(command.arg(&tree).arg(&file)).exits(0);
    file
}

fn installed(root: &Root, package: &str) -> bool {
    let ran = root.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package]);
    ran.stdout == "installed"
}

#[test]
fn the_tool_lives_beside_another_agent_and_only_the_links_take_its_place() {
    let Some(root) = Root::clean() else {
        return;
    };
    for agent in ["stub-postfix", "stub-exim4"] {
        let other = other_agent(agent);
        let [tool, links] = debs(VERSION);
        root.install(std::slice::from_ref(&other)).exits(0);
        root.install(&[tool]).exits(0);
        assert!(installed(&root, agent) && installed(&root, "sendmail365"));
        assert_eq!(root.read("usr/sbin/sendmail"), "the other one's\n");
        root.run(["sendmail365", "--version"]).exits(0);

        root.install_instead(&[links]).exits(0);
        assert!(installed(&root, "sendmail365-mta") && !installed(&root, agent));
        for (link, target) in LINKS {
            let found = fs::read_link(root.path(link)).unwrap();
            assert_eq!(found.to_str(), Some(target), "{link}");
        }
        let version = root.run(["sendmail", "-bV"]);
        assert!(version.stdout.starts_with("sendmail365 "), "{version:?}");

        // And back: another agent takes the links away, and leaves the tool.
        root.install_instead(&[other]).exits(0);
        assert!(installed(&root, agent) && !installed(&root, "sendmail365-mta"));
        assert!(installed(&root, "sendmail365"));
        assert_eq!(root.read("usr/sbin/sendmail"), "the other one's\n");
        root.run(["dpkg", "--purge", agent, "sendmail365"]).exits(0);
    }
}
