//! The certificate authorities that TLS trusts: the system's bundle, never one the caller names.
#![expect(clippy::disallowed_methods, reason = "edge: reads the CA bundle")]

use crate::outcome::{Class, Failure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use std::path::Path;

/// Where distributions keep the bundle: Debian, Fedora and RHEL (two), SUSE, Alpine and BSD.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Roots for both legs, the token endpoint and submission.
#[derive(Clone)]
pub struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// The system's roots and those of `own`, the administrator's bundle and its name, if there is
    /// one. Whoever reads it has to see to it that nobody else could have written it.
    ///
    /// Neither `SSL_CERT_FILE` nor `SSL_CERT_DIR` is asked: they belong to the caller.
    pub fn load(own: Option<(&Path, &[u8])>) -> Result<Roots, Failure> {
        let system = BUNDLES.iter().find_map(|path| std::fs::read(path).ok());
        let mut roots = system.as_deref().map(certificates).unwrap_or_default();
        if let Some((path, pem)) = own {
            let added = certificates(pem);
            if added.is_empty() {
                return Err(Failure::new(
                    Class::Config,
                    format!("ca_file {} holds no certificate", path.display()),
                )
                .because("no PEM block BEGIN CERTIFICATE was found")
                .fix("name a PEM file in [endpoint] ca_file"));
            }
            roots.extend(added);
        }
        if roots.is_empty() {
            return Err(Failure::hold("no certificate authority to trust")
                .because("none of the system's bundle files exists")
                .fix("install the package ca-certificates"));
        }
        Ok(Roots(roots))
    }

    /// The certificates, DER.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}

/// Every certificate of a PEM bundle that decodes; text between the blocks is skipped (RFC 7468).
///
/// Own loop: the general reader decodes in constant time, which public certificates do not need
/// and which costs more than a whole submission.
fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    let mut found = Vec::new();
    let mut block: Option<Vec<u8>> = None;
    for line in pem.split(|&octet| octet == b'\n').map(<[u8]>::trim_ascii) {
        match line {
            b"-----BEGIN CERTIFICATE-----" | b"-----BEGIN TRUSTED CERTIFICATE-----" => {
                block = Some(Vec::new());
            }
            b"-----END CERTIFICATE-----" => {
                if let Some(Ok(der)) = block.take().map(|text| STANDARD.decode(text)) {
                    found.push(CertificateDer::from(der));
                }
            }
            line => {
                if let Some(text) = &mut block {
                    text.extend_from_slice(line);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_broken_blocks_are_skipped() {
        let pem = b"# a root\n-----BEGIN CERTIFICATE-----\r\nAQID\r\n-----END CERTIFICATE-----\n\
            -----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n\
            -----BEGIN CERTIFICATE-----\nBAUG\n-----END CERTIFICATE-----";
        let ders: Vec<Vec<u8>> = certificates(pem).iter().map(|der| der.to_vec()).collect();
        assert_eq!(ders, [vec![1, 2, 3], vec![4, 5, 6]]);
    }
}
