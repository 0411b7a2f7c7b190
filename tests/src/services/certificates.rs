//! Certificate authorities of the tests' own, by the `openssl` program that RabbitMQ's and PostgreSQL's packages need too.
//!
//! Nothing of them is trusted by the machine: who is not told of an authority must refuse what it issued.

use super::guard::{Guard, quiet, said};
use std::path::{Path, PathBuf};

/// A certificate with its key, each in a file in PEM.
pub struct Pair {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key, PKCS #8.
    pub key: PathBuf,
}

/// An authority; its files go away with it.
pub struct Authority {
    guard: Guard,
}

impl Authority {
    /// Makes one that nobody knows.
    pub fn found() -> Self {
        let authority = Self { guard: Guard::set("authority") };
        // The machine's own configuration would make every certificate an authority's.
        std::fs::write(authority.at("openssl.cnf"), "[req]\ndistinguished_name = name\n[name]\n")
            .expect("a configuration");
        let uses = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
        // Of two authorities of one name, a client would blame the signature.
        let name = authority.guard.folder().file_name().expect("a name").to_string_lossy();
        authority.make("authority", &name, &uses, &[]);
        authority
    }

    /// Its own certificate, to be told to who shall trust it.
    pub fn certificate(&self) -> PathBuf {
        self.at("authority.pem")
    }

    /// A certificate for a host or for a client of that name.
    pub fn issue(&self, name: &str) -> Pair {
        let alternative = format!("subjectAltName=DNS:{name}");
        let uses = [
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            "extendedKeyUsage=serverAuth,clientAuth",
            &alternative,
        ];
        self.make(name, name, &uses, &["-CA", "authority.pem", "-CAkey", "authority.key"]);
        Pair { certificate: self.at(&format!("{name}.pem")), key: self.at(&format!("{name}.key")) }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.guard.folder().join(name)
    }

    fn make(&self, file: &str, name: &str, extensions: &[&str], signed: &[&str]) {
        let mut command = quiet(Path::new("openssl"), self.guard.folder());
        command
            .args(["req", "-x509", "-config", "openssl.cnf", "-days", "2", "-subj", &format!("/CN={name}")])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"])
            .args(["-keyout", &format!("{file}.key"), "-out", &format!("{file}.pem")])
            .args(signed);
        for extension in extensions {
            command.args(["-addext", extension]);
        }
        let made = command.status().expect("openssl is not installed; RabbitMQ's package brings it");
        assert!(made.success(), "openssl makes no certificate:\n{}", said(self.guard.folder()));
    }
}
