//! Words for a command that somebody copies: whatever they hold, they stay one word.

/// A word for a POSIX shell.
pub(super) fn shell(word: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&octet);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// The shell itself says what it takes a word for.
    #[test]
    fn a_shell_reads_back_what_was_meant() {
        for word in [
            "alerts@contoso.com",
            "/etc/sendmail365/config.toml",
            "",
            "it's",
            "a b",
            "$(reboot)",
            "`reboot`",
            "a;b&c|d>e",
            "\\",
            "'",
            "!x",
            "~",
            "é*?[]",
        ] {
            let line = format!("printf %s {}", shell(word));
            let mut command = Command::new("/bin/sh");
            let output = crate::sys::quiet::output(command.args(["-c", &line]));
            assert_eq!(String::from_utf8_lossy(&output.stdout), word);
        }
    }
}
