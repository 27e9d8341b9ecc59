//! TLS as both legs use it: one provider, our roots, and the name of an issuer that was refused.

use crate::outcome::{Class, Failure};
use crate::sys::roots::Roots;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::sync::{Arc, Mutex};

/// A client configuration that verifies certificates and remembers whose it refused.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    refused: Arc<Mutex<Option<String>>>,
}

impl Tls {
    /// TLS 1.2 and 1.3 that trusts `roots`; certificates are always verified.
    pub fn new(roots: &Roots) -> Result<Tls, Failure> {
        let broken = |error: &dyn std::fmt::Display| {
            Failure::new(Class::Software, "cannot set up TLS").because(error)
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.certificates().iter().cloned());
        let provider = provider();
        let verifier = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone())
            .build()
            .map_err(|error| broken(&error))?;
        let refused = Arc::new(Mutex::new(None));
        let recording = Recording {
            verifier,
            refused: refused.clone(),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(recording))
            .with_no_client_auth();
        // A process makes one connection; a ticket would never be used.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Tls {
            config: Arc::new(config),
            refused,
        })
    }

    /// What a connection is made from.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }

    /// Who issued the certificate that was refused last, as the certificate says.
    pub fn refused_issuer(&self) -> Option<String> {
        self.refused.lock().ok().and_then(|name| name.clone())
    }
}

/// Whether the certificate is that of an authority, as `openssl req -x509` makes them unasked.
pub fn is_an_authoritys(error: &CertificateError) -> bool {
    // webpki's own error, which rustls passes on by its name only.
    matches!(error, CertificateError::Other(inner) if inner.to_string() == "CaUsedAsEndEntity")
}

/// The provider of all cryptography.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[derive(Debug)]
struct Recording {
    verifier: Arc<WebPkiServerVerifier>,
    refused: Arc<Mutex<Option<String>>>,
}

impl ServerCertVerifier for Recording {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        if verdict.is_err()
            && let Ok(mut refused) = self.refused.lock()
        {
            *refused = issuer(end_entity);
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Common name of the issuer, else its organization (RFC 5280 section 4.1.2.4).
fn issuer(certificate: &[u8]) -> Option<String> {
    const INTEGER: u8 = 0x02;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut to_be_signed, _) = element(certificate)?;
    let (tag, _, rest) = element(to_be_signed)?;
    if tag == VERSION {
        to_be_signed = rest;
    }
    let (tag, _, rest) = element(to_be_signed)?;
    if tag != INTEGER {
        return None;
    }
    let (_, _, rest) = element(rest)?;
    let (_, name, _) = element(rest)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

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
            let _ = issuer(&der[..end]);
        }
    }
}
