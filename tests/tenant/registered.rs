//! Certificates that are registered for the application: public key, end and thumbprints.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const VERSION: u8 = 0xa0;

/// What the tenant keeps of a certificate.
pub struct Registered {
    /// RSAPublicKey (RFC 8017 appendix A.1.1), if it is one.
    pub public_key: Vec<u8>,
    /// Seconds since 1970.
    pub not_after: i64,
    der: Vec<u8>,
}

impl Registered {
    /// All certificates of a PEM text.
    pub fn all(pem: &str) -> Vec<Registered> {
        CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(|certificate| Registered::read(&certificate.unwrap()).expect("a certificate"))
            .collect()
    }

    fn read(der: &[u8]) -> Option<Registered> {
        let (_, certificate, _) = element(der)?;
        let (_, mut rest, _) = element(certificate)?;
        if rest.first() == Some(&VERSION) {
            rest = element(rest)?.2;
        }
        // Serial number, algorithm and issuer.
        for _ in 0..3 {
            rest = element(rest)?.2;
        }
        let (_, validity, rest) = element(rest)?;
        let (_, _subject, rest) = element(rest)?;
        let (_, key, _) = element(rest)?;
        let (kind, end, _) = element(element(validity)?.2)?;
        let (tag, bits, _) = element(element(key)?.2)?;
        (tag == BIT_STRING).then_some(())?;
        Some(Registered {
            public_key: bits.get(1..)?.to_vec(),
            not_after: seconds(kind, std::str::from_utf8(end).ok()?)?,
            der: der.to_vec(),
        })
    }

    /// Whether this is its `x5t#S256`.
    pub fn is_sha256(&self, thumbprint: &str) -> bool {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &self.der)) == thumbprint
    }

    /// Whether this is its `x5t`, with padding or without.
    pub fn is_sha1(&self, thumbprint: &str) -> bool {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der);
        [URL_SAFE.encode(hash), URL_SAFE_NO_PAD.encode(hash)].contains(&thumbprint.to_owned())
    }
}

/// Tag, content and what follows an element of DER.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0x00..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets.iter().fold(0, |sum, o| sum << 8 | usize::from(*o));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` (RFC 5280 section 4.1.2.5), in seconds since 1970.
fn seconds(tag: u8, text: &str) -> Option<i64> {
    let text = match (tag, text.get(..2)?) {
        (UTC_TIME, year) if year < "50" => format!("20{text}"),
        (UTC_TIME, _) => format!("19{text}"),
        _ => text.to_owned(),
    };
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    // Years that begin in March, so that the leap day is their last.
    let year = if month <= 2 { year - 1 } else { year };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * ((month + 9) % 12) + 2) / 5
        + day
        - 1
        - 719_468;
    Some(days * 86_400 + part(8, 10)? * 3_600 + part(10, 12)? * 60 + part(12, 14)?)
}

#[test]
fn a_certificate_is_read_as_openssl_reads_it() {
    use super::keys::{CERTIFICATE, CERTIFICATE_EXPIRED, CHAIN, KEY};
    use ring::signature::{KeyPair, RsaKeyPair};
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_der()).unwrap();
    let certificate = &Registered::all(CERTIFICATE)[0];
    assert_eq!(certificate.public_key, key.public_key().as_ref());
    // openssl dgst -sha256 and -sha1 of the DER.
    assert!(certificate.is_sha256("_5-XKe0vI2POfoDkBvxdwWW4idkGrKPlbQNP8aV8LLk"));
    assert!(certificate.is_sha1("_Ulb2fqe9gOdwmRQcjtgaj-ANok="));
    // openssl x509 -noout -enddate, date +%s.
    assert_eq!(certificate.not_after, 4_828_204_800);
    assert_eq!(
        Registered::all(CERTIFICATE_EXPIRED)[0].not_after,
        1_704_067_200
    );
    assert_eq!(Registered::all(CHAIN).len(), 3);
    assert_eq!(seconds(UTC_TIME, "240229235959Z"), Some(1_709_251_199));
}
