//! The recipe of a container, followed without an engine: what it copies and runs is copied and run in a
//! clean root, which is then read-only.

use super::built::{context, in_tree};
use super::root::Root;
use crate::host::{Ran, finish};
use crate::tenant::{Act, Fault, Stage, Tenant};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The instructions of the recipe, each with its words on one line.
fn instructions() -> Vec<(String, String)> {
    let text = fs::read_to_string(in_tree("packaging/container/Containerfile")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap();
            (word.to_owned(), rest.trim().to_owned())
        })
        .collect()
}

fn only(word: &str) -> String {
    let all = instructions();
    let mut found = all.into_iter().filter(|(name, _)| name == word);
    let (_, rest) = found.next().unwrap_or_else(|| panic!("no {word}"));
    assert!(found.next().is_none(), "a second {word}");
    rest
}

#[test]
fn the_recipe_fetches_nothing_holds_no_secret_and_is_nobodys_root() {
    for (word, rest) in instructions() {
        let known = ["ARG", "FROM", "COPY", "RUN", "USER", "VOLUME", "CMD"];
        assert!(
            known.contains(&word.as_str()),
            "{word} is not in the recipe's words"
        );
        for bad in [
            "://", "curl", "wget", "apt", "--mount", "sudo", "chmod", "setcap",
        ] {
            assert!(!rest.contains(bad), "{word} {rest}");
        }
        let told = rest.to_lowercase();
        for bad in ["secret", "token", "password", "config.toml"] {
            assert!(!told.contains(bad), "{word} {rest}");
        }
    }
    // What names its layers by number can be run where only numbers count.
    let user = only("USER");
    let (uid, gid) = user.split_once(':').unwrap();
    assert!(uid.parse::<u32>().unwrap() > 0 && gid.parse::<u32>().unwrap() > 0);
    assert!(only("VOLUME").starts_with("/home/sendmail365/.local/state/"));
    let copies = instructions();
    let copies = copies.iter().filter(|(word, _)| word == "COPY");
    for (_, words) in copies {
        let (source, target) = words.split_once(' ').unwrap();
        assert!(
            !source.starts_with(['/', '-', '.']),
            "{source} is outside the context"
        );
        assert!(target.starts_with('/'));
    }
}

/// The image, as a root, and its settings beside it.
fn image(tenant: &Tenant) -> Option<Root> {
    let root = Root::clean()?;
    let context = context();
    for (word, rest) in instructions() {
        match word.as_str() {
            "COPY" => {
                let (source, target) = rest.split_once(' ').unwrap();
                fs::copy(context.join(source), root.path(target)).unwrap();
            }
            "RUN" => {
                root.shell(&rest).exits(0).silently();
            }
            _ => {}
        }
    }
    let settings = root.path("srv/settings");
    fs::create_dir(&settings).unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o755)).unwrap();
    let ca = "/home/sendmail365/.config/sendmail365/ca.pem";
    fs::write(settings.join("config.toml"), Root::settings(tenant, ca)).unwrap();
    fs::write(settings.join("ca.pem"), tenant.ca_pem()).unwrap();
    Some(root)
}

/// Runs a line in the image as its user: nothing can be written but state, no right can be gained.
fn contained(root: &Root, line: &str, stdin: &[u8]) -> Ran {
    let user = only("USER");
    let (uid, gid) = user.split_once(':').unwrap();
    let home = root.path("home/sendmail365");
    let enter = format!(
        "root=$1 && shift && mount --bind \"$root\" \"$root\" && mount -t proc proc \"$root/proc\" && \
         mount --bind \"$root/srv/settings\" \"{home}/.config/sendmail365\" && \
         mount -t tmpfs -o uid={uid},gid={gid},mode=0700 tmpfs \"$root{volume}\" && \
         mount -o remount,bind,nosuid,dev,exec,ro \"{home}/.config/sendmail365\" && \
         mount -o remount,bind,nosuid,dev,exec,ro \"$root\" && exec chroot \"$root\" \"$@\"",
        home = home.display(),
        volume = only("VOLUME"),
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--fork", "--kill-child"])
        .args(["--", "sh", "-c", &enter, "sh"])
        .arg(root.path(""));
    command.args([
        "setpriv",
        "--clear-groups",
        "--no-new-privs",
        "--bounding-set=-all",
    ]);
    command
        .arg(format!("--reuid={uid}"))
        .arg(format!("--regid={gid}"));
    command.args(["sh", "-c", line]).env_clear();
    command
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/");
    finish(&mut command, stdin)
}

#[test]
fn a_container_signs_in_sends_and_queues_with_a_read_only_root() {
    let tenant = Tenant::start();
    let Some(root) = image(&tenant) else {
        return;
    };
    let down = Fault::At(
        Stage::Greeting,
        Act::reply(421, "4.3.2 Service not available"),
    );
    tenant.fault(down.after(1).once());
    let before = root.inventory();
    let message = "printf 'To: ops@example.com\\nSubject: %s\\n\\nhello\\n'";
    let line = format!(
        "set -e; ! touch /x 2>/dev/null; ! touch /home/sendmail365/.config/sendmail365/x 2>/dev/null; \
         sendmail365 login --import - >/dev/null; \
         {message} first | sendmail -t -i; \
         {message} second | /usr/lib/sendmail -t -i; \
         mailq | tail -1; \
         sendmail365 -qf; mailq"
    );
    let ran = contained(&root, &line, tenant.refresh_token().as_bytes());
    ran.exits(0).says("queued as ");
    assert_eq!(
        ran.stdout, "-- 1 Kbytes in 1 Requests.\nMail queue is empty\n",
        "{ran:#?}"
    );
    let received = tenant.received();
    assert_eq!(received.len(), 2);
    assert!(received[1].text().contains("Subject: second\r\n"));
    assert_eq!(root.inventory(), before);
}

/// What it does without a command: the queue, until it is told to stop.
#[test]
fn a_container_without_a_command_works_off_the_queue_until_it_is_stopped() {
    let tenant = Tenant::start();
    let Some(root) = image(&tenant) else {
        return;
    };
    let command = only("CMD");
    let words: Vec<String> = serde_json::from_str(&command).unwrap();
    assert_eq!(words[..2], ["/bin/sh", "-c"]);
    let line = format!(
        "sendmail365 login --import - >/dev/null && \
         printf 'To: ops@example.com\\n\\nhello\\n' | sendmail -odq -t -i 2>/dev/null && \
         {{ sh -c '{}' & }} && job=$! && while ! mailq | grep -q empty; do sleep 0.1; done; \
         kill $job; wait $job",
        words[2].replace('\'', "'\\''")
    );
    contained(&root, &line, tenant.refresh_token().as_bytes())
        .exits(0)
        .silently();
    assert_eq!(tenant.received().len(), 1);
}
