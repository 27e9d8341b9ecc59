//! How a session answers: replies of a flight together, faults in place of them, all written down.

use super::clock;
use super::faults::{Act, Stage};
use super::submission::{BACK_END, Session};
use super::transcript::Direction;
use std::io;

impl Session<'_> {
    /// Answers as `right` says, or as a fault at this stage wants it.
    pub fn answer(
        &mut self,
        stage: Stage,
        right: impl FnOnce(&mut Self) -> io::Result<String>,
    ) -> io::Result<()> {
        let act = self.fault(stage);
        let success = if stage == Stage::Data { b'3' } else { b'2' };
        match act {
            None => {
                let reply = right(self)?;
                self.say(&reply);
            }
            Some(Act::Slowly(pause)) => {
                let reply = right(self)?;
                self.flush()?;
                self.wire
                    .write_slowly(format!("{reply}\r\n").as_bytes(), pause)?;
                self.log
                    .lock()
                    .unwrap()
                    .add(Direction::Server, reply.len() + 2, &reply);
            }
            Some(Act::Reply(octets)) if octets.first() == Some(&success) => {
                let reply = right(self)?;
                match reply.as_bytes().first() == Some(&success) {
                    true => self.say_octets(&octets),
                    false => self.say(&reply),
                }
            }
            Some(Act::Reply(octets)) => self.say_octets(&octets),
            Some(act) => self.misbehave(&act)?,
        }
        Ok(())
    }

    /// Does what a fault wants where an answer would be.
    pub fn misbehave(&mut self, act: &Act) -> io::Result<()> {
        self.flush()?;
        if let Act::ReplyThenClose(octets) = act {
            self.say_octets(octets);
            self.ended = true;
            return self.flush();
        }
        self.note(&format!("fault: {act:?}"));
        self.ended |= !self.wire.misbehave(act, b"")?;
        Ok(())
    }

    /// The fault that strikes at a stage.
    pub fn fault(&mut self, stage: Stage) -> Option<Act> {
        let mut ledger = self.shared.ledger();
        let act = ledger.faults.act(stage);
        match stage {
            Stage::RcptNth(_) => act.or_else(|| ledger.faults.act(Stage::Rcpt)),
            _ => act,
        }
    }

    /// Microsoft's tail of failures, which its support asks for.
    pub fn with_tail(&self, reply: &str) -> String {
        format!("{reply} [{BACK_END} {} {}]", clock::reply_stamp(), self.id)
    }

    /// Puts a reply, without its last line end, behind the others of this flight.
    pub fn say(&mut self, reply: &str) {
        self.say_octets(format!("{reply}\r\n").as_bytes());
    }

    fn say_octets(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
        // RFC 5321 section 4.2.3: with 421 the server closes.
        self.ended |= octets.starts_with(b"421");
    }

    /// Sends the replies of a flight as one write.
    pub fn flush(&mut self) -> io::Result<()> {
        let replies = std::mem::take(&mut self.pending);
        if replies.is_empty() {
            return Ok(());
        }
        self.wire.write(&replies)?;
        let mut log = self.log.lock().unwrap();
        for line in String::from_utf8_lossy(&replies).split_terminator("\r\n") {
            log.add(Direction::Server, line.len() + 2, line);
        }
        Ok(())
    }

    /// Writes down what the client said.
    pub fn hear(&self, text: &str, octets: usize) {
        let mut log = self.log.lock().unwrap();
        log.authentications += usize::from(text.to_ascii_uppercase().starts_with("AUTH "));
        log.add(Direction::Client, octets, text);
    }

    /// Writes down why something was refused.
    pub fn note(&self, text: &str) {
        self.log.lock().unwrap().add(Direction::Note, 0, text);
    }
}
