//! The manual pages against the tables and the program: what they list is all there is.

use crate::binary;
use crate::host::Host;
use crate::tenant::Tenant;
use sendmail365::config::settings::{SETTINGS, Setting, Takes};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn file(below: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(below);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn page(name: &str) -> String {
    file(&format!("man/{name}"))
}

/// What stands after the first text and before the next occurrence of the second.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start}"));
    rest.split_once(end).map_or(rest, |(part, _)| part)
}

/// The item of a setting: key and default as in the file, then the type.
fn item(setting: &Setting) -> String {
    let (default, kind) = match setting.takes {
        Takes::Text(_) => (format!(r"\(dq{}\(dq", setting.default), "text"),
        Takes::Number(_) => (setting.default.to_owned(), "number"),
        Takes::Switch(_) => (setting.default.to_owned(), "true or false"),
        Takes::List(_) => (setting.default.to_owned(), "list of texts"),
    };
    format!(".It Cm {} = {default} Pq {kind}", setting.key)
}

#[test]
fn the_manual_has_every_setting_with_type_default_and_meaning() {
    let manual = page("sendmail365.conf.5");
    let list = between(&manual, "settings-begin\n", ".\\\" settings-end");
    let lines: Vec<&str> = list.lines().collect();
    let heads = lines
        .iter()
        .filter(|line| line.starts_with(".Ss ") || line.starts_with(".It Cm "));
    let mut wanted = Vec::new();
    let mut section = "";
    for setting in SETTINGS {
        if setting.section != section {
            section = setting.section;
            wanted.push(format!(r".Ss [{section}]\&"));
        }
        wanted.push(item(setting));
    }
    assert_eq!(heads.copied().collect::<Vec<_>>(), wanted);
    for pair in lines.windows(2) {
        let explained = !pair[0].starts_with(".It ") || !pair[1].starts_with('.');
        assert!(explained, "{} has no meaning", pair[0]);
    }
}

/// The classes of failures, read where their codes are given.
fn codes() -> BTreeSet<u32> {
    let source = file("src/outcome.rs");
    let table = between(&source, "pub fn code(self)", "\n    }\n}");
    let rows = table.lines().filter_map(|line| line.split_once(" => "));
    rows.map(|(_, code)| code.trim_end_matches(',').parse().unwrap())
        .collect()
}

#[test]
fn every_exit_status_is_explained_and_no_other() {
    let wanted: BTreeSet<u32> = codes().into_iter().chain([0]).collect();
    assert!(wanted.len() > 10);
    for name in ["sendmail.8", "sendmail365.8"] {
        let manual = page(name);
        let list = between(&manual, ".Sh EXIT STATUS\n", "\n.Sh ");
        let items = list.lines().filter_map(|line| line.strip_prefix(".It "));
        let found: BTreeSet<u32> = items.map(|item| item.parse().unwrap()).collect();
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn every_example_of_the_settings_is_read_by_the_program() {
    let tenant = Tenant::start();
    let host = Host::configured(&binary(), &tenant);
    host.write("etc/client-secret", "x\n");
    let manual = page("sendmail365.conf.5");
    let examples = between(&manual, ".Sh EXAMPLES\n", "\n.Sh ");
    let mut count = 0;
    for block in examples.split(".Bd -literal -offset indent\n").skip(1) {
        let (toml, _) = block.split_once(".Ed").unwrap();
        let folder = host.path("etc").display().to_string();
        let toml = toml.replace("/etc/sendmail365", &folder);
        host.write("etc/config.toml", toml);
        host.sendmail(["-bv", "-n", "a@example.com"], "").exits(0);
        count += 1;
    }
    assert_eq!(count, 8);
}

/// A page that is there is found from the page that is read first.
#[test]
fn every_page_is_named_by_the_page_of_the_program() {
    let first = page("sendmail365.8");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (title, section) = name.rsplit_once('.').unwrap();
        let named = first.contains(&format!(".Xr {title} {section}")) || title == "sendmail365";
        assert!(named, "{name}");
    }
}
