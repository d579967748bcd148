//! Certificates for the provider, from a CA made on the spot. Pure.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};

/// A certificate and its key, in PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A CA and what it says of the provider.
pub(crate) struct Certificates {
    pub(crate) ca: String,
    /// Each by the name that the provider's `certificate` command knows it by.
    pub(crate) identities: [(&'static str, Identity); 3],
}

/// A good certificate for `host`, one that has ended, and one for another name.
pub(crate) fn for_host(host: &str) -> Certificates {
    let mut parameters = named("CA of the tests");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let ca = parameters.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(parameters, key);

    let good = leaf(host);
    let mut expired = leaf(host);
    expired.not_after = date_time_ymd(2001, 1, 1);
    let another = leaf("another.example");
    let identities = [("tls", good), ("expired", expired), ("another_name", another)];
    let identities = identities.map(|(name, parameters)| (name, sign(&parameters, &issuer)));
    Certificates { ca, identities }
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

fn sign(parameters: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, issuer).unwrap().pem();
    Identity { certificate, key: key.serialize_pem() }
}
