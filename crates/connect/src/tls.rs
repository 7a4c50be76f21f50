//! libpq's `sslmode`, by rustls.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use crate::{BadUrl, parameters::Parameters};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Disable,
    /// `allow` too: it differs from `prefer` in what is tried first.
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// How to encrypt, and whom to believe.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) mode: Mode,
    roots: Roots,
    /// A certificate of our own, and its key.
    identity: Option<(PathBuf, PathBuf)>,
}

#[derive(Clone)]
enum Roots {
    System,
    File(PathBuf),
}

impl Tls {
    pub(crate) fn of(parameters: &Parameters) -> Result<Self, BadUrl> {
        let get = |name: &str| parameters.get(name).map(String::as_str);
        let mode = match get("sslmode") {
            Some("disable") => Mode::Disable,
            None | Some("allow" | "prefer") => Mode::Prefer,
            Some("require") => Mode::Require,
            Some("verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            Some(_) => {
                return Err(BadUrl::Value(
                    "sslmode",
                    "disable, allow, prefer, require, verify-ca, verify-full",
                ));
            }
        };
        let roots = match get("sslrootcert") {
            Some("system") => Roots::System,
            Some(file) => Roots::File(PathBuf::from(file)),
            None => libpq_file("root.crt").map_or(Roots::System, Roots::File),
        };
        // As libpq: knowing whom to believe makes `require` check the certificate.
        let checks = matches!(roots, Roots::File(_)) || get("sslrootcert").is_some();
        let mode = if mode == Mode::Require && checks { Mode::VerifyCa } else { mode };
        // `system` believes hundreds of authorities, so that the name must be checked as well.
        let mode =
            if mode == Mode::VerifyCa && matches!(roots, Roots::System) { Mode::VerifyFull } else { mode };
        let identity = match (get("sslcert"), get("sslkey")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => libpq_file("postgresql.crt").zip(libpq_file("postgresql.key")),
            (Some(_), None) => return Err(BadUrl::Value("sslkey", "the files (it belongs to sslcert)")),
            (None, Some(_)) => return Err(BadUrl::Value("sslcert", "the files (it belongs to sslkey)")),
        };
        Ok(Self { mode, roots, identity })
    }

    pub(crate) fn uses_system_roots(&self) -> bool {
        matches!(self.roots, Roots::System)
    }

    /// The configuration; `seen` is set when the server shows a certificate.
    pub(crate) fn client_config(&self, seen: Arc<AtomicBool>) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let authority = match self.mode {
            Mode::Disable | Mode::Prefer | Mode::Require => None,
            Mode::VerifyCa | Mode::VerifyFull => Some(
                WebPkiServerVerifier::builder_with_provider(
                    Arc::new(self.root_store()?),
                    Arc::clone(&provider),
                )
                .build()
                .map_err(|error| format!("the root certificates cannot be used: {error}"))?,
            ),
        };
        let verifier = Verifier {
            authority,
            any_name: self.mode == Mode::VerifyCa,
            provider: Arc::clone(&provider),
            seen,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let Some((certificate, key)) = &self.identity else { return Ok(builder.with_no_client_auth()) };
        let unread = |file: &Path| format!("the key in {} cannot be read", file.display());
        let key_der =
            PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", unread(key)))?;
        builder
            .with_client_auth_cert(certificates(certificate)?, key_der)
            .map_err(|error| format!("the certificate in {} cannot be used: {error}", certificate.display()))
    }

    fn root_store(&self) -> Result<RootCertStore, String> {
        let mut store = RootCertStore::empty();
        match &self.roots {
            Roots::File(file) => {
                for certificate in certificates(file)? {
                    store.add(certificate).map_err(|error| {
                        format!("{} holds no usable root certificate: {error}", file.display())
                    })?;
                }
            }
            Roots::System => {
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
            }
        }
        if store.is_empty() {
            return Err("no root certificate was found on this system; name a file by sslrootcert".to_owned());
        }
        Ok(store)
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unread = |error| format!("the certificates in {} cannot be read: {error}", file.display());
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(unread)?.collect();
    match found {
        Ok(found) if found.is_empty() => Err(format!("{} holds no certificate in PEM form", file.display())),
        found => found.map_err(unread),
    }
}

fn libpq_file(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME")?;
    Some(Path::new(&home).join(".postgresql").join(name)).filter(|file| file.is_file())
}

/// Believes everybody (`authority` none), or whom an authority vouches for, under any name or only the one dialled.
/// Whatever it believes, the server must own the certificate's key: signatures are always verified.
#[derive(Debug)]
struct Verifier {
    authority: Option<Arc<WebPkiServerVerifier>>,
    any_name: bool,
    provider: Arc<CryptoProvider>,
    seen: Arc<AtomicBool>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.seen.store(true, Ordering::Relaxed);
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The chain is verified before the name, so that this error means the chain is good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What to try about a certificate that was refused.
pub(crate) fn problem(error: &Error) -> String {
    let advice = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; name the file of the authority that issued it by sslrootcert"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "; connect by the name in the certificate, or use sslmode=verify-ca",
        _ => "",
    };
    format!("{error}{advice}")
}
