//! What a security module of the kernel keeps from this process: AppArmor, SELinux.
#![expect(clippy::disallowed_methods, reason = "edge: reads the kernel's words")]

use std::fs;
use std::io;
use std::os::fd::RawFd;

/// Who confines this process, and where it tells what it forbade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confinement {
    /// The profile, enforced.
    AppArmor(String),
    /// The type of the domain, enforced.
    SeLinux(String),
}

impl Confinement {
    /// That of this process; none if what it does is logged at most.
    pub fn of_this_process() -> Option<Confinement> {
        let read = |path| fs::read_to_string(path).ok();
        let label = read("/proc/self/attr/apparmor/current");
        let label = label.or_else(|| read("/proc/self/attr/current"))?;
        let enforces = read("/sys/fs/selinux/enforce").is_some_and(|word| word.trim() == "1");
        Confinement::of(&label, enforces)
    }

    /// `label` is `profile (mode)` of AppArmor, or `user:role:type:level` of SELinux.
    fn of(label: &str, selinux_enforces: bool) -> Option<Confinement> {
        let label = label.trim_end_matches(['\0', '\n']);
        if let Some((profile, mode)) = label.rsplit_once(" (") {
            let enforced = matches!(mode, "enforce)" | "kill)");
            return enforced.then(|| Confinement::AppArmor(profile.to_owned()));
        }
        let domain = label.split(':').nth(2)?;
        let confined = selinux_enforces && domain != "unconfined_t";
        confined.then(|| Confinement::SeLinux(domain.to_owned()))
    }

    /// What to do where a right is missing that owners and modes would give.
    pub fn cure(&self) -> String {
        match self {
            Confinement::AppArmor(profile) => format!(
                "AppArmor enforces the profile {profile} here: \
                 `journalctl --boot --grep=DENIED` names what it forbids"
            ),
            Confinement::SeLinux(domain) => format!(
                "SELinux confines the caller as {domain} here: \
                 `ausearch --message avc` names what it forbids"
            ),
        }
    }
}

/// Whether a security module has put its null device in the place of a descriptor that the caller gave:
/// reading it finds an end, and what is written to it is gone, as if all were well.
#[expect(unsafe_code, reason = "libc call")]
pub fn is_taken(descriptor: RawFd) -> bool {
    // linux/magic.h: securityfs and selinuxfs, where no caller keeps a message.
    const APPARMOR: u32 = 0x7363_6673;
    const SELINUX: u32 = 0xf97c_ff8c;
    // SAFETY: an all-zero statfs is a valid value of the plain C struct.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `found` is valid for the call; any number may be asked for.
    let asked = unsafe { libc::fstatfs(descriptor, &mut found) };
    let magic = u32::try_from(found.f_type as u64 & 0xffff_ffff).unwrap_or_default();
    asked == 0 && (magic == APPARMOR || magic == SELINUX)
}

/// The error for whoever uses such a descriptor.
pub fn refuse_taken(descriptor: RawFd) -> io::Result<()> {
    match is_taken(descriptor) {
        true => Err(io::Error::from_raw_os_error(libc::EACCES)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_enforced_confines() {
        let of = |label| Confinement::of(label, true);
        let apparmor = |name: &str| Some(Confinement::AppArmor(name.to_owned()));
        assert_eq!(of("sendmail365 (enforce)\n"), apparmor("sendmail365"));
        assert_eq!(of("a (b)//c d (kill)\n"), apparmor("a (b)//c d"));
        for free in ["unconfined\n", "sendmail365 (complain)\n", "", "a:b"] {
            assert_eq!(of(free), None, "{free:?}");
        }
        let label = "system_u:system_r:httpd_t:s0\0";
        let domain = Confinement::SeLinux("httpd_t".to_owned());
        assert_eq!(of(label), Some(domain));
        assert_eq!(Confinement::of(label, false), None);
        assert_eq!(
            of("unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023"),
            None
        );
    }

    #[test]
    fn a_device_of_the_system_is_no_stand_in() {
        use std::os::fd::AsRawFd;
        let null = fs::File::open("/dev/null").unwrap();
        assert!(!is_taken(null.as_raw_fd()));
        assert!(!is_taken(-1));
        assert!(refuse_taken(null.as_raw_fd()).is_ok());
    }
}
