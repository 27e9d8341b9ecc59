//! HTTP/1.1 as a server reads and writes it, by hand.

use super::clock;
use super::wire::Wire;
use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

const HEAD_MAX: usize = 64 << 10;
const BODY_MAX: usize = 1 << 20;

/// A request, its names of header fields in lower case.
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    pub fields: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// When its head was read.
    pub at: Instant,
}

impl Request {
    /// The next request of a connection; none when there is no more, or when it is no HTTP.
    pub fn read(wire: &mut Wire) -> io::Result<Option<Request>> {
        let Some(head) = wire.up_to(b"\r\n\r\n", HEAD_MAX)? else {
            return Ok(None);
        };
        let Some(mut request) = Request::from_head(&String::from_utf8_lossy(&head)) else {
            return Ok(None);
        };
        let length = request
            .fields
            .get("content-length")
            .map_or(Ok(0), |text| text.parse());
        match length {
            Ok(length) if length <= BODY_MAX => match wire.exactly(length)? {
                Some(body) => request.body = body,
                None => return Ok(None),
            },
            _ => return Ok(None),
        }
        Ok(Some(request))
    }

    fn from_head(head: &str) -> Option<Request> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if version != "HTTP/1.1" || words.next().is_some() {
            return None;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut fields = BTreeMap::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        Some(Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            fields,
            body: Vec::new(),
            at: Instant::now(),
        })
    }

    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// The body as a form; none when a name comes twice or an escape is broken.
    pub fn form(&self) -> Option<BTreeMap<String, String>> {
        let kind = self.field("content-type").unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Some(BTreeMap::new());
        }
        form(std::str::from_utf8(&self.body).ok()?)
    }
}

/// A form or query; none when a name comes twice or an escape is broken.
pub fn form(text: &str) -> Option<BTreeMap<String, String>> {
    let mut form = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        if form.insert(decoded(name)?, decoded(value)?).is_some() {
            return None;
        }
    }
    Some(form)
}

/// A text as a value of a form or query.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|octet| match octet {
            b'-' | b'.' | b'_' | b'~' => char::from(octet).to_string(),
            _ if octet.is_ascii_alphanumeric() => char::from(octet).to_string(),
            _ => format!("%{octet:02X}"),
        })
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(octets).ok()
}

/// An answer, which always tells its length.
pub struct Response {
    pub status: u16,
    pub fields: Vec<(&'static str, String)>,
    pub body: String,
}

impl Response {
    /// An answer in JSON, with the header fields that the token endpoint sends.
    pub fn json(status: u16, body: String) -> Response {
        let fields = vec![
            ("Cache-Control", "no-store, no-cache".to_owned()),
            ("Pragma", "no-cache".to_owned()),
            ("Content-Type", "application/json; charset=utf-8".to_owned()),
            ("Expires", "-1".to_owned()),
            (
                "Strict-Transport-Security",
                "max-age=31536000; includeSubDomains".to_owned(),
            ),
            ("X-Content-Type-Options", "nosniff".to_owned()),
            ("x-ms-request-id", clock::guid()),
        ];
        Response {
            status,
            fields,
            body,
        }
    }

    /// A page for people.
    pub fn html(status: u16, title: &str) -> Response {
        Response {
            status,
            fields: vec![("Content-Type", "text/html; charset=utf-8".to_owned())],
            body: format!(
                "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\
                 <body><h1>{title}</h1></body></html>\n"
            ),
        }
    }

    /// The same with one more header field.
    pub fn with(mut self, name: &'static str, value: String) -> Response {
        self.fields.push((name, value));
        self
    }

    /// The same with a text before its body.
    pub fn behind(mut self, text: &str) -> Response {
        self.body.insert_str(0, text);
        self
    }

    /// The octets to send, by a clock that is so many seconds ahead.
    pub fn octets(&self, ahead: i64) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.fields {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!(
            "Date: {}\r\nContent-Length: {}\r\n",
            clock::http_date(ahead),
            self.body.len()
        );
        text += "\r\n";
        text += &self.body;
        text.into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        407 => "Proxy Authentication Required",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    }
}
