//! Properties in deterministic loops: the same inputs on every machine, a minute in all.
//!
//! `SENDMAIL365_PROPERTY_RUNS=10000000 cargo test --release properties` runs each that often.

mod oracles;

/// Inputs of one loop, unless the variable says otherwise.
const RUNS: u64 = 30_000;

fn runs() -> u64 {
    let wished = std::env::var("SENDMAIL365_PROPERTY_RUNS").ok();
    wished.and_then(|count| count.parse().ok()).unwrap_or(RUNS)
}

/// xorshift64: good enough to walk through inputs, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Feeds an oracle inputs that are strung together from words of its language and single octets.
fn each(words: &[&[u8]], oracle: fn(&[u8])) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut input = Vec::new();
    for _ in 0..runs() {
        input.clear();
        input.push(random.below(256) as u8);
        for _ in 0..random.below(24) {
            match random.below(8) {
                0 => input.push(random.below(256) as u8),
                _ => input.extend_from_slice(words[random.below(words.len())]),
            }
        }
        oracle(&input);
    }
}

#[test]
fn any_command_line_is_understood_or_refused() {
    let words: [&[u8]; 34] = [
        b"\n",
        b"\n",
        b"\n",
        b"sendmail\n",
        b"sendmail365\n",
        b"mailq\n",
        b"-t",
        b"-i",
        b"-f",
        b"-F",
        b"-bs",
        b"-bp",
        b"-q",
        b"-q30m",
        b"-O",
        b"IgnoreDots=true",
        b"-oi",
        b"-odq",
        b"-o",
        b"--",
        b"-",
        b"--help",
        b"--dry-run",
        b"-C",
        b"-N",
        b"never",
        b"-R",
        b"-V",
        b"a@x.test",
        b"-X/tmp/x",
        b"login",
        b"--import",
        b"\xff",
        b"=",
    ];
    each(&words, oracles::argv);
}

#[test]
fn any_address_list_yields_safe_paths() {
    let words: [&[u8]; 30] = [
        b"a@x.test",
        b"root",
        b"@",
        b"<",
        b">",
        b",",
        b";",
        b":",
        b"(",
        b")",
        b"\"",
        b"\\",
        b" ",
        b"\t",
        b"\r\n ",
        b"\n",
        b"\r",
        b"\0",
        b".",
        b"..",
        b"[192.0.2.1]",
        b"[IPv6:::1]",
        b"g:",
        b"\"a b\"",
        b"=?utf-8?q?x?=",
        "j\u{f6}rg".as_bytes(),
        "b\u{fc}cher.test".as_bytes(),
        b"\xf6",
        b"\x7f",
        b"@r.test:",
    ];
    each(&words, oracles::addresses);
}

#[test]
fn any_input_is_one_message_on_the_wire() {
    let words: [&[u8]; 38] = [
        b"\n",
        b"\n",
        b"\r\n",
        b"\r\n",
        b"\r",
        b"\r\r\n",
        b"\n.\n",
        b"\r\n.\r\n",
        b".\r",
        b".",
        b"..",
        b"\0",
        b"From: ",
        b"From root Mon\n",
        b">From x\n",
        b"To: ",
        b"Cc: ",
        b"Bcc: ",
        b"bcc : ",
        b"Resent-To: ",
        b"Resent-Bcc: ",
        b"Resent-From: ",
        b"Sender: ",
        b"Reply-To: ",
        b"Return-Path: ",
        b"Subject: ",
        b"Content-Type: a/b; name=",
        b"<@r\xfc.test:j@x.test>",
        b"Received: x\n",
        b" ",
        b"\t",
        b"a@x.test",
        b"Joe <joe@x.test>",
        b"alerts@contoso.test",
        "J\u{f6}rg".as_bytes(),
        b"\xfc",
        b"Content-Length: 5\n",
        b"text",
    ];
    each(&words, oracles::message);
}

#[test]
fn any_body_travels_in_lines_that_servers_take() {
    let words: [&[u8]; 34] = [
        b"\n",
        b"\n",
        b"\n\n",
        b"\n\n",
        b"\nContent-Type: text/html; charset=utf-8\n",
        b"\nContent-Type: multipart/mixed; boundary=b\n",
        b"\nContent-Type: image/png\n",
        b"\nContent-Transfer-Encoding: 8bit\n",
        b"\nContent-Transfer-Encoding: quoted-printable\n",
        b"\nContent-Transfer-Encoding: base64\n",
        b"\nMIME-Version: 1.0\n\n",
        b"\nMIME-Version: 1.0\n\n",
        b"-----BEGIN PGP SIGNED MESSAGE-----\n",
        &[b'x'; 74],
        &[b'x'; 498],
        &[b'x'; 499],
        &[b'x'; 996],
        &[b' '; 40],
        b"YWJj",
        b"=",
        b"=3D",
        b"=\n",
        b".",
        b"\n.\n",
        b"From ",
        b"\nFrom x",
        b" ",
        b"\t",
        b"\r",
        b"\x1b",
        b"\xff",
        b"\x80",
        "\u{fc}".as_bytes(),
        "\u{1f600}".as_bytes(),
    ];
    each(&words, oracles::transfer);
}

#[test]
fn replies_do_not_depend_on_how_they_are_cut() {
    let words: [&[u8]; 18] = [
        b"250",
        b"354",
        b"535",
        b"421",
        b"-",
        b" ",
        b"\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"2.0.0 OK",
        b"5.7.3",
        b"[",
        b"]",
        b"\0",
        b"\xf6",
        b"\x1b[2J",
        b"text",
    ];
    each(&words, oracles::replies);
}

#[test]
fn any_dialogue_on_stdio_stays_in_step() {
    let words: [&[u8]; 34] = [
        b"\r\n",
        b"\r\n",
        b"\n",
        b"EHLO x",
        b"HELO x",
        b"MAIL FROM:<a@x.test>",
        b"MAIL FROM:<>",
        b"RCPT TO:<b@x.test>",
        b"RCPT TO:<root>",
        b"DATA\r\n",
        b"DATA\n",
        b"\r\n.\r\n",
        b"\n.\n",
        b"\n.\r\n",
        b"..",
        b".",
        b"RSET",
        b"NOOP",
        b"QUIT",
        b"VRFY x",
        b"HELP",
        b"EXPN",
        b" SIZE=10",
        b" SIZE=99999",
        b" BODY=8BITMIME",
        b" NOTIFY=NEVER",
        b" X=Y",
        b"\0",
        b"\r",
        b"\xff",
        b"\x1b[2J",
        b"Subject: x\r\n",
        b" ",
        b"text",
    ];
    each(&words, oracles::dialogue);
}

#[test]
fn any_request_is_read_whole_or_refused() {
    let words: [&[u8]; 18] = [
        b"SM365 1 3 24\n",
        b"SM365 1 1 8\n",
        b"SM365 1 2 2\n",
        b"SM365 2 1 1\n",
        b"SM365 1 4294967296 1\n",
        b"sendmail",
        b"\0-i\0",
        b"a@example.com",
        b"-t",
        b"\0",
        b"\n",
        b"\0\0\0\0",
        b"\0\0\0\x05",
        b"\0\0\0\x01",
        b"\xff\xff\xff\xff",
        b"hello",
        b"x",
        b"Subject: x\r\n\r\n",
    ];
    each(&words, oracles::request);
    let usual = b"SM365 1 2 10\nsendmail\0-\0\0\0\x05hello\0\0\0\0rest";
    oracles::request(usual);
}
