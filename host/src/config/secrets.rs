//! Secrets, read from where their references say.

use super::Problems;
use crate::model::definition::Definitions;
use crate::model::secret::{Secret, SecretRef};

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
            let value = std::env::var_os(name).map(std::os::unix::ffi::OsStringExt::into_vec);
            value.and_then(Secret::new).ok_or_else(|| SecretError::Unset(name.clone()))
        }
        SecretRef::File(path) => {
            let mut value = std::fs::read(path).map_err(|source| SecretError::Unreadable {
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

/// Every secret that the definitions name and that cannot be read.
pub fn missing(definitions: &Definitions) -> Problems {
    let mut problems = Problems::default();
    for (i, endpoint) in definitions.endpoints.iter().enumerate() {
        for reference in &endpoint.secrets {
            problems.take(&format!("endpoints[{i}].secret_ref"), read(reference));
        }
    }
    problems
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
    }
}
