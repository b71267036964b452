//! Secrets, read from where their references say.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Problems;
use super::definitions::Declared;
use crate::model::definition::{Definition, Definitions};
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
            let mut value = read_file(path).map_err(|source| SecretError::Unreadable {
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
    }
}

/// A file's content, when it is a file and no larger than a secret may be.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe must not wait for its writer.
    let flags = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut value = Vec::new();
    file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut value)?;
    if value.len() as u64 > SECRET_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {SECRET_BYTES_MAX} bytes")));
    }
    Ok(value)
}

/// Every secret that is named and cannot be read.
pub fn missing(declared: &[Declared]) -> Problems {
    let mut problems = Problems::default();
    for Declared { path, definition, .. } in declared {
        for (field, reference) in named(definition) {
            problems.take(&format!("{path}.{field}"), read(reference));
        }
    }
    problems
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
    let file = |reference: &SecretRef| match reference {
        SecretRef::File(path) => Some(path.clone()),
        SecretRef::Env(_) => None,
    };
    of_endpoints.chain(of_grants).filter_map(file).collect()
}

/// The secrets that a definition names, each with the field that does.
fn named(definition: &Definition) -> Vec<(String, &SecretRef)> {
    fn all<'d>(field: &str, secrets: &'d [SecretRef]) -> Vec<(String, &'d SecretRef)> {
        secrets.iter().map(|secret| (field.to_owned(), secret)).collect()
    }
    match definition {
        Definition::Endpoint(endpoint) => all("secret_ref", &endpoint.secrets),
        Definition::Trigger(_, Some(endpoint)) => all("webhook_secret_ref", &endpoint.secrets),
        Definition::Extension(extension) => {
            let each = extension.grants.iter().enumerate();
            each.filter_map(|(i, grant)| {
                let secret = &grant.credential.as_ref()?.secret_ref;
                Some((format!("grants[{i}].credential.secret_ref"), secret))
            })
            .collect()
        }
        _ => Vec::new(),
    }
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
            assert!(error.contains("it is not a file"), "{error}");
        }
    }
}
