//! One connection from greeting to QUIT.
//!
//! Edge: it speaks to the network, by way of `connect` and `wire`.

mod content;
mod probe;
mod submission;

pub use probe::Introduction;

use super::broken::{Broken, Context};
use super::dialogue::{self, Offers};
use super::reply::Reply;
use super::wire::{Clock, Wire};
use super::{Credentials, Direction, Limits, Offered, Rejection, Server, Watch, connect};
use crate::outcome::{Class, Failure, Stage, printable};
use crate::sys::tls::Tls;
use lettre::transport::smtp::commands::{Quit, Starttls};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

/// A connection over TLS, ready to sign in or to submit.
pub struct Session {
    wire: Wire,
    offers: Offers,
    limits: Limits,
    host: String,
    port: u16,
    /// Who signed in.
    user: String,
    /// What no reply may carry into a log.
    secret: Zeroizing<String>,
    /// QUIT is sent, or the connection is of no use any more.
    over: bool,
    /// Between two messages.
    fit: bool,
    /// What leaves behind the end of the next message.
    next: Option<Flight>,
    /// What left behind the end of the last one, its replies unread.
    ahead: Option<Flight>,
}

/// The commands of a transaction, DATA the last, that may leave behind the end of the message before.
#[derive(Debug, PartialEq, Eq)]
pub struct Flight(Vec<String>);

impl Session {
    /// Connects, goes over to TLS and learns what the server offers there.
    pub fn open(
        server: &Server,
        tls: &Tls,
        limits: Limits,
        watch: &mut Watch<'_>,
    ) -> Result<Session, Failure> {
        let ehlo = dialogue::ehlo(&server.hello)?;
        let name = server_name(&server.host)?;
        let patience = limits.patience.map(Clock::stage);
        let tcp = connect::connect(server, &limits)?;
        let mut wire = Wire::new(tcp, &limits).map_err(|error| {
            Failure::defer(format!("no connection to {}:{}", server.host, server.port))
                .because(error)
                .fix("try again later")
                .at(Stage::Connect)
        })?;
        wire.be_patient_for(patience.map(|clock| clock.left().unwrap_or_default()));
        let mut session = Session {
            wire,
            offers: Offers::default(),
            limits,
            host: server.host.clone(),
            port: server.port,
            user: String::new(),
            secret: Zeroizing::default(),
            over: false,
            fit: false,
            next: None,
            ahead: None,
        };
        session.introduce(&ehlo, watch)?;
        session.start_tls(watch)?;
        session.secure(&ehlo, name, tls, watch)?;
        Ok(session)
    }

    /// Signs in with XOAUTH2, in one step if the line is short enough, else in two.
    pub fn sign_in(
        &mut self,
        credentials: &Credentials<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<(), Rejection> {
        if !self.offers.xoauth2() {
            return Err(self.no_xoauth2().into());
        }
        let data = dialogue::xoauth2(credentials)?;
        self.user = credentials.user.to_owned();
        self.secret = dialogue::secrets(&data, credentials.token);
        let mut clock = Clock::stage(self.limits.auth);
        let one_step = "AUTH XOAUTH2 \r\n".len() + data.len() <= self.limits.auth_line;
        let mut answer = if one_step {
            let line = Zeroizing::new(format!("AUTH XOAUTH2 {}\r\n", *data));
            self.token(&line, "AUTH XOAUTH2 ", &mut clock, watch)?
        } else {
            self.two_steps(&data, &mut clock, watch)?
        };
        if one_step && matches!(answer.0.code(), 500 | 501 | 503 | 504 | 555) {
            // The server may only dislike the form. If it leaves instead, its first word stands.
            if let Ok(second) = self.two_steps(&data, &mut clock, watch) {
                answer = second;
            }
        }
        let (reply, status) = answer;
        let what = || match status {
            Some(status) => format!("cannot sign in as {} (token status {status})", self.user),
            None => format!("cannot sign in as {}", self.user),
        };
        dialogue::expect(&[235], Stage::Auth, &reply, what).map_err(|failure| Rejection {
            token_refused: reply.negative() && dialogue::token_refused(&reply),
            failure,
        })
    }

    /// What the server offers inside TLS.
    pub fn offered(&self) -> Offered {
        Offered {
            eight_bit_mime: self.offers.eight_bit_mime,
            dsn: self.offers.dsn,
            smtputf8: self.offers.smtputf8,
            size_max: self.offers.size.filter(|&size| size > 0),
        }
    }

    /// Says goodbye without waiting for an answer.
    pub fn quit(mut self) {
        // Behind a transaction that has begun QUIT would be text.
        if !self.over && self.ahead.is_none() {
            let mut clock = Clock::stage(self.limits.head_start);
            // The other side may be gone; nothing depends on it.
            let _ = self.wire.send(Quit.to_string().as_bytes(), &mut clock);
        }
        self.wire.close();
    }

    fn introduce(&mut self, ehlo: &str, watch: &mut Watch<'_>) -> Result<(), Failure> {
        let mut clock = Clock::stage(self.limits.greeting);
        let greeting = self.hear(Stage::Greeting, &mut clock, watch)?;
        let host = self.host.clone();
        let what = || match greeting.temporary() {
            true => format!("{host} takes no connection now"),
            false => format!("{host} takes no connection from this host"),
        };
        dialogue::expect(&[220], Stage::Greeting, &greeting, what)?;
        let mut clock = Clock::stage(self.limits.ehlo);
        let reply = self.ask(Stage::Ehlo, ehlo, &mut clock, watch)?;
        self.greeted(&reply)
    }

    fn greeted(&mut self, reply: &Reply) -> Result<(), Failure> {
        let what = || format!("{} refuses EHLO", self.host);
        dialogue::expect(&[250], Stage::Ehlo, reply, what)?;
        self.offers = Offers::read(reply);
        Ok(())
    }

    fn start_tls(&mut self, watch: &mut Watch<'_>) -> Result<(), Failure> {
        let (host, port) = (self.host.clone(), self.port);
        if !self.offers.starttls {
            return Err(Failure::defer(format!("{host}:{port} offers no TLS"))
                .because("STARTTLS is missing from its reply to EHLO; nothing secret was sent")
                .fix("check [smtp] host and port, and what filters SMTP on the way")
                .with_reason("not-offered")
                .at(Stage::Starttls));
        }
        let mut clock = Clock::stage(self.limits.starttls);
        let reply = self.ask(Stage::Starttls, &Starttls.to_string(), &mut clock, watch)?;
        let what = || format!("{host}:{port} refuses TLS");
        dialogue::expect(&[220], Stage::Starttls, &reply, what)?;
        // What follows the 220 in clear may come from anybody on the way (CVE-2021-38371).
        self.ready(Stage::Starttls)
    }

    fn secure(
        &mut self,
        ehlo: &str,
        name: ServerName<'static>,
        tls: &Tls,
        watch: &mut Watch<'_>,
    ) -> Result<(), Failure> {
        let connection = ClientConnection::new(tls.config(), name);
        let connection = connection.map_err(Broken::Tls);
        let mut clock = Clock::stage(self.limits.tls);
        let secured = connection
            .and_then(|connection| self.wire.secure(connection, ehlo.as_bytes(), &mut clock));
        if let Err(broken) = secured {
            let issuer = tls.refused_issuer();
            return Err(broken.failure(Stage::Tls, &self.context(issuer)));
        }
        show(watch, Direction::Noted, &self.wire.tls_in_words());
        show(watch, Direction::Sent, ehlo);
        let mut clock = Clock::stage(self.limits.ehlo);
        let reply = self.hear(Stage::Ehlo, &mut clock, watch)?;
        self.greeted(&reply)
    }

    fn no_xoauth2(&self) -> Failure {
        let offered = self.offers.mechanisms.join(" ");
        Failure::defer(format!("{} does not offer XOAUTH2", self.host))
            .because(format!(
                "after TLS it offers AUTH \"{offered}\"; nothing secret was sent"
            ))
            .fix("check [smtp] host: smtp.office365.com, and what filters SMTP on the way")
            .with_reason("not-offered")
            .at(Stage::Auth)
    }

    /// The form without initial response (RFC 4954 section 4).
    fn two_steps(
        &mut self,
        data: &str,
        clock: &mut Clock,
        watch: &mut Watch<'_>,
    ) -> Result<(Reply, Option<String>), Failure> {
        let invitation = self.ask(Stage::Auth, "AUTH XOAUTH2\r\n", clock, watch)?;
        if invitation.code() != 334 {
            return Ok((invitation, None));
        }
        let line = Zeroizing::new(format!("{data}\r\n"));
        self.token(&line, "", clock, watch)
    }

    /// Sends a line that holds the token and brings the last reply.
    ///
    /// A challenge after the token is a refusal with details: it wants an empty line, then the
    /// reply that counts follows. Its status comes along.
    fn token(
        &mut self,
        line: &str,
        shown: &str,
        clock: &mut Clock,
        watch: &mut Watch<'_>,
    ) -> Result<(Reply, Option<String>), Failure> {
        self.ready(Stage::Auth)?;
        self.put(Stage::Auth, line, clock)?;
        show(
            watch,
            Direction::Sent,
            &format!("{shown}[{} octets]", line.len()),
        );
        let reply = self.hear(Stage::Auth, clock, watch)?;
        if reply.code() != 334 {
            return Ok((reply, None));
        }
        let status = dialogue::challenge_status(&reply);
        Ok((self.ask(Stage::Auth, "\r\n", clock, watch)?, status))
    }

    /// One command, one reply.
    fn ask(
        &mut self,
        stage: Stage,
        line: &str,
        clock: &mut Clock,
        watch: &mut Watch<'_>,
    ) -> Result<Reply, Failure> {
        self.ready(stage)?;
        self.put(stage, line, clock)?;
        show(watch, Direction::Sent, line);
        self.hear(stage, clock, watch)
    }

    /// Nothing may wait to be read when something is written.
    fn ready(&mut self, stage: Stage) -> Result<(), Failure> {
        let Err(broken) = self.wire.quiet() else {
            return Ok(());
        };
        self.over = true;
        // Before TLS anybody may have written it; inside, a server that leaves says 421 unasked,
        // and one that has read enough of a message refuses it.
        let last = match stage {
            Stage::Greeting | Stage::Ehlo | Stage::Starttls => None,
            _ => self.wire.last_words(),
        };
        match last.map(|reply| reply.without(&self.secret)) {
            Some(reply) if reply.code() == 421 || stage == Stage::Body && reply.negative() => {
                Err(dialogue::judge_message(stage, &self.user, &reply))
            }
            _ => Err(broken.failure(stage, &self.context(None))),
        }
    }

    fn put(&mut self, stage: Stage, text: &str, clock: &mut Clock) -> Result<(), Failure> {
        let sent = self.wire.send(text.as_bytes(), clock);
        sent.map_err(|broken| broken.failure(stage, &self.context(None)))
    }

    fn hear(
        &mut self,
        stage: Stage,
        clock: &mut Clock,
        watch: &mut Watch<'_>,
    ) -> Result<Reply, Failure> {
        match self.wire.receive(clock) {
            Ok(reply) => {
                let reply = reply.without(&self.secret);
                show_reply(watch, &reply);
                Ok(reply)
            }
            Err(broken) => Err(broken.failure(stage, &self.context(None))),
        }
    }

    fn context(&self, issuer: Option<String>) -> Context<'_> {
        Context {
            host: &self.host,
            port: self.port,
            issuer,
            secret: &self.secret,
        }
    }
}

pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, Failure> {
    let name = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|_| {
        Failure::new(Class::Config, format!("\"{host}\" is not a host name"))
            .because("no certificate can be for it")
            .fix("correct [smtp] host")
            .at(Stage::Connect)
    })
}

fn show(watch: &mut Watch<'_>, direction: Direction, line: &str) {
    let text = line.strip_suffix("\r\n").unwrap_or(line);
    watch(direction, &printable(text.as_bytes()));
}

fn show_reply(watch: &mut Watch<'_>, reply: &Reply) {
    let count = reply.lines().count();
    for (place, line) in reply.lines().enumerate() {
        let separator = if place + 1 < count { '-' } else { ' ' };
        let line = format!("{}{separator}{line}", reply.code());
        show(watch, Direction::Received, line.trim_end());
    }
}

#[cfg(test)]
mod tests;
