//! The few facts that are read out of an X.509 certificate (RFC 5280 section 4.1).

/// Common name of the issuer, else its organization (RFC 5280 section 4.1.2.4).
pub fn issuer(certificate: &[u8]) -> Option<String> {
    let (_, name, _) = element(from_issuer(certificate)?)?;
    const COMMON_NAME: &[u8] = &[0x55, 4, 3];
    const ORGANIZATION: &[u8] = &[0x55, 4, 10];
    attribute(name, COMMON_NAME).or_else(|| attribute(name, ORGANIZATION))
}

fn attribute(mut name: &[u8], wanted: &[u8]) -> Option<String> {
    while let Some((_, set, rest)) = element(name) {
        name = rest;
        let (_, pair, _) = element(set)?;
        let (_, kind, value) = element(pair)?;
        if kind == wanted {
            let (_, text, _) = element(value)?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
    }
    None
}

/// Tag, content and what follows of one DER element.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (size, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (size, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (
                size.iter()
                    .fold(0, |size, &octet| size << 8 | usize::from(octet)),
                rest,
            )
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(size)?;
    Some((tag, content, rest))
}

/// The last second of a certificate, since 1970 (RFC 5280 section 4.1.2.5).
pub fn not_after(certificate: &[u8]) -> Option<u64> {
    const UTC_TIME: u8 = 0x17;
    let (_, _, rest) = element(from_issuer(certificate)?)?;
    let (_, validity, _) = element(rest)?;
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = text.split_at_checked(if tag == UTC_TIME { 2 } else { 4 })?;
    let year: u64 = year.parse().ok()?;
    let year = match tag {
        UTC_TIME if year < 50 => 2000 + year,
        UTC_TIME => 1900 + year,
        _ => year,
    };
    let number = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let (month, day) = (number(0)?, number(2)?);
    let valid = rest.len() == 10 && year >= 1970 && (1..=12).contains(&month) && day >= 1;
    let seconds = number(4)? * 3600 + number(6)? * 60 + number(8)?;
    valid.then(|| days(year, month, day) * 86_400 + seconds)
}

/// Days from 1970 to a date of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let whole = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    let index = usize::try_from(month - 1).unwrap_or(0) % 12;
    whole + BEFORE[index] + u64::from(leap && month > 2) + day - 1
}

/// What a certificate says from the name of its issuer on.
fn from_issuer(certificate: &[u8]) -> Option<&[u8]> {
    const INTEGER: u8 = 0x02;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut to_be_signed, _) = element(certificate)?;
    let (tag, _, rest) = element(to_be_signed)?;
    if tag == VERSION {
        to_be_signed = rest;
    }
    let (tag, _, rest) = element(to_be_signed)?;
    let (_, _, rest) = element(rest)?;
    (tag == INTEGER).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    #[test]
    fn the_issuer_is_read_from_the_certificate() {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Contoso");
        params
            .distinguished_name
            .push(DnType::CommonName, "Contoso Inspection CA");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(
            issuer(certificate.der()).as_deref(),
            Some("Contoso Inspection CA")
        );
    }

    #[test]
    fn a_cut_certificate_has_no_issuer_and_does_no_harm() {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        for end in 0..der.len() {
            let _ = (issuer(&der[..end]), not_after(&der[..end]));
        }
    }

    #[test]
    fn the_end_is_read_in_both_ways_that_it_is_written() {
        for (year, month, day, end) in [
            (2027, 3, 1, 1_803_859_200),
            (2000, 2, 29, 951_782_400),
            (2049, 12, 31, 2_524_521_600),
            (2050, 1, 1, 2_524_608_000),
            (2100, 3, 1, 4_107_542_400),
        ] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = date_time_ymd(year, month, day);
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(not_after(certificate.der()), Some(end), "{year}");
        }
    }
}
