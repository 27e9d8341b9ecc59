//! The message over a session, from its first octet to the reply that decides.

use super::{Flight, Session, show, show_reply};
use crate::outcome::{Failure, Stage};
use crate::smtp::body::Stuffing;
use crate::smtp::dialogue;
use crate::smtp::reply::Reply;
use crate::smtp::wire::Clock;
use crate::smtp::{Content, Direction, Manner, Receipt, Watch};
use lettre::transport::smtp::commands::Quit;

/// Plain octets of one write while the message is sent.
const CHUNK: usize = 64 * 1024;

/// What surely fits into one TLS record (RFC 8446 section 5.1).
const RECORD: usize = 12 * 1024;

impl Session {
    /// The message, its end and QUIT, then the reply that decides.
    pub(super) fn message(
        &mut self,
        content: &Content<'_>,
        manner: Manner,
        watch: &mut Watch<'_>,
    ) -> Result<Receipt, Failure> {
        let mut clock = Clock::pause(self.limits.body);
        let mut stuffing = Stuffing::new();
        let mut chunk = Vec::with_capacity(CHUNK + RECORD);
        self.ready(Stage::Body)?;
        let pieces = |octets| <[u8]>::chunks(octets, CHUNK / 2);
        for piece in pieces(content.header) {
            stuffing.push(piece, &mut chunk);
            self.pass_on(&mut chunk, CHUNK, &mut clock)?;
        }
        stuffing.end_line(&mut chunk);
        stuffing.push(b"\r\n", &mut chunk);
        for piece in pieces(content.body) {
            stuffing.push(piece, &mut chunk);
            self.pass_on(&mut chunk, CHUNK, &mut clock)?;
        }
        stuffing.end_line(&mut chunk);
        self.pass_on(&mut chunk, RECORD, &mut clock)?;
        stuffing.finish(&mut chunk);
        // Only PIPELINING lets a command leave before the reply to the end (RFC 2920 section 3.1).
        let quit_along = self.offers.pipelining && !manner.more;
        if quit_along {
            chunk.extend_from_slice(Quit.to_string().as_bytes());
        }
        let next = self.next.take();
        if let Some(Flight(commands)) = &next {
            chunk.extend_from_slice(commands.concat().as_bytes());
        }
        // One record: if it does not leave whole, the server never sees the end of the message.
        self.pass_on(&mut chunk, 0, &mut clock)?;
        self.wire.yield_to_signals(Some(self.limits.grace));
        // From here on a guess would make a duplicate.
        self.wire.be_patient_for(None);
        let size = content.header.len() + content.body.len();
        for line in [&format!("[message of {size} octets]"), "."] {
            show(watch, Direction::Sent, line);
        }
        if let Some(Flight(commands)) = &next {
            commands
                .iter()
                .for_each(|line| show(watch, Direction::Sent, line));
        }
        self.ahead = next;
        if quit_along {
            show(watch, Direction::Sent, "QUIT");
            return self.confirmation(watch);
        }
        let confirmed = self.confirmation(watch);
        if manner.more {
            return confirmed;
        }
        // Whether it arrives or not, the reply stands.
        let quit = Quit.to_string();
        let mut clock = Clock::stage(self.limits.head_start);
        if self.wire.send(quit.as_bytes(), &mut clock).is_ok() {
            show(watch, Direction::Sent, &quit);
        }
        confirmed
    }

    /// Sends what has gathered if it is more than `most`.
    fn pass_on(
        &mut self,
        chunk: &mut Vec<u8>,
        most: usize,
        clock: &mut Clock,
    ) -> Result<(), Failure> {
        if chunk.len() <= most {
            return Ok(());
        }
        // A reply that is here before the final dot can only refuse.
        self.ready(Stage::Body)?;
        if let Err(broken) = self.wire.send(chunk, clock) {
            let refusal = self.wire.last_words().filter(Reply::negative);
            return Err(match refusal {
                Some(reply) => {
                    let reply = reply.without(&self.secret);
                    dialogue::judge_message(Stage::Body, &self.user, &reply)
                }
                None => broken.failure(Stage::Body, &self.context(None)),
            });
        }
        chunk.clear();
        Ok(())
    }

    fn confirmation(&mut self, watch: &mut Watch<'_>) -> Result<Receipt, Failure> {
        let mut clock = Clock::stage(self.limits.end);
        let reply = match self.wire.receive(&mut clock) {
            Ok(reply) => reply.without(&self.secret),
            Err(broken) => return Err(broken.unsure(&self.context(None))),
        };
        show_reply(watch, &reply);
        if reply.negative() {
            return Err(dialogue::judge_message(Stage::End, &self.user, &reply));
        }
        if reply.code() != 250 {
            return Err(Failure::unsure("the message may have been delivered")
                .because(format!(
                    "the server's last word makes no sense: {}",
                    reply.quote()
                ))
                .fix("look into Sent Items of the mailbox before sending it again")
                .at(Stage::End)
                .with_code(reply.code())
                .with_reason("garbage"));
        }
        Ok(Receipt {
            verdicts: Vec::new(),
            reply: reply.quote(),
            message_id: dialogue::message_id(&reply),
            peer: self.offers.name.clone(),
        })
    }
}
