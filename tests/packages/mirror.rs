//! Where this machine gets its packages from, as apt knows it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A source of packages, and the keys that vouch for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Mirror {
    pub uri: String,
    /// Files of keys; none means those that apt trusts for every source.
    pub keys: Vec<PathBuf>,
    /// The administrator trusts it without a signature.
    pub trusted: bool,
}

/// The name of this machine's release.
pub fn release() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(name.trim_matches('"').to_owned())
}

/// The first source that has the release.
pub fn find(release: &str) -> Option<Mirror> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    for entry in fs::read_dir("/etc/apt/sources.list.d").ok()?.flatten() {
        files.push(entry.path());
    }
    files.sort();
    files.iter().find_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        match path.extension()?.to_str()? {
            "list" => in_lines(&text, release),
            "sources" => in_paragraphs(&text, release),
            _ => None,
        }
    })
}

/// `deb [signed-by=FILE trusted=yes] URI SUITE COMPONENT...`
fn in_lines(text: &str, release: &str) -> Option<Mirror> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']')?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        let main = words.any(|word| word == "main");
        let option = |name: &str| {
            let pairs = options
                .split_whitespace()
                .filter_map(|word| word.split_once('='));
            let mut named = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| value)
        };
        (suite == release && main && usable(uri)).then(|| Mirror {
            uri: uri.to_owned(),
            keys: paths(option("signed-by").unwrap_or_default(), ','),
            trusted: option("trusted") == Some("yes"),
        })
    })
}

/// Fields in the manner of RFC 822, one paragraph a source.
fn in_paragraphs(text: &str, release: &str) -> Option<Mirror> {
    text.split("\n\n").find_map(|paragraph| {
        let field = |name: &str| {
            let pairs = paragraph
                .lines()
                .filter_map(|line| line.split_once(':'))
                .filter(|(key, _)| !key.starts_with('#'));
            let mut named = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
            named.next().map(|(_, value)| value.trim()).unwrap_or("")
        };
        let has = |name, wanted| field(name).split_whitespace().any(|word| word == wanted);
        let on = !field("Enabled").eq_ignore_ascii_case("no");
        let uri = field("URIs").split_whitespace().find(|uri| usable(uri))?;
        (on && has("Types", "deb") && has("Suites", release) && has("Components", "main")).then(
            || Mirror {
                uri: uri.to_owned(),
                keys: paths(field("Signed-By"), ' '),
                trusted: field("Trusted") == "yes",
            },
        )
    })
}

/// What debootstrap can fetch from.
fn usable(uri: &str) -> bool {
    ["http://", "https://", "file:"]
        .iter()
        .any(|scheme| uri.starts_with(scheme))
}

fn paths(list: &str, separator: char) -> Vec<PathBuf> {
    let names = list.split(separator).map(str::trim);
    names
        .filter(|name| name.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

impl Mirror {
    /// One file of all the keys that vouch for it.
    pub fn write_keys(&self, to: &Path) {
        let mut files = self.keys.clone();
        if files.is_empty() {
            files.push("/etc/apt/trusted.gpg".into());
            let parts = fs::read_dir("/etc/apt/trusted.gpg.d").into_iter().flatten();
            files.extend(parts.flatten().map(|entry| entry.path()));
        }
        let keys = files.iter().filter_map(|path| fs::read(path).ok());
        let keys: Vec<u8> = keys.flat_map(|octets| without_armour(&octets)).collect();
        fs::write(to, keys).unwrap();
    }

    /// The proxy that apt goes through, for who asks the environment.
    pub fn proxy() -> Option<String> {
        let told = Command::new("apt-config")
            .args(["shell", "PROXY", "Acquire::http::Proxy"])
            .output()
            .ok()?;
        let told = String::from_utf8(told.stdout).ok()?;
        let value = told.trim().strip_prefix("PROXY='")?.strip_suffix('\'')?;
        (!value.is_empty()).then(|| value.to_owned())
    }
}

/// A key ring as gpgv takes it: without the ASCII armour of RFC 9580 section 6.2.
fn without_armour(octets: &[u8]) -> Vec<u8> {
    let Some(text) = std::str::from_utf8(octets)
        .ok()
        .filter(|text| text.contains("-----BEGIN PGP"))
    else {
        return octets.to_owned();
    };
    let body = text.lines().skip_while(|line| !line.trim().is_empty());
    let body: String = body
        .take_while(|line| !line.starts_with(['=', '-']))
        .map(str::trim)
        .collect();
    STANDARD.decode(body).unwrap()
}

#[test]
fn both_forms_of_apts_sources_are_understood() {
    let mirror = |keys: &[&str], trusted| {
        Some(Mirror {
            uri: "http://mirror.test/debian".to_owned(),
            keys: keys.iter().map(PathBuf::from).collect(),
            trusted,
        })
    };
    let lines = "# deb http://other.test/ sid main\n\
                 deb http://mirror.test/debian sid-updates main\n\
                 deb [arch=amd64 signed-by=/k/a.gpg,/k/b.asc] http://mirror.test/debian sid contrib main\n\
                 deb [trusted=yes] http://mirror.test/debian old main\n";
    assert_eq!(
        in_lines(lines, "sid"),
        mirror(&["/k/a.gpg", "/k/b.asc"], false)
    );
    assert_eq!(in_lines(lines, "old"), mirror(&[], true));
    assert_eq!(in_lines(lines, "none"), None);
    let paragraphs = "Types: deb\nEnabled: no\nURIs: http://off.test/\nSuites: sid\nComponents: main\n\n\
                      # one\nTypes: deb deb-src\nURIs: cdrom:[x]/ http://mirror.test/debian\n\
                      Suites: sid sid-updates\nComponents: main\nSigned-By: /k/a.gpg\n\n\
                      Types: deb\nURIs: http://mirror.test/debian\nSuites: old\nComponents: main\nTrusted: yes\n";
    assert_eq!(
        in_paragraphs(paragraphs, "sid"),
        mirror(&["/k/a.gpg"], false)
    );
    assert_eq!(in_paragraphs(paragraphs, "old"), mirror(&[], true));
    assert_eq!(in_paragraphs(paragraphs, "none"), None);
    let armoured =
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\nAQID\nBA==\n=abcd\n-----END PGP\n";
    assert_eq!(without_armour(armoured), [1, 2, 3, 4]);
    assert_eq!(without_armour(&[0x99, 1]), [0x99, 1]);
}
