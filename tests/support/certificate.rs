//! Certificates for the servers of a sandbox, from a CA made on the spot. Pure.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};

/// A certificate and its key, in PEM.
pub struct Identity {
    /// What a server shows.
    pub certificate: String,
    /// What it keeps.
    pub key: String,
}

/// A CA.
pub struct Authority {
    /// Its own certificate, in PEM.
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    #[allow(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let mut parameters = named("CA of the tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(parameters, key) }
    }

    /// A good certificate.
    pub fn identity(&self, host: &str) -> Identity {
        self.sign(&leaf(host))
    }

    /// One that has ended.
    pub(crate) fn expired_identity(&self, host: &str) -> Identity {
        let mut parameters = leaf(host);
        parameters.not_after = date_time_ymd(2001, 1, 1);
        self.sign(&parameters)
    }

    fn sign(&self, parameters: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

fn leaf(host: &str) -> CertificateParams {
    let mut parameters = named(host);
    parameters.subject_alt_names = vec![SanType::DnsName(host.try_into().unwrap())];
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

/// OpenSSL takes a certificate for self-signed whose issuer has the same name.
fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}
