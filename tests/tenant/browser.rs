//! Chromium without a screen, driven over WebDriver: for pages that people see.
//!
//! Needs the programs `chromium` and `chromedriver`; whoever starts it asks for them first.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Nothing goes out by itself, and nothing of the machine's own profile comes in.
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--window-size=1024,768",
];
/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const PATIENCE: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(50);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A browser with an empty profile, which ends when it is dropped.
pub struct Browser {
    driver: Child,
    /// Held, so that the driver can go on writing.
    _output: BufReader<ChildStdout>,
    port: u16,
    session: String,
    profile: PathBuf,
}

impl Browser {
    /// Starts the driver on a port that the kernel picks, and a browser.
    pub fn start() -> Browser {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sm365-browser-{}-{number}", std::process::id());
        let profile = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&profile).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env_clear()
            .env("PATH", &path)
            .env("HOME", &profile)
            .env("TMPDIR", &profile)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(driver.stdout.take().unwrap());
        let port = announced_port(&mut output);
        let mut browser = Browser {
            driver,
            _output: output,
            port,
            session: String::new(),
            profile,
        };
        let profile = format!("--user-data-dir={}", browser.profile.join("data").display());
        let mut flags = FLAGS.map(str::to_owned).to_vec();
        flags.push(profile);
        let binary = std::env::split_paths(&path)
            .map(|folder| folder.join("chromium"))
            .find(|program| program.exists());
        let started = browser.call(
            "POST",
            "/session",
            &json!({"capabilities": {"alwaysMatch": {
                "acceptInsecureCerts": true,
                "goog:chromeOptions": {"args": flags, "binary": binary},
            }}}),
        );
        let session = started["sessionId"].as_str().expect("a session");
        session.clone_into(&mut browser.session);
        browser
    }

    /// Opens an address and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// The address that is shown.
    pub fn url(&self) -> String {
        self.text_of("url")
    }

    /// The title of the page.
    pub fn title(&self) -> String {
        self.text_of("title")
    }

    /// What the page says, as people see it, once that holds `part`.
    pub fn shows(&self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            // While one page makes place for the next there may be none.
            let text = self.text();
            match text {
                Some(text) if text.contains(part) => return text,
                _ => assert!(Instant::now() < until, "no {part} in {text:?}"),
            }
            std::thread::sleep(TICK);
        }
    }

    fn text(&self) -> Option<String> {
        let session = format!("/session/{}", self.session);
        let ask = |method: &str, command: &str, body: &Value| {
            let answer = self.exchange(method, &format!("{session}/{command}"), body);
            answer
                .ok()
                .filter(|(status, _)| *status == 200)
                .map(|(_, mut answer)| answer["value"].take())
        };
        let body = ask("POST", "element", &selector("body"))?;
        let text = format!("element/{}/text", body[ELEMENT].as_str()?);
        Some(ask("GET", &text, &Value::Null)?.as_str()?.to_owned())
    }

    /// What stands in a field.
    pub fn value(&self, css: &str) -> String {
        self.text_of(&format!("element/{}/property/value", self.find(css)))
    }

    /// Clicks; what follows may need a moment, for which [`Browser::shows`] waits.
    pub fn click(&self, css: &str) {
        self.post(&format!("element/{}/click", self.find(css)), &json!({}));
    }

    /// Empties a field and types into it.
    pub fn fill(&self, css: &str, text: &str) {
        let element = self.find(css);
        self.post(&format!("element/{element}/clear"), &json!({}));
        self.post(&format!("element/{element}/value"), &json!({"text": text}));
    }

    /// The page as it looks, as PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        STANDARD.decode(self.text_of("screenshot")).unwrap()
    }

    fn find(&self, css: &str) -> String {
        let found = self.post("element", &selector(css));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{command}", self.session);
        self.call("POST", &path, body)
    }

    fn text_of(&self, command: &str) -> String {
        let path = format!("/session/{}/{command}", self.session);
        let value = self.call("GET", &path, &Value::Null);
        value.as_str().unwrap_or_default().to_owned()
    }

    /// `value` of the driver's answer, which has to be a success.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, mut answer) = self.exchange(method, path, body).unwrap();
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer["value"].take()
    }

    fn exchange(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, Value)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = match method {
            "POST" => body.to_string(),
            _ => String::new(),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\
             Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let mut answer = BufReader::new(stream);
        let mut status = String::new();
        answer.read_line(&mut status)?;
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut length = 0;
        loop {
            let mut line = String::new();
            if answer.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body)?;
        Ok((status.unwrap_or(0), serde_json::from_slice(&body)?))
    }
}

fn selector(css: &str) -> Value {
    json!({"using": "css selector", "value": css})
}

/// The port out of "ChromeDriver was started successfully on port 41234."
fn announced_port(output: &mut impl BufRead) -> u16 {
    let mut line = String::new();
    while output.read_line(&mut line).is_ok_and(|count| count > 0) {
        let port = line.split_once("started successfully on port ");
        let port = port.map(|(_, rest)| rest.trim_end().trim_end_matches('.'));
        if let Some(port) = port.and_then(|port| port.parse().ok()) {
            return port;
        }
        line.clear();
    }
    panic!("chromedriver told no port");
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser; killed before, it would leave it behind.
        let _ = self.exchange(
            "DELETE",
            &format!("/session/{}", self.session),
            &Value::Null,
        );
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
