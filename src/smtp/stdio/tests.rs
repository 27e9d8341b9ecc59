//! The dialogue over octets, row by row, and any dialogue at all.

mod any;
mod commands;
mod messages;

use super::*;
use std::cell::RefCell;
use std::io::{self, BufReader, Read};

/// Refuses `bad` and keeps everything else.
#[derive(Default)]
struct Taker {
    letters: Vec<Letter>,
    texts: Vec<Vec<u8>>,
    /// Answers to messages before the usual one.
    answers: Vec<Answer>,
    reads: bool,
}

impl Taker {
    fn new() -> Taker {
        Taker {
            reads: true,
            ..Taker::default()
        }
    }
}

impl Clerk for Taker {
    fn sender(&mut self, sender: &Party) -> Result<(), Answer> {
        match sender.path.as_slice() {
            b"<bad>" => Err(Answer::new(501, "5.1.7", "bad")),
            _ => Ok(()),
        }
    }

    fn recipient(&mut self, _: &Letter, recipient: &Party) -> Result<(), Answer> {
        match recipient.path.as_slice() {
            b"<bad>" => Err(Answer::new(550, "5.1.1", "nobody\r\n250 ok")),
            _ => Ok(()),
        }
    }

    fn message(&mut self, letter: &Letter, text: &mut dyn BufRead) -> Answer {
        let mut octets = Vec::new();
        if self.reads && text.read_to_end(&mut octets).is_ok() {
            self.texts.push(octets);
            self.letters.push(letter.clone());
        }
        self.answers
            .pop()
            .unwrap_or(Answer::new(250, "2.0.0", "ok"))
    }
}

const DOORPLATE: Doorplate<'_> = Doorplate {
    name: "web1.x.test",
    size_max: 1000,
};

fn dialogue(input: impl BufRead, clerk: &mut Taker) -> (String, Result<(), Failure>) {
    let mut output = Vec::new();
    let ended = serve(&DOORPLATE, input, &mut output, clerk);
    (String::from_utf8(output).unwrap(), ended)
}

/// The codes of the replies, banner first, one a line.
fn codes(output: &str) -> Vec<&str> {
    assert!(output.ends_with("\r\n"));
    let lines = output.split_terminator("\r\n");
    let last = lines.filter(|line| line.as_bytes().get(3) == Some(&b' '));
    last.map(|line| &line[..3]).collect()
}

/// Codes of the answers to lines, the banner left out.
fn asked(lines: &str) -> String {
    let (output, ended) = dialogue(lines.as_bytes(), &mut Taker::new());
    ended.unwrap();
    codes(&output)[1..].join(" ")
}

/// The texts that arrive out of a dialogue that was prepared as a whole.
fn texts(input: &[u8]) -> Vec<String> {
    let mut taker = Taker::new();
    let (_, ended) = dialogue(input, &mut taker);
    ended.unwrap();
    let texts = taker.texts.into_iter();
    texts.map(|text| String::from_utf8(text).unwrap()).collect()
}

fn sent(data: &str, text: &str) -> String {
    let mut found = texts(format!("MAIL FROM:<a>\r\nRCPT TO:<b>\r\n{data}{text}").as_bytes());
    assert_eq!(found.len(), 1, "{text:?}");
    found.remove(0)
}
