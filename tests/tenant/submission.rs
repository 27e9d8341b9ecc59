//! The submission server: one session from the greeting to QUIT.

use super::address;
use super::certificates::Flaw;
use super::clock;
use super::faults::{Act, Fault, Leg, Stage};
use super::state::{Delivered, Shared};
use super::tokens::Holder;
use super::transaction::{Features, Transaction};
use super::transcript::Connection;
use super::wire::Wire;
use super::{auth, delivery};
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

/// The name in the greeting.
pub const FRONT_END: &str = "LO4P302CA0005.outlook.office365.com";
/// The name at the end of replies and in new message ids.
pub const BACK_END: &str = "LO4P302CA0005.GBRP302.PROD.OUTLOOK.COM";
const COMMAND_MAX: usize = 2_048;

/// One client.
pub struct Session<'a> {
    pub shared: &'a Shared,
    pub wire: Wire,
    pub features: Features,
    pub id: String,
    pub tls: bool,
    pub greeted: bool,
    pub user: Option<String>,
    /// Whose token it signed in with.
    pub holder: Holder,
    pub transaction: Option<Transaction>,
    pub ended: bool,
    pub log: Arc<Mutex<Connection>>,
    rcpt_count: usize,
    /// Replies of a flight that was not read to its end yet (RFC 2920 section 3.2).
    pub pending: Vec<u8>,
    /// 354 was said.
    pub message_follows: bool,
}

/// Serves one connection to its end.
pub fn serve(shared: &Shared, tcp: TcpStream) {
    let log = Arc::new(Mutex::<Connection>::default());
    {
        let mut ledger = shared.ledger();
        ledger.connections.push(log.clone());
        ledger.sessions += 1;
    }
    let mut session = Session {
        wire: Wire::new(tcp, log.clone(), shared.stop.clone()),
        features: Features::draw(shared),
        id: clock::session_id(),
        shared,
        tls: false,
        greeted: false,
        user: None,
        holder: Holder::User,
        transaction: None,
        ended: false,
        log,
        rcpt_count: 0,
        pending: Vec::new(),
        message_follows: false,
    };
    if session.run().is_err() {
        session.note("connection lost");
    }
    session.wire.finish();
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.sign_out();
        self.shared.session_ended();
    }
}

impl Session<'_> {
    fn run(&mut self) -> io::Result<()> {
        self.answer(Stage::Greeting, |session| {
            let (now, id) = (clock::mail_date(), &session.id);
            Ok(format!(
                "220 {FRONT_END} Microsoft ESMTP MAIL Service ready at {now} [{id}]"
            ))
        })?;
        self.flush()?;
        while !self.ended {
            let Some(line) = self.command_line()? else {
                return Ok(());
            };
            self.obey(&line)?;
            if self.message_follows && !self.ended {
                self.flush()?;
                self.message_follows = false;
                delivery::receive(self)?;
            }
        }
        self.flush()
    }

    /// A line of the client; none at the end of the connection, or when the line is too long.
    pub fn command_line(&mut self) -> io::Result<Option<String>> {
        let limit = self.shared.setup.auth_line_max;
        let Some(line) = self.wire.up_to(b"\r\n", limit)? else {
            if self.wire.holds_more() {
                self.note("line without end, or too long");
                let reply = self.with_tail("500 5.3.3 Unrecognized command 'unknown'");
                self.say(&reply);
                self.flush()?;
            }
            return Ok(None);
        };
        // What is no UTF-8 cannot be a command; the marks make it an unknown one.
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    fn obey(&mut self, line: &str) -> io::Result<()> {
        self.hear(line, line.len() + 2);
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let verb = verb.to_ascii_uppercase();
        let may_be_followed = self.features.pipelining
            && matches!(verb.as_str(), "MAIL" | "RCPT" | "RSET" | "NOOP" | "BDAT");
        let own_flight = verb != "QUIT" && verb != "BDAT" && !may_be_followed;
        if own_flight && self.wire.holds_more() {
            self.note("octets behind a command that has to be the last of its flight");
            self.say("503 5.5.0 Improper use of SMTP command pipelining");
            self.ended = true;
            return self.flush();
        }
        if line.len() > COMMAND_MAX && verb != "AUTH" || line.contains(['\r', '\n', '\0']) {
            let reply = self.with_tail("500 5.3.3 Unrecognized command 'unknown'");
            self.say(&reply);
            return self.flush();
        }
        match verb.as_str() {
            "EHLO" | "HELO" => {
                let stage = if self.tls {
                    Stage::EhloTls
                } else {
                    Stage::Ehlo
                };
                self.answer(stage, |session| Ok(session.hello(argument, verb == "EHLO")))?;
                self.surplus();
            }
            "STARTTLS" => self.starttls()?,
            "AUTH" => self.answer(Stage::Auth, |session| auth::authenticate(session, argument))?,
            "MAIL" => self.answer(Stage::Mail, |session| Ok(session.mail(argument)))?,
            "RCPT" => {
                self.rcpt_count += 1;
                let stage = Stage::RcptNth(self.rcpt_count);
                self.answer(stage, |session| Ok(session.rcpt(argument)))?;
            }
            "DATA" => self.answer(Stage::Data, |session| Ok(session.data()))?,
            "BDAT" => delivery::chunk(self, argument)?,
            "RSET" => self.answer(Stage::Rset, |session| {
                session.transaction = None;
                session.rcpt_count = 0;
                Ok("250 2.0.0 Resetting".to_owned())
            })?,
            "NOOP" => self.say("250 2.0.0 OK"),
            "VRFY" => self.say("252 2.1.5 Cannot VRFY user"),
            "QUIT" => self.answer(Stage::Quit, |session| {
                session.ended = true;
                Ok("221 2.0.0 Service closing transmission channel".to_owned())
            })?,
            _ => {
                let reply = self.with_tail("500 5.3.3 Unrecognized command 'unknown'");
                self.say(&reply);
            }
        }
        // Replies to a flight leave together, so that a turn of the client is one turn here.
        let more = may_be_followed && !self.ended && self.wire.gathers_more();
        if more { Ok(()) } else { self.flush() }
    }

    fn hello(&mut self, name: &str, extended: bool) -> String {
        if !address::is_domain(name, false) {
            return "501 5.5.4 Invalid domain name".to_owned();
        }
        if name.eq_ignore_ascii_case(FRONT_END) || name.eq_ignore_ascii_case(BACK_END) {
            return "550 5.7.506 Access Denied, Bad HELO".to_owned();
        }
        self.greeted = true;
        self.transaction = None;
        self.rcpt_count = 0;
        let mut lines = vec![format!("{FRONT_END} Hello [{}]", self.wire.peer())];
        if extended {
            lines.extend(self.features.keywords(self.tls));
        }
        let last = lines.len() - 1;
        let mark = |at: usize| if at == last { ' ' } else { '-' };
        let lines = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("250{}{line}", mark(at)));
        lines.collect::<Vec<_>>().join("\r\n")
    }

    fn surplus(&mut self) {
        let count = self.shared.ledger().faults.take(|fault| match fault {
            Fault::SurplusReplies(count) if self.tls => Some(*count),
            _ => None,
        });
        for _ in 0..count.unwrap_or(0) {
            self.say("250 2.0.0 OK");
        }
    }

    fn starttls(&mut self) -> io::Result<()> {
        let mut agreed = false;
        self.answer(Stage::Starttls, |session| {
            if session.tls || !session.features.starttls || !session.greeted {
                return Ok("503 5.5.1 Bad sequence of commands".to_owned());
            }
            agreed = true;
            Ok("220 2.0.0 SMTP server ready".to_owned())
        })?;
        if !agreed || self.ended {
            return Ok(());
        }
        if self
            .shared
            .ledger()
            .faults
            .strikes(&Fault::InjectAfterStarttls)
        {
            self.say("250-attacker.example Hello\r\n250-PIPELINING\r\n250 AUTH XOAUTH2");
        }
        self.flush()?;
        if let Some(act) = self.fault(Stage::Tls) {
            // Something unread is what makes a close a reset.
            self.wire.fill()?;
            return self.misbehave(&act);
        }
        let flaw: Option<Flaw> = self.shared.ledger().faults.take(|fault| match fault {
            Fault::Certificate(Leg::Submission, flaw) => Some(*flaw),
            _ => None,
        });
        let config = self.shared.authority.server(flaw, self.shared.tls());
        if let Err(error) = self.wire.secure(config) {
            self.note(&format!("TLS failed: {error}"));
            self.ended = true;
            return Ok(());
        }
        self.tls = true;
        self.greeted = false;
        Ok(())
    }

    fn mail(&mut self, argument: &str) -> String {
        let Some(user) = self.user.clone() else {
            return self.with_tail("530 5.7.57 Client not authenticated to send mail.");
        };
        if !self.greeted || self.transaction.is_some() {
            return "503 5.5.2 Sender already specified".to_owned();
        }
        match Transaction::open(self.shared, &self.features, &user, argument) {
            Ok(transaction) => {
                self.transaction = Some(transaction);
                self.rcpt_count = 0;
                "250 2.1.0 Sender OK".to_owned()
            }
            Err(reply) => self.with_tail(&reply),
        }
    }

    fn rcpt(&mut self, argument: &str) -> String {
        let Some(transaction) = &mut self.transaction else {
            return self.with_tail("503 5.5.2 Need mail command");
        };
        match transaction.add(self.shared, &self.features, argument) {
            Ok(()) => "250 2.1.5 Recipient OK".to_owned(),
            Err(reply) => self.with_tail(&reply),
        }
    }

    fn data(&mut self) -> String {
        match &self.transaction {
            None => "503 5.5.2 Need mail command".to_owned(),
            Some(transaction) if transaction.recipients.is_empty() => {
                "503 5.5.2 Need rcpt command".to_owned()
            }
            Some(transaction) if !transaction.chunks.is_empty() => {
                "503 5.5.1 DATA after BDAT".to_owned()
            }
            Some(transaction)
                if transaction
                    .parameters
                    .iter()
                    .any(|p| p == "BODY=BINARYMIME") =>
            {
                "503 5.5.1 BINARYMIME needs BDAT".to_owned()
            }
            Some(_) => {
                self.message_follows = true;
                "354 Start mail input; end with <CRLF>.<CRLF>".to_owned()
            }
        }
    }

    /// The connection counts no longer against the mailbox's limit.
    pub fn sign_out(&mut self) {
        if self.user.take().is_some() {
            self.shared.ledger().signed_in -= 1;
        }
    }

    /// Keeps a message that was taken.
    pub fn store(&mut self, message: Vec<u8>, transaction: Transaction, new_id: String) {
        self.shared.ledger().received.push(Delivered {
            sender: transaction.sender,
            recipients: transaction.recipients,
            data: message,
            user: transaction.user,
            parameters: transaction.parameters,
            recipient_parameters: transaction.recipient_parameters,
            new_id,
        });
    }
}
