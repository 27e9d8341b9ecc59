//! TLS as both legs use it: one provider, our roots, and the name of an issuer that was refused.

use crate::outcome::{Class, Failure};
use crate::sys::der::issuer;
use crate::sys::roots::Roots;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    ProtocolVersion, RootCertStore, SignatureScheme,
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

/// What a handshake has agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secured {
    /// `TLS 1.3`.
    pub version: &'static str,
    /// Who issued the certificate that was accepted, as the certificate says; text from outside.
    pub issuer: Option<String>,
}

impl Secured {
    /// What this connection has agreed on; none before the handshake is over.
    pub fn of(connection: &ClientConnection) -> Option<Secured> {
        let version = match connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => "TLS 1.2",
            ProtocolVersion::TLSv1_3 => "TLS 1.3",
            _ => "TLS",
        };
        let leaf = connection.peer_certificates()?.first()?;
        Some(Secured {
            version,
            issuer: issuer(leaf),
        })
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
