//! Read certificates, for gateways without a proxy before them.

pub use tokio_rustls::rustls::ServerConfig;

use std::sync::Arc;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is no PEM, or holds something else.
    #[error("a file holds no PEM of what it should: {0}")]
    Pem(String),
    /// Certificate and key do not fit.
    #[error("the certificate and the key do not fit: {0}")]
    Key(String),
}

/// The configuration with a chain of certificates and the first one's key, both PEM.
pub fn config(certificates: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let wrong = |error: &dyn std::fmt::Display| TlsError::Pem(error.to_string());
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&error))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| TlsError::Key(error.to_string()))?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key);
    if let Ok(config) = &mut config {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    config.map(Arc::new).map_err(|error| TlsError::Key(error.to_string()))
}
