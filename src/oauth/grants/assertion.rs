//! The application's certificate, and the JWT that its key signs (RFC 7523 section 3).

use crate::sys::der;
use crate::sys::pem;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use serde_json::json;
use zeroize::Zeroizing;

/// Seconds that an assertion is valid; Microsoft advises five to ten minutes.
const LIFETIME_SECONDS: u64 = 600;

/// So many seconds ahead may this host's clock be.
const EARLIER_SECONDS: u64 = 60;

/// A certificate with its private key.
pub struct Certificate {
    key: RsaKeyPair,
    /// SHA-256 of the certificate.
    thumbprint: [u8; 32],
    /// SHA-1 of it, by which people find it again.
    fingerprint: [u8; 20],
    /// Seconds since 1970; none if the certificate's own words cannot be read.
    pub ends_at: Option<u64>,
}

/// How an assertion is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSA-PSS, what Microsoft documents.
    Ps256,
    /// RSA PKCS#1 v1.5, what older tenants of other clouds may want.
    Rs256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Ps256 => "PS256",
            Algorithm::Rs256 => "RS256",
        }
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Algorithm::Ps256 => &RSA_PSS_SHA256,
            Algorithm::Rs256 => &RSA_PKCS1_SHA256,
        }
    }
}

/// What is wrong with a certificate or its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The file of the certificate holds none.
    NoCertificate,
    /// The file of the key holds none.
    NoKey,
    /// The file of the certificate is binary: DER, or PKCS #12 as Windows and the Azure portal export it.
    BinaryCertificate,
    /// That of the key is.
    BinaryKey,
    /// The key is as ssh-keygen writes it.
    OpenSsh,
    /// A passphrase protects the key.
    Encrypted,
    /// The key is of another kind than RSA.
    NotRsa,
    /// Below 2048 bits.
    Short,
    /// The key is damaged, or over 4096 bits.
    Broken,
    /// The key is another certificate's.
    Stranger,
}

impl Fault {
    /// Why the pair cannot be used, and what to do.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Fault::NoCertificate => (
                "the file holds no block BEGIN CERTIFICATE",
                "name a PEM file with the certificate in certificate_file under [account]",
            ),
            Fault::NoKey => (
                "the file holds no private key",
                "name a PEM file with a block BEGIN PRIVATE KEY in private_key_file under [account]",
            ),
            Fault::BinaryCertificate => (
                "the file is binary, such as .cer or .pfx, not PEM",
                "openssl x509 -inform DER -in OLD.cer -out NEW.pem, of a .pfx: openssl pkcs12 -nokeys -in OLD.pfx \
                 -out NEW.pem",
            ),
            Fault::BinaryKey => (
                "the file is binary, such as .pfx or .der, not PEM",
                "openssl pkcs12 -nocerts -nodes -in OLD.pfx -out NEW.pem, of a .der: openssl pkey -inform DER \
                 -in OLD.der -out NEW.pem; readable for root and the group sendmail365 only",
            ),
            Fault::OpenSsh => (
                "the private key is in the form of OpenSSH",
                "ssh-keygen -p -m PKCS8 -f FILE writes it as PEM in its place",
            ),
            Fault::Encrypted => (
                "the private key is protected by a passphrase, which nobody is there to type",
                "store it without: openssl pkey -in OLD.pem -out NEW.pem, readable for root only",
            ),
            Fault::NotRsa => (
                "the private key is no RSA key, and Microsoft takes no other",
                "make a certificate with an RSA key of 2048 bits or more",
            ),
            Fault::Short => (
                "the private key has less than 2048 bits",
                "make a certificate with an RSA key of 2048 bits or more",
            ),
            Fault::Broken => (
                "the private key is damaged, or of a size that is not supported (2048 to 4096 bits)",
                "copy it again, or make a certificate with an RSA key of 2048 bits",
            ),
            Fault::Stranger => (
                "the private key belongs to another certificate",
                "name the key that the certificate was made with in private_key_file under [account]",
            ),
        }
    }

    /// Whether the certificate's file is at fault, not the key's.
    pub fn is_certificates(self) -> bool {
        matches!(self, Fault::NoCertificate | Fault::BinaryCertificate)
    }
}

impl Certificate {
    /// Reads both from PEM; of a chain the certificate that the key belongs to is the application's own,
    /// wherever it stands.
    pub fn parse(chain: &[u8], key: &[u8]) -> Result<Certificate, Fault> {
        if is_binary(chain) {
            return Err(Fault::BinaryCertificate);
        }
        let mut chain = pem::blocks(chain);
        chain.retain(|block| block.label == "CERTIFICATE");
        if chain.is_empty() {
            return Err(Fault::NoCertificate);
        }
        let key = private_key(key)?;
        // The certificate holds the public key in the very octets that the key pair writes.
        let public = key.public().as_ref();
        let is_keys = |der: &[u8]| der.windows(public.len()).any(|octets| octets == public);
        let leaf = chain.iter().find(|block| is_keys(&block.der));
        let leaf = leaf.ok_or(Fault::Stranger)?;
        let hash = digest::digest(&digest::SHA256, &leaf.der);
        let mut thumbprint = [0; 32];
        thumbprint.copy_from_slice(hash.as_ref());
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &leaf.der);
        let mut fingerprint = [0; 20];
        fingerprint.copy_from_slice(hash.as_ref());
        Ok(Certificate {
            key,
            thumbprint,
            fingerprint,
            ends_at: der::not_after(&leaf.der),
        })
    }

    /// A signed assertion for one request; `id` is never used twice. None if the system has no
    /// random numbers.
    pub(crate) fn assertion(
        &self,
        algorithm: Algorithm,
        client_id: &str,
        audience: &str,
        (now, id): (u64, &str),
    ) -> Option<Zeroizing<String>> {
        let header = json!({
            "alg": algorithm.name(),
            "typ": "JWT",
            "x5t#S256": URL_SAFE_NO_PAD.encode(self.thumbprint),
        });
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": id,
            "nbf": now.saturating_sub(EARLIER_SECONDS),
            "iat": now,
            "exp": now.saturating_add(LIFETIME_SECONDS),
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                algorithm.encoding(),
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .ok()?;
        Some(Zeroizing::new(format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(signature)
        )))
    }

    /// SHA-256 of the certificate in hex, as the portal's PowerShell shows it.
    pub fn thumbprint(&self) -> String {
        hex(&self.thumbprint)
    }

    /// SHA-1 of the certificate in hex, as the portal's list of certificates shows it.
    pub fn fingerprint(&self) -> String {
        hex(&self.fingerprint)
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

/// Whether a file begins as a long sequence of DER does, which no text does.
fn is_binary(file: &[u8]) -> bool {
    matches!(file, [0x30, 0x80..=0x84, ..])
}

fn private_key(text: &[u8]) -> Result<RsaKeyPair, Fault> {
    if is_binary(text) {
        return Err(Fault::BinaryKey);
    }
    let blocks = pem::blocks(text);
    let key = blocks
        .iter()
        .find(|block| block.label.ends_with("PRIVATE KEY"))
        .ok_or(Fault::NoKey)?;
    if key.encrypted || key.label == "ENCRYPTED PRIVATE KEY" {
        return Err(Fault::Encrypted);
    }
    let pair = match key.label.as_str() {
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&key.der),
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(&key.der),
        "OPENSSH PRIVATE KEY" => return Err(Fault::OpenSsh),
        _ => return Err(Fault::NotRsa),
    };
    pair.map_err(|rejected| match rejected.to_string().as_str() {
        "WrongAlgorithm" => Fault::NotRsa,
        "TooSmall" => Fault::Short,
        _ => Fault::Broken,
    })
}
