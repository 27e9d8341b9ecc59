//! How each fault of the table is brought about that is a lack: of memory, of processor time, of a
//! log that listens.

use super::rows::{Rows, namespace, one, under};
use super::scene::{Case, Scene, TO};
use crate::signals::{send, stalled};
use crate::submission::MESSAGE;
use crate::tenant::{Act, Fault, Stage};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Child;

/// What is under a limit costs processor time, so that it cannot end before the limit does.
const LARGE: usize = 8 * 1024 * 1024;

/// All rows about what there is too little of.
pub fn rows() -> Rows {
    vec![
        (
            "P14",
            Box::new(|_| [64, 1024, 4096, 16_384].map(short_of_memory).into()),
        ),
        ("P15", one(short_of_time)),
        ("P22", one(short_of_connections)),
        ("O06", one(with_a_log_that_is_full)),
    ]
}

/// So many KiB less of address space than a submission needs.
fn short_of_memory(less: u64) -> Case {
    let run = move |scene: &Scene<'_>| {
        let with = |kib: u64, to: &str| {
            let script = format!("ulimit -v {kib}; exec \"$@\"");
            let outer = ["/bin/sh", "-c", &script, "sh"];
            under(scene, &outer, &["-i", to], MESSAGE.as_bytes())
        };
        const PLENTY: u64 = 4 * 1024 * 1024;
        let (mut few, mut enough) = (1024, PLENTY);
        while enough - few > 32 {
            let middle = (few + enough) / 2;
            match with(middle, "probe@example.com").status.code() {
                Some(0) if scene.waiting().is_empty() => enough = middle,
                _ => few = middle,
            }
            for name in scene.host.spooled("queue") {
                fs::remove_file(scene.host.path("var/spool/queue").join(name)).unwrap();
            }
            scene.host.forget_gate();
        }
        assert!(enough < PLENTY, "no memory is enough");
        with(enough.saturating_sub(less).max(512), "ops@example.com")
    };
    Case::new(format!("{less} KiB too little"))
        .run(run)
        .mute()
        .counted_by_exit()
}

fn short_of_time() -> Case {
    let run = |scene: &Scene<'_>| {
        let spent = "use Time::HiRes 'clock'; 1 while clock() < 0.999; exec @ARGV";
        let script = format!("ulimit -t 1; exec perl -e \"{spent}\" \"$@\"");
        let outer = ["/bin/sh", "-c", &script, "sh"];
        let message = format!("{MESSAGE}{}", "x\n".repeat(LARGE / 2));
        under(scene, &outer, &["-t", "-i"], message.as_bytes())
    };
    Case::new("").run(run).needs(&["perl"])
}

/// Whoever holds the connections of the host has been stopped while he does.
fn short_of_connections() -> Case {
    let run = |scene: &Scene<'_>| {
        let holders: Vec<Child> = (0..2)
            .map(|_| {
                let fault = Fault::At(Stage::Mail, Act::Stall);
                let holder = stalled(&scene.host, scene.tenant, fault);
                send("STOP", &holder);
                holder
            })
            .collect();
        scene.tenant.recover();
        let ran = scene.host.sendmail(["-i", TO], MESSAGE);
        for mut holder in holders {
            holder.kill().unwrap();
            holder.wait().unwrap();
        }
        ran
    };
    Case::new("").run(run).needs(&["signals"])
}

/// Nobody reads what is sent to the log, and there is no room for more.
fn with_a_log_that_is_full() -> Case {
    const DEVICES: &str = "mkdir $R/dev; mount -t tmpfs none $R/dev; \
        for one in null zero full random urandom; \
        do touch $R/dev/$one; mount --bind /dev/$one $R/dev/$one; done; \
        ln -s $R/syslog $R/dev/log; mount --move $R/dev /dev; exec \"$@\"";
    let case = namespace(&["-m"], DEVICES);
    let run = case.run;
    Case {
        run: Box::new(move |scene| {
            let log = UnixDatagram::bind(scene.host.path("syslog")).unwrap();
            let writer = UnixDatagram::unbound().unwrap();
            writer.connect(scene.host.path("syslog")).unwrap();
            writer.set_nonblocking(true).unwrap();
            while writer.send(&[b'x'; 1024]).is_ok() {}
            let ran = run(scene);
            drop(log);
            ran
        }),
        ..Case::new("full")
    }
    .prepare(|scene| scene.host.set("log", "syslog", "true"))
    .needs(&["unshare", "root"])
}
