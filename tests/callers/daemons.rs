//! What runs by itself: cron, at, anacron, and the monitors that write to root.

use super::ALERTS;
use super::machine::{Letter, Machine, NAME, decoded, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What a job that prints the hard text makes of it.
fn report<'a>(recipients: &'a [&'a str], subject: &'a str, name: &'a str) -> Letter<'a> {
    Letter {
        sender: ALERTS,
        recipients,
        subject,
        name: Some(name),
        text: Some(text()),
        added: "",
        attached: false,
    }
}

/// The name that this machine has under uname.
fn node_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    name.trim().to_owned()
}

#[test]
fn cron_mails_what_jobs_print_and_logs_what_was_lost() {
    let Some(machine) = Machine::with(&["cron"]) else {
        return;
    };
    let body = machine.host.path("home/body");
    let job = format!("cat {}", body.display());
    machine.host.write(
        "image/etc/crontab",
        format!("MAILTO=ann@example.com,bob@example.com\n@reboot root {job}\n"),
    );
    machine
        .host
        .write("spool/cron/crontabs/root", format!("@reboot {job}\n"));
    let own = machine.host.path("spool/cron/crontabs/root");
    fs::set_permissions(own, fs::Permissions::from_mode(0o600)).unwrap();
    let cron = machine.daemon("cron -f");
    let mut received = machine.wait_for(2);
    drop(cron);
    received.sort_by_key(|arrived| arrived.recipients.clone());
    let subject = format!("Cron <root@{}> {job}", node_name());
    let to_two = ["ann@example.com", "bob@example.com"];
    let mut letter = report(&to_two, &subject, "Cron Daemon");
    letter.is(&received[0]);
    letter.recipients = &["ops@example.com"];
    letter.is(&received[1]);
    machine.wait_for_log("event=sent uid=0 user=root code=250");
    machine.goes_offline();
    let _cron = machine.daemon("cron -f");
    machine.wait_for_log("but got status 0x004b from MTA");
}

/// at signals a daemon that may not have started yet; that one looks for jobs by itself.
#[test]
fn atd_mails_what_a_job_prints() {
    let Some(machine) = Machine::with(&["at", "atd"]) else {
        return;
    };
    let _atd = machine.daemon("echo \"cat $PWD/body\" | at now 2>&1 && exec atd -f");
    let received = machine.wait_for(1);
    let subject = received[0].field("Subject").remove(0);
    assert!(subject.starts_with("Output from your job"), "{subject}");
    report(&["ops@example.com"], &subject, "root").is(&received[0]);
}

/// anacron hands over a regular file without -i: its lines of a lone dot are text.
#[test]
fn anacron_mails_what_a_job_prints() {
    let Some(machine) = Machine::with(&["anacron"]) else {
        return;
    };
    let body = machine.host.path("home/body");
    machine.host.write(
        "home/tab",
        format!("MAILTO=ann@example.com\n1 0 hard cat {}\n", body.display()),
    );
    let line = "anacron -f -n -d -t $PWD/tab -S /var/spool/anacron";
    machine.shell(line).exits(0);
    let arrived = machine.only();
    let subject = format!("Anacron job 'hard' on {}", node_name());
    report(&["ann@example.com"], &subject, "Anacron").is(&arrived);
    machine.goes_offline();
    machine.shell(line).exits(0);
    machine.wait_for_log("mailer process (/usr/sbin/sendmail) exited with status 75");
}

#[test]
fn logwatch_mails_its_report() {
    let needed = ["logwatch", "/usr/share/perl5/Date/Manip.pm"];
    let Some(machine) = Machine::with(&needed) else {
        return;
    };
    let ran = machine.shell(
        "logwatch --output mail --mailto root --format text --range all --detail high \
         --service zz-disk_space",
    );
    ran.exits(0).silently();
    let arrived = machine.only();
    let subject = format!("Logwatch for {} (Linux)", node_name());
    let letter = Letter {
        text: None,
        ..report(&["ops@example.com"], &subject, "root")
    };
    letter.is(&arrived);
    assert!(
        decoded(&arrived).contains("Logwatch End"),
        "{}",
        arrived.text()
    );
}

/// The lines of its action sendmail-whois-lines.conf, with what an attacker can write to a log:
/// without -i one of two dots at the start of a line is taken away.
#[test]
fn fail2ban_mails_lines_of_logs_without_i_and_without_a_final_line_end() {
    let Some(machine) = Machine::with(&[]) else {
        return;
    };
    let long = "0123456789".repeat(200);
    let log = format!(
        "192.0.2.7 Grüße, 日本語 ✓\n.192.0.2.7\n..192.0.2.7\n...192.0.2.7\nFrom 192.0.2.7 on\n\
         192.0.2.7 {long}\n \t192.0.2.7 blanks\n192.0.2.7\n"
    );
    machine.host.write("home/log", &log);
    let line = r#"( printf %b "Subject: [Fail2Ban] sshd-Köln: banned 192.0.2.7 from `uname -n`
Date: `LC_ALL=C date +"%a, %d %h %Y %T %z"`
From: Jörg Größe <fail2ban>
To: root\n
Hi,\n
The IP 192.0.2.7 has just been banned by Fail2Ban after
5 attempts against sshd-Köln.\n\n
Here is more information about 192.0.2.7 :\n"
echo missing whois program
printf %b "\nLines containing failures of 192.0.2.7 (max 1000)\n"
grep -F 192.0.2.7 log
printf %b "\n
Regards,\n
Fail2Ban" ) | /usr/sbin/sendmail -f "fail2ban" "root" && echo sent"#;
    let arrived = machine.sends(line);
    let node = node_name();
    let subject = format!("[Fail2Ban] sshd-Köln: banned 192.0.2.7 from {node}");
    let quoted = log.replace("\n..", "\n.");
    let letter = Letter {
        text: Some(format!(
            "Hi,\n\nThe IP 192.0.2.7 has just been banned by Fail2Ban after\n\
             5 attempts against sshd-Köln.\n\n\nHere is more information about 192.0.2.7 :\n\
             missing whois program\n\nLines containing failures of 192.0.2.7 (max 1000)\n\
             {quoted}\n\nRegards,\n\nFail2Ban"
        )),
        ..report(&["ops@example.com"], &subject, NAME)
    };
    letter.is(&arrived);
    machine.goes_offline();
    machine.shell(line).exits(75);
}

/// mdadm knows /usr/lib/sendmail only, and copies /proc/mdstat, here with the hard text in it.
#[test]
fn mdadm_finds_us_under_usr_lib() {
    let Some(machine) = Machine::with(&[]) else {
        return;
    };
    let doubled = text().replace("\n.", "\n..");
    machine.host.write("home/mdstat", doubled);
    let arrived = machine.sends(
        r#"{ printf 'From: %s\n' 'Jörg Größe <noreply@contoso.test>'
printf 'To: %s\n' root
printf 'Subject: DegradedArray event on /dev/md/Köln:%s\n\n' "$(uname -n)"
printf 'This is an automatically generated mail message from mdadm\nrunning on %s\n\n' "$(uname -n)"
printf 'A DegradedArray event had been detected on md device /dev/md/Köln.\n\n'
printf 'Faithfully yours, etc.\n\n'
printf 'P.S. The /proc/mdstat file currently contains the following:\n\n'
cat mdstat
} | /usr/lib/sendmail -t && echo sent"#,
    );
    let node = node_name();
    let subject = format!("DegradedArray event on /dev/md/Köln:{node}");
    let hard = text();
    let letter = Letter {
        text: Some(format!(
            "This is an automatically generated mail message from mdadm\nrunning on {node}\n\n\
             A DegradedArray event had been detected on md device /dev/md/Köln.\n\n\
             Faithfully yours, etc.\n\n\
             P.S. The /proc/mdstat file currently contains the following:\n\n{hard}"
        )),
        ..report(&["ops@example.com"], &subject, NAME)
    };
    letter.is(&arrived);
}
