//! The test keys of `tests/data/keys`, and what of them must never be seen.

macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("../data/keys/", $name, ".pem"))
    };
}

/// The application's key, PKCS#8.
pub const KEY: &str = key!("key");
/// The same key, PKCS#1.
pub const KEY_PKCS1: &str = key!("key-pkcs1");
/// The same key behind a passphrase.
pub const KEY_ENCRYPTED: &str = key!("key-encrypted");
/// The same in the older form.
pub const KEY_ENCRYPTED_PKCS1: &str = key!("key-encrypted-pkcs1");
/// A key that nobody registered.
pub const KEY_OTHER: &str = key!("key-other");
/// RSA with 1024 bits.
pub const KEY_1024: &str = key!("key-1024");
/// No RSA.
pub const KEY_EC: &str = key!("key-ec");
/// Whoever issues federated tokens.
pub const KEY_ISSUER: &str = key!("key-issuer");

/// For [`KEY`]; registered unless set up otherwise.
pub const CERTIFICATE: &str = key!("certificate");
/// For [`KEY`], ended with 2023.
pub const CERTIFICATE_EXPIRED: &str = key!("certificate-expired");
/// For [`KEY_OTHER`].
pub const CERTIFICATE_OTHER: &str = key!("certificate-other");
/// For [`KEY_1024`].
pub const CERTIFICATE_1024: &str = key!("certificate-1024");
/// For [`KEY_EC`].
pub const CERTIFICATE_EC: &str = key!("certificate-ec");
/// Another certificate for [`KEY`], its issuer, the root.
pub const CHAIN: &str = key!("chain");

/// Lines of the keys' bodies. Where a key is not encrypted, its first third is left out: that is
/// the public half, which certificates hold too.
pub fn secret_lines() -> impl Iterator<Item = &'static str> {
    let all = [
        KEY,
        KEY_PKCS1,
        KEY_ENCRYPTED,
        KEY_ENCRYPTED_PKCS1,
        KEY_OTHER,
        KEY_1024,
        KEY_ISSUER,
    ];
    // The public half of this one stands at its end.
    let short = KEY_EC.lines().nth(1).map(|line| &line[24..]);
    let long = all.into_iter().flat_map(|pem| {
        let body: Vec<&str> = pem
            .lines()
            .filter(|line| line.len() >= 40 && !line.contains([' ', ':']))
            .collect();
        let public = body.len().div_ceil(3);
        body.into_iter().skip(public)
    });
    long.chain(short)
}

#[test]
fn certificates_do_not_count_as_secrets_and_keys_do() {
    let public = [
        CERTIFICATE,
        CERTIFICATE_EXPIRED,
        CERTIFICATE_OTHER,
        CERTIFICATE_EC,
        CHAIN,
    ];
    for line in secret_lines() {
        assert!(public.iter().all(|pem| !pem.contains(&line[..40])));
        assert!(!line.contains("CANARY"));
    }
    for key in [KEY, KEY_PKCS1, KEY_ENCRYPTED, KEY_OTHER, KEY_1024, KEY_EC] {
        assert!(secret_lines().any(|line| key.contains(line)), "{key}");
    }
}
