//! The house rules that a machine can hold: layers, sizes, edges, dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by layer; a file may name lower layers and its own room, never a neighbour.
const LAYERS: [&[&str]; 7] = [
    &["outcome"],
    &["mail", "sys"],
    &["cli", "oauth", "smtp", "queue", "letterbox"],
    &["config"],
    &["submit"],
    &["admin"],
    &["run", "main", "lib"],
];

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

/// The room of a file: the first name below src/.
fn room(path: &Path) -> String {
    let below = path
        .strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
        .unwrap();
    let first = below
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn layer(room: &str) -> usize {
    let layer = LAYERS.iter().position(|rooms| rooms.contains(&room));
    layer.unwrap_or_else(|| panic!("src/{room} stands in no layer of tests/tidy.rs"))
}

/// Rooms that a text names as `crate::room`, braces included.
fn named_rooms(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (start, _) in text.match_indices("crate::") {
        let rest = &text[start + "crate::".len()..];
        let list = match rest.strip_prefix('{') {
            Some(inner) => inner.split('}').next().unwrap(),
            None => rest,
        };
        let takes_list = rest.starts_with('{');
        for word in list
            .split(',')
            .take(if takes_list { usize::MAX } else { 1 })
        {
            let name: String = word
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            rooms.insert(name);
        }
    }
    rooms.retain(|room| LAYERS.iter().any(|rooms| rooms.contains(&room.as_str())));
    rooms
}

fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]").next().unwrap()
}

#[test]
fn imports_point_downwards_and_never_sideways() {
    for path in sources() {
        let own = room(&path);
        let text = fs::read_to_string(&path).unwrap();
        for other in named_rooms(&text) {
            let allowed = other == own || layer(&other) < layer(&own);
            assert!(allowed, "{}: {own} must not know {other}", path.display());
        }
    }
}

#[test]
fn a_breach_of_the_layers_is_seen() {
    let text = "use crate::smtp::session::Session;\nuse crate::{mail, config::Config};\n";
    let expected: BTreeSet<String> = ["smtp", "mail", "config"].map(str::to_owned).into();
    assert_eq!(named_rooms(text), expected);
}

#[test]
fn every_file_has_a_head_and_stays_below_400_lines() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} lacks its head", path.display());
        let lines = without_tests(&text).lines().count();
        let tests_only = path.ends_with("tests.rs");
        assert!(
            lines <= 400 || tests_only,
            "{}: {lines} lines",
            path.display()
        );
    }
}

#[test]
fn unsafe_code_and_libc_live_in_sys() {
    for path in sources().into_iter().filter(|path| room(path) != "sys") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains("unsafe_code"),
            "{} allows unsafe code",
            path.display()
        );
        assert!(!text.contains("libc::"), "{} names libc", path.display());
    }
}

/// Crates whose replacement must stay the work of one room.
#[test]
fn lettre_ureq_lexopt_and_dirs_are_named_in_one_room_each() {
    let homes = [
        ("lettre::", "smtp"),
        ("ureq::", "oauth"),
        ("lexopt", "cli"),
        ("dirs::", "config"),
    ];
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for (name, home) in homes {
            let named = text
                .lines()
                .any(|line| !line.trim_start().starts_with("//") && line.contains(name));
            assert!(
                !named || room(&path) == home,
                "{}: {name} belongs to {home}",
                path.display()
            );
        }
    }
}

/// Edge files, as style decides them: the only ones that may touch the world.
#[test]
fn the_world_is_touched_in_edge_files_only() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let own = room(&path);
        let edge = text.contains("#![expect(clippy::disallowed_methods")
            || text.contains("#![expect(\n    clippy::disallowed_methods");
        let may = [
            "sys",
            "oauth",
            "smtp",
            "queue",
            "letterbox",
            "config",
            "main",
            "run",
        ]
        .contains(&own.as_str());
        assert!(!edge || may, "{} must not be an edge", path.display());
    }
}

fn locked() -> BTreeMap<String, Vec<String>> {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let lock: toml::Table = toml::from_str(&lock).unwrap();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap().to_owned();
        versions
            .entry(text("name"))
            .or_default()
            .push(text("version"));
    }
    versions
}

/// Asked of cargo, because the lock file also lists what a dependency could switch on.
#[test]
fn no_banned_crate_is_built() {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = std::process::Command::new(cargo)
        .args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal,build,dev",
            "--prefix",
            "none",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8_lossy(&output.stdout);
    let built: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(
        built.contains("rustls") && built.contains("rcgen"),
        "{output:?}"
    );
    for banned in deny_list("deny") {
        assert!(!built.contains(banned.as_str()), "{banned} came in");
    }
}

#[test]
fn no_crate_is_in_the_lock_file_twice_but_those_we_know() {
    // base64: mailparse's charset still asks for 0.22. The others serve platforms or tests only.
    let known = deny_list("skip");
    for (name, versions) in locked() {
        assert!(
            versions.len() == 1 || known.contains(&name),
            "{name}: {versions:?}"
        );
    }
}

/// The crates of a list in deny.toml, so that both checks share one.
fn deny_list(list: &str) -> BTreeSet<String> {
    let deny = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    let deny: toml::Table = toml::from_str(&deny).unwrap();
    let crates = deny["bans"][list].as_array().unwrap();
    crates
        .iter()
        .map(|entry| entry["crate"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_dependency_has_its_reason() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut inside = false;
    for (place, line) in lines.iter().enumerate() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside && line.contains('=') && !line.starts_with('#') {
            assert!(lines[place - 1].starts_with('#'), "no reason above: {line}");
        }
    }
}

/// The brackets keep the pattern from finding itself.
#[test]
fn nothing_in_the_tree_points_outside_it() {
    let output = std::process::Command::new("git")
        .args([
            "grep",
            "-nE",
            r"(\.\./[s]hared|/[w]ork/|[c]rates\.io|[r]egistry\.[n]pmjs)",
            "--",
            ".",
            ":!*.lock",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}
