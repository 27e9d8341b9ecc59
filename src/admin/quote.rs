//! Words for a command that somebody copies: whatever they hold, they stay one word.

/// A word for a POSIX shell.
pub(super) fn shell(word: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&octet);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// A word for PowerShell, which takes typographic quotes for plain ones.
pub(super) fn powershell(word: &str) -> String {
    let mut text = String::from("'");
    for character in word.chars() {
        text.push(character);
        if matches!(character, '\'' | '\u{2018}'..='\u{201b}') {
            text.push(character);
        }
    }
    text + "'"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn every_quote_of_powershell_is_doubled() {
        for (word, quoted) in [
            ("a@x.test", "'a@x.test'"),
            ("", "''"),
            ("o'neill@x.test", "'o''neill@x.test'"),
            ("'; reboot; '", "'''; reboot; '''"),
            ("a\u{2019}b\u{2018}", "'a\u{2019}\u{2019}b\u{2018}\u{2018}'"),
            ("\u{201a}\u{201b}", "'\u{201a}\u{201a}\u{201b}\u{201b}'"),
            ("$(reboot)`n\"", "'$(reboot)`n\"'"),
        ] {
            assert_eq!(powershell(word), quoted);
        }
    }

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
