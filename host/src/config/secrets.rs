//! Secrets, read from where their references say.

use std::path::PathBuf;

use super::definitions::Declared;
use super::{Problems, content};
use crate::model::definition::{Definition, Definitions, Endpoint, Extension};
use crate::model::fitness::{Purpose, doubts, trimmed};
use crate::model::secret::{Secret, SecretRef};

/// The largest file that a secret is read from, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// A secret is not where its reference says.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set, or empty.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// The file cannot be read.
    #[error("cannot read the file of {reference}: {source}")]
    Unreadable {
        /// The reference.
        reference: SecretRef,
        /// Why.
        source: std::io::Error,
    },
    /// The file is empty.
    #[error("the file of {0} is empty")]
    Empty(SecretRef),
    /// There is nothing but blanks.
    #[error("{0} is nothing but blanks")]
    Blank(SecretRef),
}

/// The value behind a reference. A file's last line end is not part of it.
///
/// # Errors
/// When there is none.
pub fn read(reference: &SecretRef) -> Result<Secret, SecretError> {
    match reference {
        SecretRef::Env(name) => {
            let value =
                crate::environment::var_os(name).map(std::os::unix::ffi::OsStringExt::into_vec);
            value.and_then(Secret::new).ok_or_else(|| SecretError::Unset(name.clone()))
        }
        SecretRef::File(path) => {
            let value = content::read(path, SECRET_BYTES_MAX);
            let mut value = value.map_err(|source| SecretError::Unreadable {
                reference: reference.clone(),
                source,
            })?;
            for end in [b'\n', b'\r'] {
                if value.last() == Some(&end) {
                    value.pop();
                }
            }
            Secret::new(value).ok_or_else(|| SecretError::Empty(reference.clone()))
        }
        SecretRef::Trimmed(rest) => {
            let secret = read(rest)?;
            let value = Secret::new(trimmed(secret.expose()).to_vec());
            value.ok_or_else(|| SecretError::Blank(reference.clone()))
        }
    }
}

/// A secret that somebody names: the field that does, where the secret is, and what it is for.
type Named<'d> = (String, &'d SecretRef, Purpose<'d>);

/// Every secret that is named and cannot be read.
pub fn missing(declared: &[Declared]) -> Problems {
    let mut problems = Problems::default();
    for Declared { path, definition, .. } in declared {
        for (field, reference, _) in named(definition) {
            problems.take(&format!("{path}.{field}"), read(reference));
        }
    }
    problems
}

/// Everything that keeps secrets, as they are now, from doing what they are for.
pub fn doubtful(declared: &[Declared]) -> Problems {
    let mut problems = Problems::default();
    for Declared { path, definition, .. } in declared {
        add_doubts(path, named(definition), &mut problems);
    }
    problems
}

/// The same of what is in effect, by the names of what names them.
pub fn doubtful_in_effect(definitions: &Definitions) -> Problems {
    let mut problems = Problems::default();
    for endpoint in &definitions.endpoints {
        let path = format!("endpoint `{}` ({})", endpoint.slug, endpoint.scope);
        add_doubts(&path, of_endpoint("secret_ref", endpoint), &mut problems);
    }
    for extension in &definitions.extensions {
        let path = format!("extension `{}` ({})", extension.name, extension.scope);
        add_doubts(&path, of_extension(extension), &mut problems);
    }
    problems
}

fn add_doubts(path: &str, named: Vec<Named<'_>>, problems: &mut Problems) {
    for (field, reference, purpose) in named {
        let Ok(secret) = read(reference) else { continue };
        for doubt in doubts(&secret, purpose) {
            problems.add(format!("{path}.{field}"), format!("{reference}: {doubt}"));
        }
    }
}

/// The secrets that definitions name, as far as they can be read.
pub fn known(definitions: &Definitions) -> Vec<Secret> {
    let of_endpoints = definitions.endpoints.iter().flat_map(|endpoint| &endpoint.secrets);
    let grants = definitions.extensions.iter().flat_map(|extension| &extension.grants);
    let of_grants = grants.filter_map(|grant| Some(&grant.credential.as_ref()?.secret_ref));
    of_endpoints.chain(of_grants).filter_map(|reference| read(reference).ok()).collect()
}

/// The files that definitions' secrets are in.
pub(super) fn files(definitions: &Definitions) -> Vec<PathBuf> {
    let of_endpoints = definitions.endpoints.iter().flat_map(|endpoint| &endpoint.secrets);
    let grants = definitions.extensions.iter().flat_map(|extension| &extension.grants);
    let of_grants = grants.filter_map(|grant| Some(&grant.credential.as_ref()?.secret_ref));
    of_endpoints.chain(of_grants).filter_map(file).collect()
}

/// The file that a reference leads to.
fn file(reference: &SecretRef) -> Option<PathBuf> {
    match reference {
        SecretRef::File(path) => Some(path.clone()),
        SecretRef::Env(_) => None,
        SecretRef::Trimmed(rest) => file(rest),
    }
}

/// The secrets that a definition names.
fn named(definition: &Definition) -> Vec<Named<'_>> {
    match definition {
        Definition::Endpoint(endpoint) => of_endpoint("secret_ref", endpoint),
        Definition::Trigger(_, Some(endpoint)) => of_endpoint("webhook_secret_ref", endpoint),
        Definition::Extension(extension) => of_extension(extension),
        _ => Vec::new(),
    }
}

fn of_endpoint<'d>(field: &str, endpoint: &'d Endpoint) -> Vec<Named<'d>> {
    let purpose = Purpose::Source(endpoint.source.as_str());
    endpoint.secrets.iter().map(|secret| (field.to_owned(), secret, purpose)).collect()
}

fn of_extension(extension: &Extension) -> Vec<Named<'_>> {
    let grants = extension.grants.iter().enumerate();
    grants
        .filter_map(|(i, grant)| {
            let secret = &grant.credential.as_ref()?.secret_ref;
            Some((format!("grants[{i}].credential.secret_ref"), secret, Purpose::Header))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_holds_the_secret_and_a_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        let secret = SecretRef::File(file.clone());
        assert!(read(&secret).is_err());
        fs::write(&file, "\n").unwrap();
        assert!(read(&secret).unwrap_err().to_string().ends_with("is empty"));
        fs::write(&file, "s3cret\r\n").unwrap();
        assert_eq!(read(&secret).unwrap().expose(), b"s3cret");
        fs::write(&file, vec![b'x'; 64 * 1024 + 1]).unwrap();
        assert!(read(&secret).unwrap_err().to_string().contains("more than 65536 bytes"));
        for no_file in ["/dev/zero", dir.path().to_str().unwrap()] {
            let error = read(&SecretRef::File(no_file.into())).unwrap_err().to_string();
            assert!(error.contains("and not a file"), "{error}");
        }
    }

    #[test]
    fn what_stands_around_goes_only_when_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        let plain = SecretRef::File(file.clone());
        let trimmed: SecretRef = format!("trim:{plain}").parse().unwrap();
        assert_eq!(trimmed, SecretRef::Trimmed(Box::new(plain.clone())));
        fs::write(&file, "\u{feff} s3cret \n\n").unwrap();
        assert_eq!(read(&plain).unwrap().expose(), "\u{feff} s3cret \n".as_bytes());
        assert_eq!(read(&trimmed).unwrap().expose(), b"s3cret");
        fs::write(&file, " \n\n").unwrap();
        let said = read(&trimmed).unwrap_err().to_string();
        assert!(said.ends_with("secret is nothing but blanks"), "{said}");
        for bad in ["trim:", "trim:x", "trim:env:", "trim:trim:env:A"] {
            assert!(bad.parse::<SecretRef>().is_err(), "{bad}");
        }
    }
}
