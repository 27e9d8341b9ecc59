//! Wishes for delivery status notifications and how they stand in MAIL and RCPT (RFC 3461).

/// Most octets of an envelope id (RFC 3461 section 4.4).
const ENVID_MAX: usize = 100;

/// What the sender wants to hear of the delivery; what is here is valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dsn {
    /// When, for every recipient; none leaves it to the servers.
    pub notify: Option<Notify>,
    /// How much of the message comes back.
    pub ret: Option<Ret>,
    /// What the notification names the message.
    pub envid: Option<Envid>,
}

/// When a notification is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    Never,
    /// On none of the three says nothing.
    On {
        success: bool,
        failure: bool,
        delay: bool,
    },
}

/// How much of a message a notification returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ret {
    Full,
    Headers,
}

/// 1 to 100 octets of xtext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envid(String);

impl Notify {
    /// Reads the value of NOTIFY (RFC 3461 section 4.1), in any case.
    pub fn parse(text: &str) -> Option<Notify> {
        if text.eq_ignore_ascii_case("never") {
            return Some(Notify::Never);
        }
        let (mut success, mut failure, mut delay) = (false, false, false);
        for word in text.split(',') {
            match word.to_ascii_lowercase().as_str() {
                "success" => success = true,
                "failure" => failure = true,
                "delay" => delay = true,
                _ => return None,
            }
        }
        Some(Notify::On {
            success,
            failure,
            delay,
        })
    }

    fn value(self) -> String {
        let Notify::On {
            success,
            failure,
            delay,
        } = self
        else {
            return "NEVER".to_owned();
        };
        let all = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
        let wanted = all.into_iter().filter(|(wanted, _)| *wanted);
        let words: Vec<&str> = wanted.map(|(_, word)| word).collect();
        words.join(",")
    }
}

impl Ret {
    /// Reads the value of RET (RFC 3461 section 4.3), in any case.
    pub fn parse(text: &str) -> Option<Ret> {
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        match () {
            () if is("full") => Some(Ret::Full),
            () if is("hdrs") => Some(Ret::Headers),
            () => None,
        }
    }
}

impl Envid {
    /// Takes text that is in this form already.
    pub fn parse(text: &str) -> Option<Envid> {
        let fits = text.len() <= ENVID_MAX && is_xtext(text.as_bytes());
        fits.then(|| Envid(text.to_owned()))
    }
}

/// Whether these octets cannot end a parameter: printable ASCII, with `+XX` for the rest (RFC 3461
/// section 4).
pub fn is_xtext(value: &[u8]) -> bool {
    let is_hex = |octet: Option<&u8>| matches!(octet, Some(b'0'..=b'9' | b'A'..=b'F'));
    let mut octets = value.iter();
    while let Some(&octet) = octets.next() {
        let fine = match octet {
            b'+' => is_hex(octets.next()) && is_hex(octets.next()),
            octet => octet.is_ascii_graphic() && octet != b'=',
        };
        if !fine {
            return false;
        }
    }
    !value.is_empty()
}

impl Dsn {
    /// The parameters of MAIL, a blank before each.
    pub fn of_mail(&self) -> String {
        let mut text = match self.ret {
            Some(Ret::Full) => " RET=FULL".to_owned(),
            Some(Ret::Headers) => " RET=HDRS".to_owned(),
            None => String::new(),
        };
        if let Some(Envid(id)) = &self.envid {
            text.push_str(&format!(" ENVID={id}"));
        }
        text
    }

    /// The parameter of each RCPT, a blank before it.
    pub fn of_rcpt(&self) -> String {
        match self.notify.map(Notify::value) {
            Some(value) if !value.is_empty() => format!(" NOTIFY={value}"),
            _ => String::new(),
        }
    }

    /// All parameters as one line for an entry of the queue; none if nothing is wished.
    pub fn line(&self) -> Option<String> {
        let text = self.of_mail() + &self.of_rcpt();
        let line = text.trim_start();
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// The wishes that such a line holds; what cannot be read is no wish.
    pub fn from_line(line: &str) -> Dsn {
        let mut wishes = Dsn::default();
        for (key, value) in line.split(' ').filter_map(|word| word.split_once('=')) {
            match key {
                "NOTIFY" => wishes.notify = Notify::parse(value),
                "RET" => wishes.ret = Ret::parse(value),
                "ENVID" => wishes.envid = Envid::parse(value),
                _ => {}
            }
        }
        wishes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wish_has_its_parameter() {
        assert_eq!(Dsn::default().of_mail() + &Dsn::default().of_rcpt(), "");
        let on = |success, failure, delay| {
            let notify = Some(Notify::On {
                success,
                failure,
                delay,
            });
            let dsn = Dsn {
                notify,
                ..Dsn::default()
            };
            dsn.of_rcpt()
        };
        assert_eq!(on(true, true, true), " NOTIFY=SUCCESS,FAILURE,DELAY");
        assert_eq!(on(false, false, true), " NOTIFY=DELAY");
        assert_eq!(on(false, false, false), "");
        let full = Dsn {
            ret: Some(Ret::Full),
            envid: Envid::parse("a+3Db"),
            ..Dsn::default()
        };
        assert_eq!(full.of_mail(), " RET=FULL ENVID=a+3Db");
    }

    #[test]
    fn an_envelope_id_adds_no_parameter_and_no_command() {
        let long = "x".repeat(101);
        for text in [
            "",
            "a b",
            "a=b",
            "a\r\nRSET",
            "+",
            "+4",
            "+4g",
            "+4a",
            "\u{fc}",
            &long,
        ] {
            assert_eq!(Envid::parse(text), None, "{text:?}");
        }
        for text in ["x", "+0D+0A", "<>\"\\", &long[1..]] {
            assert_eq!(Envid::parse(text), Some(Envid(text.to_owned())));
        }
    }

    #[test]
    fn a_line_of_the_queue_holds_every_wish() {
        assert_eq!(Dsn::default().line(), None);
        for line in [
            "RET=FULL",
            "ENVID=a+3Db NOTIFY=NEVER",
            "RET=HDRS ENVID=7 NOTIFY=SUCCESS,DELAY",
        ] {
            assert_eq!(Dsn::from_line(line).line().as_deref(), Some(line));
        }
        for line in ["", "x", "RET=x ENVID= NOTIFY=,", "RET ENVID=a=b"] {
            assert_eq!(Dsn::from_line(line), Dsn::default(), "{line}");
        }
    }
}
