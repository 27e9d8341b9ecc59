//! The tenant's certificate authority, made anew at each start, and certificates with a flaw.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

/// What is wrong with a certificate that a leg shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Issued by "Contoso Inspection CA", which nobody trusts.
    UntrustedCa,
    /// Good, but for another host.
    WrongName,
    Expired,
    NotYetValid,
}

/// The versions of TLS that the tenant speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersions {
    Both,
    Only12,
    Only13,
}

impl TlsVersions {
    fn list(self) -> Vec<&'static SupportedProtocolVersion> {
        match self {
            TlsVersions::Both => rustls::ALL_VERSIONS.to_vec(),
            TlsVersions::Only12 => vec![&rustls::version::TLS12],
            TlsVersions::Only13 => vec![&rustls::version::TLS13],
        }
    }
}

/// An authority that issues server certificates for localhost.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new authority with a new key.
    pub fn new(name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// The root as clients load it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// TLS for a server on localhost.
    pub fn server(&self, flaw: Option<Flaw>, versions: TlsVersions) -> Arc<ServerConfig> {
        if flaw == Some(Flaw::UntrustedCa) {
            return Authority::new("Contoso Inspection CA").server(None, versions);
        }
        let names = match flaw {
            Some(Flaw::WrongName) => vec!["elsewhere.contoso.test".to_owned()],
            _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        };
        let mut params = CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "Contoso test tenant");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match flaw {
            Some(Flaw::Expired) => params.not_after = date_time_ymd(2002, 1, 1),
            Some(Flaw::NotYetValid) => params.not_before = date_time_ymd(3000, 1, 1),
            _ => {}
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions.list())
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], key)
            .unwrap();
        // A ticket would put a flight of the server between the client's Finished and its EHLO.
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }
}
