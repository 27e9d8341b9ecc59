//! How callers find the program, and where mail for the host's own names goes.

use super::queue::{is_there, says};
use super::report::{Check, Report};
use crate::config::{Config, file};
use crate::mail::address::Address;
use crate::mail::aliases::Resolver;
use crate::sys::look;
use std::path::{Path, PathBuf};

/// Where callers look for sendmail, and what a link there has to be for.
const LINKS: [&str; 5] = [
    "/usr/sbin/sendmail",
    "/usr/lib/sendmail",
    "/usr/bin/mailq",
    "/usr/bin/newaliases",
    "/usr/sbin/send-mail",
];

/// The name that every caller tries.
const FIRST: &str = "/usr/sbin/sendmail";

/// Only some distributions have it.
const OPTIONAL: &str = "/usr/sbin/send-mail";

/// Judges where the names of sendmail lead; `hosts` tells whether the host's settings are judged.
pub(super) fn links(hosts: bool, report: &mut Report) {
    const NAME: &str = "links";
    let found = LINKS.iter().filter_map(|link| judged(link, hosts));
    let here = "sendmail, mailq and newaliases lead here";
    report.add_all(found.collect(), Check::ok(NAME, here));
}

fn judged(link: &str, hosts: bool) -> Option<Check> {
    const NAME: &str = "links";
    let path = Path::new(link);
    let ln = format!("as root: ln -sf sendmail365 {link}");
    let ln = match link.starts_with("/usr/sbin/") {
        true => ln,
        false => format!("as root: ln -sf ../sbin/sendmail365 {link}"),
    };
    match look::leads_to(path) {
        Ok(target) if is_here(&target) => None,
        Ok(target) => {
            let check = Check::warn(NAME, format!("{link} leads elsewhere"));
            Some(check.because(provider(&target)).fix(format!(
                "if that mail is to leave through Microsoft 365, remove the other program, then {ln}"
            )))
        }
        Err(_) if link == OPTIONAL => None,
        Err(error) => {
            let check = match link == FIRST && hosts {
                true => Check::failed(NAME, format!("{link} cannot be called")),
                false => Check::warn(NAME, format!("{link} cannot be called")),
            };
            Some(check.because(error.to_string()).fix(ln))
        }
    }
}

/// Whether a file is this program, or the installed one.
fn is_here(target: &Path) -> bool {
    let installed = look::leads_to(Path::new("/usr/sbin/sendmail365")).ok();
    Some(target) == look::program().as_deref() || Some(target) == installed.as_deref()
}

/// Whose program stands there.
fn provider(target: &Path) -> String {
    let shown = target.display().to_string();
    let package = match is_there("/usr/bin/dpkg-query") {
        true => says(&["dpkg-query", "-S", &shown]),
        false => says(&["rpm", "-qf", &shown]),
    };
    match package {
        Some((true, line)) => {
            let name = line.split(':').next().unwrap_or_default().to_owned();
            format!("{shown} belongs to the package {name}")
        }
        _ => format!("it is {shown}, of no package"),
    }
}

/// Judges whether anybody reads the mail that the host writes to root.
pub(super) fn aliases(config: &Config, host: &str, report: &mut Report) {
    const NAME: &str = "aliases";
    let path = &config.recipients.aliases;
    let (aliases, bad) = match file::read_aliases(path) {
        Ok(read) => read,
        Err(failure) => return report.add(Check::of(NAME, &failure).softened()),
    };
    for failure in bad.iter().take(5) {
        report.add(Check::of(NAME, failure).softened());
    }
    let mut local_domains = vec!["localhost".to_owned(), host.to_owned()];
    local_domains.extend(file::read_mail_name());
    let settings = &config.recipients;
    let resolver = Resolver {
        aliases: Some(&aliases),
        domain: settings.domain.as_deref(),
        admin: settings.admin.as_ref(),
        local_domains: &local_domains,
    };
    let root = Address::parse(b"root").map(|root| resolver.resolve(vec![root]));
    let readers = root.map(|resolved| resolved.addresses).unwrap_or_default();
    let readers: Vec<String> = readers.iter().map(Address::to_string).collect();
    if readers.is_empty() {
        let cure = format!(
            "set admin under [recipients], or add `root: you@example.com` to {}",
            path.display()
        );
        let check = Check::warn(NAME, "nobody reads mail for root, such as that of cron");
        return report.add(check.because("the name leads to no address").fix(cure));
    }
    report.add(Check::ok(
        NAME,
        format!("mail for root goes to {}", readers.join(", ")),
    ));
}

/// Tells of a PHP that calls another program; nothing if there is none.
pub(super) fn php(report: &mut Report) {
    let mut found: Vec<Check> = Vec::new();
    let mut count = 0;
    for ini in settings_of_php() {
        let Ok(text) = look::text(&ini) else {
            continue;
        };
        count += 1;
        found.extend(other_program(&ini, &text));
    }
    if count > 0 {
        report.add_all(
            found,
            Check::ok("php", format!("mail() calls sendmail, by {count} php.ini")),
        );
    }
}

/// `/etc/php/VERSION/SAPI/php.ini`.
fn settings_of_php() -> Vec<PathBuf> {
    let versions = look::names(Path::new("/etc/php"));
    let sapis = versions.iter().flat_map(|version| look::names(version));
    let files = sapis.map(|sapi| sapi.join("php.ini"));
    files.filter(|file| look::look(file).is_ok()).collect()
}

fn other_program(ini: &Path, text: &str) -> Option<Check> {
    let value = sendmail_path(text)?;
    let program = value.split_whitespace().next()?;
    let here = look::leads_to(Path::new(program)).is_ok_and(|target| is_here(&target));
    (!here).then(|| {
        Check::warn(
            "php",
            format!("{} has mail() call another program", ini.display()),
        )
        .because(format!("sendmail_path is {value}"))
        .fix("set sendmail_path = \"/usr/sbin/sendmail -t -i\" there, or remove the line")
    })
}

/// The value of the last line that sets it.
fn sendmail_path(text: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "sendmail_path").then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    });
    lines.next_back().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_line_that_counts_sets_the_path() {
        let ini = "; sendmail_path = x\n;sendmail_path =\n sendmail_path = \"/usr/bin/msmtp -t\"\n";
        assert_eq!(sendmail_path(ini).as_deref(), Some("/usr/bin/msmtp -t"));
        assert_eq!(sendmail_path(";sendmail_path =\n"), None);
        assert_eq!(sendmail_path("sendmail_path =\n"), None);
        let told = other_program(Path::new("/p/php.ini"), ini).unwrap();
        assert_eq!(told.verdict, super::super::report::Verdict::Warn);
    }

    #[test]
    fn a_link_that_is_not_there_fails_only_where_the_host_needs_it() {
        let missing = "/usr/sbin/sendmail";
        if look::leads_to(Path::new(missing)).is_ok() {
            return;
        }
        let of_host = judged(missing, true).unwrap();
        assert_eq!(of_host.verdict, super::super::report::Verdict::Failed);
        assert_eq!(
            of_host.fix,
            ["as root: ln -sf sendmail365 /usr/sbin/sendmail"]
        );
        let of_user = judged(missing, false).unwrap();
        assert_eq!(of_user.verdict, super::super::report::Verdict::Warn);
        assert_eq!(judged(OPTIONAL, true), None);
    }
}
