//! Files that a user plants: links to what is not his, links to and copies of the program, settings of
//! his own, namespaces with other files in their places.

use super::{ANN, BOB, Field, PLAIN};
use crate::installed::{give, own};
use crate::submission::MESSAGE;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Gives a user a file, with the folders on the way to it.
fn plant(field: &Field, below: &str, text: &str) {
    let path = field.host.home(ANN).join(below);
    let folder = path.parent().unwrap();
    fs::create_dir_all(folder).unwrap();
    fs::write(&path, text).unwrap();
    give(&field.host.home(ANN), ANN);
}

fn config() -> &'static str {
    ".config/sendmail365/config.toml"
}

/// His own settings may name the host's files; they are opened with his rights.
#[test]
fn settings_of_ones_own_reach_nothing_of_the_host() {
    let Some(field) = Field::new() else {
        return;
    };
    let hostile = TcpListener::bind("127.0.0.1:0").unwrap();
    hostile.set_nonblocking(true).unwrap();
    let port = hostile.local_addr().unwrap().port();
    let root = field.host.host.path("");
    let (root, out) = (root.display(), field.out());
    let account = "[account]\nmailbox = \"alerts@contoso.test\"\ntenant = \"contoso.test\"\n\
        client_id = \"00000000-1111-2222-3333-444444444444\"\n";
    let settings = [
        format!(
            "{account}[endpoint]\nauthority = \"https://localhost:{port}\"\n[smtp]\nhost = \"localhost\"\nport = {port}\n\
             [paths]\ntokens = \"{root}etc/tokens\"\nstate = \"{root}var/state\"\nspool = \"{root}var/spool\"\n"
        ),
        format!("{account}[endpoint]\nca_file = \"{root}etc/tokens/token.0\"\n"),
        format!("{account}client_secret_file = \"{root}etc/config.toml\"\n"),
        format!("{account}[recipients]\naliases = \"{root}etc/config.toml\"\n"),
        format!(
            "{account}[log]\nsyslog = false\nfile = \"{root}var/state/breaker\"\n[paths]\nspool = \"{}\"\n",
            out.join("no").display()
        ),
        format!("not toml {}", super::SETTINGS.to_lowercase()),
    ];
    for text in &settings {
        plant(&field, config(), text);
        for words in [
            &PLAIN[..],
            &["-bp"],
            &["-qf"],
            &["-bC"],
            &["-bv", "root"],
            &["--dry-run", "-t"],
        ] {
            let sendmail = field.sendmail();
            let words = [&[sendmail.as_str()], words].concat();
            let ran = field.attack(&mut field.ann(words));
            assert_ne!(ran.status.code(), None, "{ran:?}");
        }
    }
    fs::remove_dir_all(field.host.home(ANN).join(".config")).unwrap();
    assert_eq!(
        fs::metadata(field.host.host.path("var/state/breaker"))
            .unwrap()
            .len(),
        0
    );
    field.holds();
    // Not one of them met the host's token: what it asked for the hostile server never had.
    let asked = hostile.accept().is_ok();
    assert!(!asked, "a token was asked for elsewhere");
}

/// Links in the places of his own files lead nowhere.
#[test]
fn links_to_what_is_not_ones_own_lead_nowhere() {
    let Some(field) = Field::new() else {
        return;
    };
    let home = field.host.home(ANN);
    for target in field.treasures().into_iter().chain([
        Path::new("/etc/shadow").into(),
        Path::new("/dev/zero").into(),
    ]) {
        for below in [config(), "token.json", "own.toml"] {
            let path = home.join(below);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&path);
            symlink(&target, &path).unwrap();
        }
        let named = |name: &str| home.join(name).to_str().unwrap().to_owned();
        let program = field.sendmail().replace("/sendmail", "/sendmail365");
        let tries = [
            vec![field.sendmail(), "-t".into(), "-i".into()],
            vec![
                field.sendmail(),
                "-C".into(),
                named("own.toml"),
                "-t".into(),
            ],
            vec![
                program,
                "login".into(),
                "--import".into(),
                named("token.json"),
            ],
        ];
        for words in tries {
            let ran = field.attack(&mut field.ann(words));
            let refused = ran.status.code().is_some_and(|code| code != 0);
            assert!(refused, "{}: {ran:?}", target.display());
        }
    }
    fs::remove_dir_all(home.join(".config")).unwrap();
    let state = home.join(".local/state");
    fs::create_dir_all(&state).unwrap();
    symlink(field.host.host.path("var/spool"), state.join("sendmail365")).unwrap();
    field
        .attack(&mut field.ann([&field.sendmail(), "-bp"]))
        .exits(0);
    for name in ["token.json", "own.toml"] {
        fs::remove_file(home.join(name)).unwrap();
    }
    field.holds();
}

/// The program under another name, by another link, or as a copy.
#[test]
fn another_way_to_the_program_gives_no_more_than_the_usual_one() {
    let Some(field) = Field::new() else {
        return;
    };
    let program = field.host.program();
    let home = field.host.home(ANN);
    symlink(&program, home.join("mailq")).unwrap();
    symlink(&program, home.join("x\n\u{1b}[2J")).unwrap();
    give(&home, ANN);
    let called = home.join("mailq");
    let ran = field.attack(&mut field.ann([called.to_str().unwrap()]));
    assert!(ran.exits(0).stdout.contains("empty"), "{ran:?}");
    let odd = home.join("x\n\u{1b}[2J");
    let ran = field.attack(&mut field.ann([odd.to_str().unwrap(), "--no-such"]));
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
    // A copy is his own, without the group.
    let line = format!(
        "cp --preserve=all {0} ~/copy 2>/dev/null || cp {0} ~/copy; chmod 2755 ~/copy; exec ~/copy -t -i",
        program.display()
    );
    let mut command = field.ann_shell(&line);
    field
        .attack(command.env("HOME", &home))
        .exits(77)
        .says("the setgid bit of");
    fs::remove_file(home.join("copy")).unwrap();
    // A second name keeps the bit, and an old program after an upgrade, unless the kernel forbids it.
    let line = format!("ln {} ~/hard && exec ~/hard -t -i", program.display());
    let mut command = field.ann_shell(&line);
    let ran = field.attack(command.env("HOME", &home));
    let forbidden = fs::read_to_string("/proc/sys/fs/protected_hardlinks").unwrap();
    assert_eq!(
        ran.status.code() == Some(0),
        forbidden.trim() == "0",
        "{ran:?}"
    );
    let _ = fs::remove_file(home.join("hard"));
    let _ = fs::remove_file(odd);
    field.holds();
}

/// With other files in the places of the host's, in a namespace of his own, the group is gone.
#[test]
fn a_namespace_with_other_files_has_no_group() {
    let Some(field) = Field::new() else {
        return;
    };
    let home = field.host.home(ANN);
    let evil = home.join("evil");
    fs::create_dir_all(&evil).unwrap();
    let config = fs::read_to_string(field.host.host.path("etc/config.toml")).unwrap();
    let config = config
        .replace(super::SETTINGS, "x")
        .replace("/etc/ca.pem", "/home/ann/evil/ca.pem");
    fs::write(evil.join("config.toml"), config).unwrap();
    fs::write(evil.join("ca.pem"), field.tenant.ca_pem()).unwrap();
    give(&home, ANN);
    let requests = field.tenant.token_requests().len();
    for (kinds, line) in [
        ("-Ur", "exec \"$S\" -t -i"),
        ("-U", "exec \"$S\" -t -i"),
        (
            "-Urm",
            "mount --bind ~/evil /etc/sendmail365; exec \"$S\" -t -i",
        ),
        (
            "-Urm",
            "mount --bind ~/evil /etc/sendmail365; exec \"$S\" -bp",
        ),
        ("-Urm", "mount -t tmpfs none /run; exec \"$S\" -qf"),
        ("-Urmpf", "mount -t proc none /proc; exec \"$S\" -t -i"),
        ("-Urn", "exec \"$S\" -t -i"),
    ] {
        let line = format!("exec unshare {kinds} bash -c '{line}'");
        let mut command = field.ann_shell(&line);
        let ran = field.attack(command.env("HOME", &home));
        assert!(ran.status.code().is_some(), "{kinds} {ran:?}");
        assert!(field.tenant.received().is_empty(), "{kinds} {ran:?}");
    }
    assert_eq!(field.tenant.token_requests().len(), requests);
    field.sweep();
    field.holds();
}

/// Settings in a home that all may write to are nobody's: they are not used, and that is said.
#[test]
fn settings_planted_in_a_home_that_all_may_write_to_are_not_used() {
    let Some(field) = Field::new() else {
        return;
    };
    let home = field.host.home(BOB);
    own(&home, BOB.uid, BOB.uid, 0o1777);
    let line = format!(
        "mkdir -p {0}/.config/sendmail365 && echo '[account]' > {0}/.config/sendmail365/config.toml",
        home.display()
    );
    field.attack(&mut field.ann_shell(&line)).exits(0);
    let ran = field.host.sendmail(BOB, PLAIN, MESSAGE);
    ran.exits(78).in_two_lines().says("will not use");
    assert!(field.tenant.connections().is_empty());
    fs::remove_dir_all(home.join(".config")).unwrap();
    own(&home, BOB.uid, BOB.uid, 0o700);
    field.holds();
}
