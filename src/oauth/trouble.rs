//! Why nothing came back from a server that grants tokens, in the words of an administrator.

use super::endpoint::Exchange;
use super::refusal::no_token;
use crate::outcome::{Failure, Stage};
use crate::sys::file::error_name;
use crate::sys::tls;
use rustls::CertificateError;
use std::io;

impl Exchange<'_> {
    pub(super) fn failed(&self, error: ureq::Error) -> Failure {
        let host = self.peer.host();
        let failure = Failure::defer(no_token(self.account)).at(Stage::TokenHttp);
        match error {
            ureq::Error::RequireHttpsOnly(_) => {
                self.misconfigured("token_url", "it does not begin with https://")
            }
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                self.misconfigured("token_url", "it is not an address")
            }
            ureq::Error::HostNotFound => self.not_found(failure),
            ureq::Error::Timeout(_) => failure
                .because(format!(
                    "{host} did not answer in {} s",
                    self.timeout.as_secs_f32()
                ))
                .fix("send again later; if it lasts, check network, firewall and proxy")
                .with_reason("deadline"),
            ureq::Error::LargeResponseHeader(..) | ureq::Error::BodyExceedsLimit(_) => failure
                .because(format!(
                    "the answer of {host} is larger than any token answer"
                ))
                .fix("send again later; if it lasts, check proxies, filters and token_url")
                .with_reason("size"),
            ureq::Error::ConnectProxyFailed(text) => self.proxy_refused(failure, &text),
            ureq::Error::Rustls(error) => self.tls_failed(failure, &error),
            ureq::Error::Io(error) => self.io_failed(failure, &error),
            other => {
                let many = other.to_string().contains("too many headers");
                failure
                    .because(format!(
                        "{host} does not answer as a web server does: {other}"
                    ))
                    .fix("send again later; if it lasts, check proxies, filters and token_url")
                    .with_reason(if many { "size" } else { "protocol" })
            }
        }
    }

    fn not_found(&self, failure: Failure) -> Failure {
        failure
            .because(format!("the name of {} was not found", self.first_hop()))
            .fix("send again later; if it lasts, check DNS on this host")
            .with_err("dns")
    }

    fn proxy_refused(&self, failure: Failure, text: &str) -> Failure {
        let proxy = self.peer.proxy.unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_digit).take(3).collect();
        let failure = failure
            .fix(format!(
                "have the proxy allow this host to reach {}",
                self.peer.host_and_port()
            ))
            .with_reason("proxy");
        if digits == "407" {
            failure
                .because(format!("the proxy {proxy} wants credentials (HTTP 407)"))
                .fix(format!(
                    "let the proxy pass this host to {} without credentials",
                    self.peer.host_and_port()
                ))
                .with_code(digits)
        } else if digits.is_empty() {
            failure.because(format!("the proxy {proxy} gives no way: {text}"))
        } else {
            failure
                .because(format!("the proxy {proxy} refuses (HTTP {digits})"))
                .with_code(digits)
        }
    }

    fn io_failed(&self, failure: Failure, error: &io::Error) -> Failure {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(error) = inner {
            return self.tls_failed(failure, error);
        }
        // The resolver's errors have no number of their own.
        if error.to_string().starts_with("failed to lookup address") {
            return self.not_found(failure);
        }
        failure
            .because(format!(
                "the connection to {} failed: {error}",
                self.first_hop()
            ))
            .fix("send again later; if it lasts, check network, firewall and proxy")
            .with_err(error_name(error))
    }

    fn tls_failed(&self, failure: Failure, error: &rustls::Error) -> Failure {
        use CertificateError as Bad;
        let host = self.peer.host();
        let failure = failure.with_reason("tls");
        let rustls::Error::InvalidCertificate(bad) = error else {
            return failure
                .because(format!("TLS with {host} failed: {error}"))
                .fix("check what stands between this host and the server: proxies, filters");
        };
        match bad {
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => failure
                .because(format!(
                    "the certificate shown for {host} is for another name: {bad}"
                ))
                .fix("check token_url under [endpoint], and DNS on this host"),
            Bad::Expired | Bad::ExpiredContext { .. } => failure
                .because(format!("the certificate of {host} has expired: {bad}"))
                .fix("check this host's clock first, then who answers for the server"),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => failure
                .because(format!("the certificate of {host} is not valid yet: {bad}"))
                .fix("check this host's clock"),
            authority if tls::is_an_authoritys(authority) => failure
                .because(format!(
                    "the certificate shown for {host} is that of an authority (CA:TRUE), and no server's"
                ))
                .fix(
                    "if it is your server, give it a certificate without CA:TRUE; else something \
                     intercepts the connection",
                ),
            _ => failure
                .because(match self.refused_issuer() {
                    Some(issuer) => format!(
                        "the certificate shown for {host} was issued by \"{issuer}\", \
                         which this host does not trust"
                    ),
                    None => format!("the certificate shown for {host} is not trusted: {bad}"),
                })
                .fix(
                    "if a company proxy inspects TLS, name its CA certificate in ca_file under \
                     [endpoint]; else somebody intercepts the connection",
                ),
        }
    }
}
