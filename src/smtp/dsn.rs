//! Wishes for delivery status notifications and how they stand in MAIL and RCPT (RFC 3461).

/// Most octets of an envelope id (RFC 3461 section 4.4).
const ENVID_MAX: usize = 100;

/// What the sender wants to hear of the delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dsn<'a> {
    /// When, for every recipient; none leaves it to the servers.
    pub notify: Option<Notify>,
    /// How much of the message comes back.
    pub ret: Option<Ret>,
    /// What the notification names the message.
    pub envid: Option<Xtext<'a>>,
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

/// Up to 100 octets that cannot end a parameter (xtext, RFC 3461 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Xtext<'a>(&'a str);

impl<'a> Xtext<'a> {
    /// Takes text that is in this form already.
    pub fn new(text: &'a str) -> Option<Xtext<'a>> {
        let mut rest = text.bytes();
        let hex = |octet: Option<u8>| matches!(octet, Some(b'0'..=b'9' | b'A'..=b'F'));
        while let Some(octet) = rest.next() {
            let sound = match octet {
                b'+' => hex(rest.next()) && hex(rest.next()),
                octet => octet.is_ascii_graphic() && octet != b'=',
            };
            if !sound {
                return None;
            }
        }
        (1..=ENVID_MAX).contains(&text.len()).then_some(Xtext(text))
    }
}

impl Dsn<'_> {
    /// The parameters of MAIL, a blank before each.
    pub(crate) fn of_mail(&self) -> String {
        let mut text = match self.ret {
            Some(Ret::Full) => " RET=FULL".to_owned(),
            Some(Ret::Headers) => " RET=HDRS".to_owned(),
            None => String::new(),
        };
        if let Some(Xtext(id)) = self.envid {
            text.push_str(&format!(" ENVID={id}"));
        }
        text
    }

    /// The parameter of each RCPT, a blank before it.
    pub(crate) fn of_rcpt(&self) -> String {
        let words: Vec<&str> = match self.notify {
            None => Vec::new(),
            Some(Notify::Never) => vec!["NEVER"],
            Some(Notify::On {
                success,
                failure,
                delay,
            }) => {
                let all = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
                let wanted = all.into_iter().filter(|(wanted, _)| *wanted);
                wanted.map(|(_, word)| word).collect()
            }
        };
        match words.is_empty() {
            true => String::new(),
            false => format!(" NOTIFY={}", words.join(",")),
        }
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
            envid: Xtext::new("a+3Db"),
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
            assert_eq!(Xtext::new(text), None, "{text:?}");
        }
        for text in ["x", "+0D+0A", "<>\"\\", &long[1..]] {
            assert_eq!(Xtext::new(text), Some(Xtext(text)));
        }
    }
}
