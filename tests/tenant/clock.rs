//! Time and random names in the shapes that Microsoft writes them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use std::time::{SystemTime, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Seconds since 1970.
pub fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// As in the greeting: `Thu, 10 Oct 2024 22:49:55 +0000`.
pub fn mail_date() -> String {
    format!("{} +0000", day_and_time(seconds()))
}

/// As in a `Date` header field of HTTP, so many seconds ahead.
pub fn http_date(ahead: i64) -> String {
    format!("{} GMT", day_and_time(seconds() + ahead))
}

/// As in SMTP replies: `2024-07-11T11:46:49.042Z`.
pub fn reply_stamp() -> String {
    let (year, month, day, clock) = civil(seconds());
    format!("{year:04}-{month:02}-{day:02}T{clock}.042Z")
}

/// As in the errors of the token endpoint: `2026-01-01 00:00:00Z`.
pub fn error_stamp() -> String {
    let (year, month, day, clock) = civil(seconds());
    format!("{year:04}-{month:02}-{day:02} {clock}Z")
}

/// As App Service wrote the end of a token once: `09/14/2017 02:00:00 PM +00:00`.
pub fn formatted_date(seconds: i64) -> String {
    let (year, month, day, clock) = civil(seconds);
    let hour = seconds.rem_euclid(86_400) / 3_600;
    let half = if hour < 12 { "AM" } else { "PM" };
    let twelve = (hour + 11) % 12 + 1;
    format!(
        "{month:02}/{day:02}/{year:04} {twelve:02}{} {half} +00:00",
        &clock[2..]
    )
}

/// A new GUID.
pub fn guid() -> String {
    let hex = hex(16);
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

/// The session id of a submission connection: `08DCE8B62813AB2B`.
pub fn session_id() -> String {
    format!("08DC{}", hex(6).to_uppercase())
}

/// Random text of the URL-safe base64 alphabet.
pub fn text(length: usize) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(random(length));
    text.truncate(length);
    text
}

/// A number below `limit`.
pub fn number(limit: i64) -> i64 {
    let octets: [u8; 4] = random(4).try_into().unwrap();
    i64::from(u32::from_be_bytes(octets)) % limit
}

/// Random octets.
pub fn random(count: usize) -> Vec<u8> {
    let mut octets = vec![0; count];
    SystemRandom::new().fill(&mut octets).unwrap();
    octets
}

fn hex(octets: usize) -> String {
    random(octets)
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect()
}

fn day_and_time(seconds: i64) -> String {
    let (year, month, day, clock) = civil(seconds);
    let weekday = DAYS[usize::try_from(seconds.div_euclid(86_400) % 7).unwrap()];
    let month = MONTHS[usize::try_from(month - 1).unwrap()];
    format!("{weekday}, {day:02} {month} {year:04} {clock}")
}

/// Year, month, day and clock of the proleptic Gregorian calendar, in UTC.
fn civil(seconds: i64) -> (i64, i64, i64, String) {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months are counted from March, so that the leap day is the last day of a year.
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let second = seconds.rem_euclid(86_400);
    let clock = format!(
        "{:02}:{:02}:{:02}",
        second / 3_600,
        second / 60 % 60,
        second % 60
    );
    (year, month, day, clock)
}

#[test]
fn dates_are_right_on_both_sides_of_a_leap_day() {
    assert_eq!(day_and_time(0), "Thu, 01 Jan 1970 00:00:00");
    assert_eq!(day_and_time(1_709_251_199), "Thu, 29 Feb 2024 23:59:59");
    assert_eq!(day_and_time(1_709_251_200), "Fri, 01 Mar 2024 00:00:00");
    assert_eq!(formatted_date(0), "01/01/1970 12:00:00 AM +00:00");
    assert_eq!(
        formatted_date(1_505_397_600),
        "09/14/2017 02:00:00 PM +00:00"
    );
}
