//! What a caller's surroundings may hold: variables, limits, descriptors, timers.

use super::{ANN, Field, PLAIN};
use crate::host::finish;
use crate::installed::give;
use crate::needs;
use crate::submission::MESSAGE;
use crate::tenant::{Act, Fault, Stage};
use crate::token::expire;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Every variable that some library on the way looks at, or that looks as if we did.
pub fn hostile_variables(evil: &Path, proxy: &str) -> Vec<(&'static str, String)> {
    let file = |name: &str| evil.join(name).to_str().unwrap().to_owned();
    let folder = evil.to_str().unwrap().to_owned();
    let mut all = Vec::new();
    for name in [
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "ALL_PROXY",
        "https_proxy",
        "http_proxy",
        "all_proxy",
    ] {
        all.push((name, proxy.to_owned()));
    }
    for name in [
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "SENDMAIL365_CA_FILE",
    ] {
        all.push((name, file("ca.pem")));
    }
    for name in [
        "SSL_CERT_DIR",
        "HOME",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
        "TMPDIR",
        "TMP",
        "TEMP",
        "GCONV_PATH",
        "LOCPATH",
        "NLSPATH",
        "LD_LIBRARY_PATH",
        "TZDIR",
        "MAIL",
        "PATH",
        "LD_ORIGIN_PATH",
        "GETCONF_DIR",
        "SENDMAIL365_SPOOL",
    ] {
        all.push((name, folder.clone()));
    }
    for name in [
        "LD_PRELOAD",
        "LD_AUDIT",
        "LD_PROFILE_OUTPUT",
        "LD_DEBUG_OUTPUT",
        "MALLOC_TRACE",
        "SSLKEYLOGFILE",
        "HOSTALIASES",
        "RESOLV_HOST_CONF",
        "SENDMAIL365_CONFIG",
        "SENDMAIL365_LOG",
        "LLVM_PROFILE_FILE",
        "GMON_OUT_PREFIX",
        "NOTIFY_SOCKET",
        "BASH_ENV",
        "ENV",
    ] {
        all.push((name, file("lib.so")));
    }
    for (name, value) in [
        ("TZ", format!(":{}", file("zone"))),
        ("LANG", "../../evil".to_owned()),
        ("LC_ALL", "../../evil".to_owned()),
        ("LANGUAGE", "xx".to_owned()),
        ("RUST_BACKTRACE", "full".to_owned()),
        ("RUST_LIB_BACKTRACE", "1".to_owned()),
        ("RUST_LOG", "trace".to_owned()),
        ("RUST_MIN_STACK", "1".to_owned()),
        ("LD_DEBUG", "all".to_owned()),
        ("LD_PROFILE", "libc.so.6".to_owned()),
        ("LD_SHOW_AUXV", "1".to_owned()),
        ("LD_BIND_NOT", "1".to_owned()),
        ("LD_DYNAMIC_WEAK", "1".to_owned()),
        (
            "GLIBC_TUNABLES",
            "glibc.malloc.check=3:glibc.rtld.optional_static_tls=1".to_owned(),
        ),
        ("MALLOC_CHECK_", "3".to_owned()),
        ("MALLOC_ARENA_MAX", "0".to_owned()),
        ("MALLOC_PERTURB_", "165".to_owned()),
        ("RES_OPTIONS", "debug ndots:15 attempts:0".to_owned()),
        ("LOCALDOMAIN", "evil.example".to_owned()),
        ("NO_PROXY", "*".to_owned()),
        ("LOGNAME", "root".to_owned()),
        ("USER", "root\nBcc: x@y.test".to_owned()),
        ("USERNAME", "root".to_owned()),
        ("SUDO_UID", "0".to_owned()),
        ("SUDO_USER", "root".to_owned()),
        ("NAME", "Ann\nBcc: x@y.test".to_owned()),
        ("LISTEN_FDS", "1".to_owned()),
        ("LISTEN_PID", "1".to_owned()),
        ("SHELLOPTS", "xtrace".to_owned()),
        ("IFS", "/".to_owned()),
        ("TERM", "../../evil".to_owned()),
    ] {
        all.push((name, value));
    }
    all
}

/// A place with all that the variables name; what is run of it leaves a trace.
fn evil(field: &Field) -> std::path::PathBuf {
    let evil = field.host.home(ANN).join("evil");
    fs::create_dir_all(evil.join("sendmail365")).unwrap();
    fs::create_dir_all(evil.join(".config/sendmail365")).unwrap();
    fs::write(evil.join("ca.pem"), field.tenant.ca_pem()).unwrap();
    fs::write(evil.join("zone"), "TZif").unwrap();
    for config in ["sendmail365/config.toml", ".config/sendmail365/config.toml"] {
        fs::write(
            evil.join(config),
            "[account]\nmailbox = \"evil@evil.example\"\n",
        )
        .unwrap();
    }
    // It starts no process: whatever it is loaded into is watched as it is.
    let source = "#include <fcntl.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
        __attribute__((constructor)) static void run(void)\n\
        { char path[4096]; const char *out = getenv(\"OUT\"); if (!out) return;\n\
        snprintf(path, sizeof path, \"%s/loaded\", out); close(creat(path, 0666)); }\n";
    fs::write(evil.join("lib.c"), source).unwrap();
    if needs("cc") {
        let mut compile = Command::new("cc");
        compile
            .args(["-shared", "-fPIC", "-o"])
            .arg(evil.join("lib.so"))
            .arg(evil.join("lib.c"));
        assert!(compile.status().unwrap().success());
    }
    give(&evil, ANN);
    evil
}

#[test]
fn no_variable_reaches_a_file_a_proxy_or_a_library() {
    if !needs("strace") {
        return;
    }
    let Some(field) = Field::new() else {
        return;
    };
    let hostile = TcpListener::bind("127.0.0.1:0").unwrap();
    hostile.set_nonblocking(true).unwrap();
    let proxy = format!("http://127.0.0.1:{}", hostile.local_addr().unwrap().port());
    let evil = evil(&field);
    let variables = hostile_variables(&evil, &proxy);
    expire(&field.host.host);
    // Under a library that does nothing else than to say so, an ordinary program is caught.
    let library = evil.join("lib.so");
    if library.exists() {
        let preload = format!("LD_PRELOAD={}", library.display());
        let out = format!("OUT={}", evil.display());
        finish(&mut field.ann(["env", &preload, &out, "true"]), b"").exits(0);
        assert!(evil.join("loaded").exists(), "the control is not caught");
    }
    let trace = field.host.host.path("trace");
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=file,network,process",
        "-o",
        trace.to_str().unwrap(),
        "--",
    ];
    let words = [&["env"][..]].concat();
    let sendmail = field.sendmail();
    // The C library says something of its own about where a profile goes, in any program.
    let assigned: Vec<String> = variables
        .iter()
        .filter(|(name, _)| *name != "LD_PROFILE")
        .map(|(name, value)| format!("{name}={value}"))
        .chain([format!("OUT={}", field.out().display())])
        .collect();
    let words = words
        .into_iter()
        .chain(assigned.iter().map(String::as_str))
        .chain([sendmail.as_str()])
        .chain(PLAIN);
    let ran = finish(
        &mut field.host.inside_of(&strace, ANN, words),
        MESSAGE.as_bytes(),
    );
    field.told_nothing(&ran);
    ran.exits(0).silently();
    let calls = fs::read_to_string(&trace).unwrap();
    fs::remove_file(&trace).unwrap();
    let begun = calls.find(&format!("execve(\"{sendmail}")).unwrap();
    let mut own = calls[begun..].lines().skip(1);
    let touched = own.find(|call| call.contains("/evil"));
    assert_eq!(touched, None);
    assert!(hostile.accept().is_err(), "the proxy was called");
    let arrived = field.tenant.received().pop().unwrap();
    assert!(!arrived.text().contains("y.test"), "{}", arrived.text());
    assert_eq!(arrived.sender, "alerts@contoso.test");
    // Each for itself: one may keep another from its effect.
    for (name, value) in &variables {
        fs::write(field.host.host.path("var/state/pace"), "").unwrap();
        let out = format!("OUT={}", field.out().display());
        let assigned = format!("{name}={value}");
        let words = [
            "env",
            &out,
            &assigned,
            &sendmail,
            "-odq",
            "-i",
            "a@example.com",
        ];
        field.attack(&mut field.ann(words)).exits(0);
    }
    assert!(hostile.accept().is_err(), "the proxy was called");
    field.sweep();
    field.holds();
}

/// Limits end his own submission, whatever of it; slots, records and the next user know nothing of it.
#[test]
fn no_limit_harms_what_all_share() {
    if !needs("prlimit") {
        return;
    }
    let Some(field) = Field::new() else {
        return;
    };
    let limits = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    for limit in limits {
        let values: &[&str] = match limit {
            "fsize" => &["0", "1", "1000", "20000"],
            _ => &["0", "1000"],
        };
        for value in values {
            expire(&field.host.host);
            fs::write(field.host.host.path("var/state/pace"), "").unwrap();
            let limited = format!("--{limit}={value}");
            let mut command = field.ann(["prlimit", &limited, "--", &field.sendmail(), "-t", "-i"]);
            field.attack(&mut command);
            field.sweep();
            // Refreshed or not, cut off or not: there is a good token.
            field.serves_others();
        }
    }
    field.holds();
}

/// A file that he left open gets nothing of ours, be it in the place of a standard descriptor.
#[test]
fn nothing_is_written_to_what_the_caller_left_open() {
    let Some(field) = Field::new() else {
        return;
    };
    let mine = field.host.home(ANN).join("mine");
    let sizes = |name: &str| fs::metadata(mine.join(name)).map_or(0, |facts| facts.len());
    for (line, noisy) in [
        ("exec 0<&- 1<&- 2<&-; \"$S\" -i a@example.com", false),
        ("exec 2>&-; \"$S\" -v -t -i", false),
        (
            "exec >&- 2>&-; \"$S\" -v -t -i 3>>$M/a 4>>$M/b 5>>$M/c 6>>$M/d 7<>$M/e 20>>$M/f 255>>$M/g",
            false,
        ),
        ("exec <&-; \"$S\" -i a@example.com 3>>$M/a 4>>$M/b", false),
        ("\"$S\" -t -i 2>>$M/said", true),
    ] {
        fs::create_dir_all(&mine).unwrap();
        give(&mine, ANN);
        fs::write(field.host.host.path("var/state/pace"), "").unwrap();
        let mut command = field.ann_shell(line);
        let ran = field.attack(command.env("M", &mine));
        assert!(ran.status.code().is_some(), "{line}: {ran:?}");
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            assert_eq!(sizes(name), 0, "{line}: {name}");
        }
        assert!(noisy || sizes("said") == 0);
    }
    field.sweep();
    field.holds();
}

/// Timers, a mask, ignored signals, a death signal, a priority: the message goes all the same.
#[test]
fn what_survives_exec_ends_no_submission() {
    if !needs("perl") {
        return;
    }
    let Some(field) = Field::new() else {
        return;
    };
    let slowly = || {
        Fault::At(
            Stage::End,
            Act::Slowly(std::time::Duration::from_millis(20)),
        )
    };
    for prelude in [
        "use Time::HiRes qw(setitimer ITIMER_REAL); setitimer(ITIMER_REAL, 0.2);",
        // Not before the program has come to itself: until then the process is its caller's.
        "use Time::HiRes qw(setitimer ITIMER_VIRTUAL ITIMER_PROF);
        my @before = times; system '/bin/sh', '-c', '\"$0\" --version >/dev/null', $ARGV[0]; my @after = times;
        my $start = $after[2] + $after[3] - $before[2] - $before[3];
        setitimer($_, 0.03 + 1.5 * $start) for ITIMER_VIRTUAL, ITIMER_PROF;",
        "use POSIX; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(1..31, 34..64));",
        "$SIG{$_} = 'IGNORE' for qw(TERM HUP INT ALRM CHLD PIPE USR1 XFSZ XCPU CONT TSTP);",
        "use POSIX; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGALRM, SIGUSR1)); kill $_, $$ for qw(ALRM USR1);",
        "setpriority(0, 0, 19);",
    ] {
        field.tenant.fault(slowly());
        fs::write(field.host.host.path("var/state/pace"), "").unwrap();
        let before = field.tenant.received().len();
        let script = format!("{prelude} exec @ARGV");
        let mut command = field.ann(["perl", "-e", &script, &field.sendmail(), "-t", "-i"]);
        field.attack(&mut command).exits(0).silently();
        assert_eq!(field.tenant.received().len(), before + 1, "{prelude}");
        field.tenant.recover();
    }
    if needs("setpriv") {
        let mut command = field.ann([
            "setpriv",
            "--pdeathsig",
            "TERM",
            &field.sendmail(),
            "-t",
            "-i",
        ]);
        field.attack(&mut command).exits(0).silently();
    }
    field.holds();
}

/// A directory without rights, a deleted one, a mask: none of it is where a file is made.
#[test]
fn directories_and_masks_change_no_file_of_ours() {
    let Some(field) = Field::new() else {
        return;
    };
    for line in [
        "umask 0; exec \"$S\" -odq -t -i",
        "umask 0777; exec \"$S\" -odq -t -i",
        "cd \"$OUT\"; mkdir gone; cd gone; rmdir ../gone; exec \"$S\" -odq -t -i",
        "cd \"$OUT\"; exec \"$S\" -odq -t -i",
    ] {
        let mut command = field.ann_shell(line);
        field.attack(command.env("OUT", field.out())).exits(0);
    }
    for name in field.host.host.spooled("queue") {
        let facts = fs::metadata(field.host.host.path("var/spool/queue").join(&name)).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!(
            (facts.gid(), facts.mode() & 0o7777),
            (super::ACCOUNT, 0o660),
            "{name}"
        );
    }
    field.sweep();
    field.holds();
}
