//! What Microsoft's support asks for: ids and times that stand in a text.

use super::veil::is_secret;

/// Ids by their names, in the order in which they are told.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Ids(Vec<(&'static str, String)>);

/// The name of an id, and how texts spell it.
const SPELLINGS: &[(&str, &[&str])] = &[
    ("trace id", &["trace id", "trace_id", "traceid"]),
    (
        "correlation id",
        &["correlation id", "correlation_id", "correlationid"],
    ),
    (
        "request id",
        &["request id", "request_id", "request-id", "requestid"],
    ),
];

impl Ids {
    /// Reads those that a text holds; of several with one name the first.
    pub(super) fn of(text: &str) -> Ids {
        let lower = text.to_ascii_lowercase();
        let mut found = Vec::new();
        for (name, spellings) in SPELLINGS {
            let value = spellings
                .iter()
                .find_map(|spelling| id_behind(text, &lower, spelling));
            found.extend(value.map(|value| (*name, value)));
        }
        let stamp = time_behind(text, &lower, "timestamp");
        found.extend(stamp.map(|value| ("timestamp", value)));
        for (name, value) in in_brackets(text) {
            if !found.iter().any(|(known, _)| *known == name) {
                found.push((name, value));
            }
        }
        Ids(found)
    }

    /// Name and value of each.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

/// What stands behind a name and its separators, wherever the name comes.
fn behind<'a>(text: &'a str, lower: &str, name: &str) -> Vec<&'a str> {
    let places = lower.match_indices(name);
    let rests = places.filter_map(|(at, _)| text.get(at + name.len()..));
    rests
        .map(|rest| rest.trim_start_matches([' ', ':', '=', '"', '\\']))
        .collect()
}

fn id_behind(text: &str, lower: &str, name: &str) -> Option<String> {
    let rests = behind(text, lower, name);
    rests.into_iter().find_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c));
        let id = rest.get(..end.unwrap_or(rest.len()))?;
        is_id(id).then(|| id.to_owned())
    })
}

fn is_id(text: &str) -> bool {
    text.len() >= 6 && text.bytes().any(|octet| octet.is_ascii_digit()) && !is_secret(text)
}

fn time_behind(text: &str, lower: &str, name: &str) -> Option<String> {
    behind(text, lower, name).into_iter().find_map(time)
}

/// The time that a text begins with: `2026-01-01 00:00:00Z` and its like.
fn time(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !"TZ:-+. ".contains(c));
    let time = text.get(..end.unwrap_or(text.len()))?.trim();
    let time = match time.find('Z') {
        Some(end) => time.get(..=end)?,
        None => time,
    };
    let plausible = time.starts_with(|c: char| c.is_ascii_digit()) && time.contains(':');
    (plausible && (16..=40).contains(&time.len())).then(|| time.to_owned())
}

/// Server, time and session of a reply: `[AM0PR02.eurprd02.prod.outlook.com 2024-07-11T11:46:49Z 08DC]`.
fn in_brackets(text: &str) -> Vec<(&'static str, String)> {
    let parts = text.split('[').skip(1);
    let insides = parts.filter_map(|part| part.split_once(']').map(|(inside, _)| inside));
    for inside in insides {
        if let Some(name) = inside.strip_prefix("Hostname=")
            && is_id(name)
            && name.contains('.')
        {
            return vec![("server", name.to_owned())];
        }
        let words: Vec<&str> = inside.split_whitespace().collect();
        if let [server, stamp, session] = words[..]
            && is_id(server)
            && server.contains('.')
            && let Some(stamp) = time(stamp)
            && is_id(session)
        {
            return vec![
                ("server", server.to_owned()),
                ("timestamp", stamp),
                ("session id", session.to_owned()),
            ];
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&'static str, String)> {
        Ids::of(text).0
    }

    #[test]
    fn ids_are_found_in_every_spelling() {
        let wanted = [
            ("trace id", "0d1e2f3a-0000-4000-8000-000000000001"),
            ("correlation id", "0d1e2f3a-0000-4000-8000-000000000002"),
            ("timestamp", "2026-01-01 00:00:00Z"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        let [(_, trace), (_, correlation), (_, stamp)] = &wanted;
        for text in [
            format!(
                "AADSTS1: x.\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {stamp}"
            ),
            format!("x. Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"),
            format!("x; trace id {trace}; correlation id {correlation}; timestamp {stamp}; more"),
            format!(
                "{{\"timestamp\":\"{stamp}\",\"trace_id\":\"{trace}\",\"correlation_id\":\"{correlation}\"}}"
            ),
            format!(
                "\\\"trace_id\\\":\\\"{trace}\\\",\\\"correlation_id\\\":\\\"{correlation}\\\",\\\"timestamp\\\":\\\"{stamp}\\\""
            ),
        ] {
            assert_eq!(found(&text), wanted, "{text}");
        }
    }

    #[test]
    fn the_brackets_of_a_reply_name_server_time_and_session() {
        let text = "535 5.7.3 no [AM0PR02CA0134.eurprd02.prod.outlook.com 2024-07-11T11:46:49.042Z 08DCA18218166FB4]";
        let wanted = [
            ("server", "AM0PR02CA0134.eurprd02.prod.outlook.com"),
            ("timestamp", "2024-07-11T11:46:49.042Z"),
            ("session id", "08DCA18218166FB4"),
        ];
        assert_eq!(
            found(text),
            wanted.map(|(name, value)| (name, value.to_owned()))
        );
        assert_eq!(
            found("432 4.3.2 x [Hostname=AM0PR01.eurprd01.prod.exchangelabs.com]"),
            [(
                "server",
                "AM0PR01.eurprd01.prod.exchangelabs.com".to_owned()
            )]
        );
    }

    #[test]
    fn what_is_no_id_is_not_taken_for_one() {
        let token = format!("trace_id=eyJ{}1", "a".repeat(40));
        for text in [
            "the trace id above",
            "trace id: none",
            "timestamp 12",
            "[Hostname=]",
            "[a b c]",
            &token,
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
