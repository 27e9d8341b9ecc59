//! The rows of the table of faults about rights, limits and the socket, on a clean Debian that the
//! package was installed into: called by its ordinary users, in turn. What brings a fault about is
//! what the matrix has; rows that it leaves to other tests are brought about here.

mod brought;

use super::built::VERSION;
use super::life::HELD;
use super::root::{Root, inside};
use crate::host::{CANARY, Host, Package};
use crate::installed::{ANN, BOB, Kit, own};
use crate::matrix::play;
use crate::matrix::rows::{self, Cases};
use crate::matrix::scene::{Mode, Template};
use crate::matrix::table::{Row, table};
use crate::tenant::Tenant;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::thread;

/// The letters of the rows that need a host as it is installed.
const LETTERS: [char; 3] = ['P', 'L', 'U'];

/// Rows that take a second or more: with the queue only, as the package has it.
const SLOW: [&str; 16] = [
    "P10", "P11", "P12", "P14", "P15", "P16", "P20", "P21", "P22", "P23", "L01", "L02", "L03",
    "U01", "U02", "U05",
];

/// A host that the package was installed into, with its users, signed in.
pub struct Site {
    root: Root,
    /// The sign-in as it was made.
    slots: Vec<(&'static str, Vec<u8>)>,
}

impl Site {
    /// A host for a tenant; none where the tests may not make one.
    pub fn for_tenant(tenant: &Tenant) -> Option<Site> {
        if !Kit::possible() {
            return None;
        }
        let root = Root::with_packages(VERSION)?;
        for (user, name) in [(ANN, "ann"), (BOB, "joe")] {
            let uid = user.uid.to_string();
            root.run(["useradd", "--create-home", "--uid", &uid, name])
                .exits(0);
        }
        root.configure(tenant);
        root.sign_in(tenant);
        fs::create_dir_all(root.path("run/sendmail365")).unwrap();
        let slots = HELD.iter().map(|(path, _)| *path);
        let slots = slots.filter(|path| path.contains("/token."));
        let slots = slots.map(|path| (path, fs::read(root.path(path)).unwrap()));
        let slots = slots.collect();
        Some(Site { root, slots })
    }

    /// The host as it was when somebody had just signed in.
    pub fn host(&self, tenant: &Tenant) -> Host {
        for room in ["tmp", "queue", "failed"] {
            let room = self.root.path("var/spool/sendmail365").join(room);
            for entry in fs::read_dir(room).unwrap().flatten() {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        self.restore();
        for name in ["breaker", "pace", "rounds", "visitors"] {
            fs::write(self.root.path("var/lib/sendmail365").join(name), "").unwrap();
        }
        fs::write(self.root.path("var/log/sendmail365.log"), "").unwrap();
        let package = Package {
            inside,
            tools: false,
        };
        Host::packaged(self.root.path(""), &Root::own_settings(tenant), package)
    }

    /// Makes what was taken away, as the package does, and puts the sign-in back.
    pub fn restore(&self) {
        let (account, group) = self.root.ids("sendmail365");
        for (path, held) in HELD.iter().filter(|(path, _)| !self.root.exists(path)) {
            let (owner, mode) = held.split_once(' ').unwrap();
            assert_eq!(owner, "root:sendmail365", "{path} is gone, {account}");
            let path = self.root.path(path);
            let mut file = OpenOptions::new();
            file.append(true).create(true).open(&path).unwrap();
            own(&path, 0, group, u32::from_str_radix(mode, 8).unwrap());
        }
        for (path, content) in &self.slots {
            fs::write(self.root.path(path), content).unwrap();
        }
    }

    /// What was not as it has to be after all rows.
    fn wrong(&self) -> Vec<String> {
        let held = HELD.iter().map(|(path, wanted)| (path, *wanted));
        let held = held.map(|(path, wanted)| (path, wanted, self.root.held(path)));
        let changed = held.filter(|(_, wanted, found)| wanted != found);
        let mut wrong: Vec<String> = changed
            .map(|(path, wanted, found)| format!("{path} is {found}, not {wanted}"))
            .collect();
        let ran = self.root.run([
            "find", "/", "-xdev", "-type", "f", "-exec", "grep", "-l", CANARY, "{}", "+",
        ]);
        let slots: Vec<&str> = self.slots.iter().map(|(path, _)| *path).collect();
        let (inside, outside): (Vec<&str>, Vec<&str>) = ran
            .stdout
            .lines()
            .map(|path| path.trim_start_matches('/'))
            .partition(|path| slots.contains(path));
        if inside.is_empty() {
            wrong.push(format!("the search finds nothing: {ran:?}"));
        }
        wrong.extend(outside.iter().map(|path| format!("a secret in {path}")));
        wrong
    }
}

/// Everything that brings a row about: what this folder has goes before what the matrix has.
fn cases() -> BTreeMap<&'static str, Cases> {
    let mut all = rows::cases();
    all.extend(brought::rows());
    all
}

/// Plays rows one after the other on one host; what is wrong, and the rows that were played.
fn played(rows: &[Row]) -> Option<(Vec<String>, Vec<String>)> {
    let template = Template::packaged()?;
    let cases = cases();
    let (mut wrong, mut played) = (Vec::new(), Vec::new());
    for row in rows {
        let id = row.id.as_str();
        for queue in [true, false] {
            let expected = row.expected(queue);
            if !expected.applies() || (!queue && SLOW.contains(&id)) {
                continue;
            }
            for case in cases[id](queue) {
                played.push(row.id.clone());
                if !case.possible() {
                    continue;
                }
                let mut scene = template.scene(queue);
                let mut faults = play(&mut scene, &case, expected, row);
                for room in ["tmp", "queue", "failed"] {
                    let left = scene.host.spooled(room);
                    if !left.is_empty() {
                        faults.push(format!("left in {room}: {left:?} {}", scene.host.log()));
                    }
                }
                let told = |fault| format!("{id} {} ({}): {fault}", case.label, Mode(queue));
                wrong.extend(faults.into_iter().map(told));
            }
        }
    }
    wrong.extend(template.site().wrong());
    Some((wrong, played))
}

/// The rows of the letters, in groups that take about as long as each other: most of it is waiting.
fn groups() -> Vec<Vec<Row>> {
    let by_callers_limits = ["P09", "P10", "P11", "P12", "P13", "P14", "P15", "P16"];
    let mut groups: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for row in table() {
        let group = match row.id.as_str() {
            // Two that wait for a connection as long as one may.
            "P22" => "P22",
            "L02" => "L02",
            id if by_callers_limits.contains(&id) => "limits of callers",
            id if id.starts_with('P') => "rights",
            id if id.starts_with('L') => "limits of the host",
            id if id.starts_with('U') => "socket",
            _ => continue,
        };
        groups.entry(group).or_default().push(row);
    }
    groups.into_values().collect()
}

#[test]
fn every_row_about_rights_limits_and_the_socket_is_played_on_an_installed_host() {
    let groups = groups();
    let ended: Vec<_> = thread::scope(|scope| {
        let threads = groups.iter().map(|rows| scope.spawn(|| played(rows)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    if ended.iter().any(Option::is_none) {
        // What this machine lacks has been told.
        return;
    }
    let (mut wrong, mut rows) = (Vec::new(), BTreeSet::new());
    for (faults, ids) in ended.into_iter().flatten() {
        wrong.extend(faults);
        rows.extend(ids);
    }
    assert!(
        wrong.is_empty(),
        "{} failed\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let wanted = table().into_iter().map(|row| row.id);
    let wanted: BTreeSet<String> = wanted.filter(|id| id.starts_with(LETTERS)).collect();
    assert_eq!(rows, wanted, "a row was left out");
    assert_eq!(rows.len(), 36);
}
