//! Which host is meant, in which workspace, with which key.
//!
//! A flag wins over the environment, and both over `hillock.toml`. The file is read only when
//! something is still missing, so a client needs none; but a broken one is reported rather than
//! passed over, because the host it names is not the default one.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reqwest::Url;

use crate::config::{
    ADMIN_KEY, Config, ConfigError, FILE_NAME, Overrides, default_data_dir, reachable,
};
use crate::model::scope::Scope;
use crate::model::secret::Secret;

/// The environment variable that holds an API key.
pub const KEY_VARIABLE: &str = "HILLOCK_API_KEY";

const URL: &str = "http://127.0.0.1:7878";
/// The folder that `hillock dev` keeps everything in.
pub(super) const DEV_DIR: &str = ".hillock";

/// The flags that every subcommand takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Globals {
    /// The configuration file [default: hillock.toml here, or in the XDG config folder].
    #[arg(long, global = true, env = "HILLOCK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder for keys and caches.
    #[arg(long, global = true, env = "HILLOCK_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The host's base URL [default: the address in hillock.toml].
    #[arg(long, global = true, env = "HILLOCK_URL", value_name = "URL", value_parser = base_url)]
    pub url: Option<Url>,
    /// A file with an API key, instead of $HILLOCK_API_KEY or admin.key in the data folder.
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The workspace [default: the global scope].
    #[arg(
        long = "workspace",
        global = true,
        env = "HILLOCK_WORKSPACE",
        value_name = "NAME",
        value_parser = Scope::parse,
        default_value = "",
        hide_default_value = true
    )]
    pub scope: Scope,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

impl Globals {
    /// What flags and environment say over the file.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            listen: variable("HILLOCK_LISTEN"),
            store_url: variable("HILLOCK_STORE_URL"),
            data_dir: self.data_dir.clone(),
        }
    }

    /// The configuration, if there is a file: where nothing else is named or here, that of a
    /// `hillock dev` in this folder.
    ///
    /// # Errors
    /// When the file that was named is missing, or one that was found is wrong.
    pub fn found_config(&self) -> Result<Option<Config>, ConfigError> {
        let of_dev = || dev_config(Path::new(""));
        let path = self.config.clone().or_else(of_dev);
        match Config::load(path.as_deref(), &self.overrides()) {
            Err(ConfigError::Missing { .. }) => Ok(None),
            loaded => loaded.map(Some),
        }
    }

    /// The host's base URL.
    ///
    /// # Errors
    /// As [`Globals::found_config`].
    pub fn host_url(&self) -> anyhow::Result<Url> {
        match &self.url {
            Some(url) => Ok(url.clone()),
            None => {
                let listen = self.found_config()?.map(|config| url_of(config.listen));
                Ok(listen.as_deref().unwrap_or(URL).parse()?)
            }
        }
    }

    /// The API key.
    ///
    /// # Errors
    /// When there is none where it is looked for.
    pub fn key(&self) -> anyhow::Result<Key> {
        match (&self.key_file, variable(KEY_VARIABLE)) {
            (Some(file), _) => Key::read(file),
            (None, Some(text)) => Key::new(&text, KeySource::Environment),
            (None, None) => Key::read(&self.key_folder()?.join(ADMIN_KEY)),
        }
    }

    fn key_folder(&self) -> Result<PathBuf, ConfigError> {
        match &self.data_dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(self.found_config()?.map_or_else(default_data_dir, |c| c.data_dir)),
        }
    }
}

/// What `hillock dev` has written below this folder, if the folder has no configuration of its own.
fn dev_config(folder: &Path) -> Option<PathBuf> {
    let of_dev = folder.join(DEV_DIR).join(FILE_NAME);
    (!folder.join(FILE_NAME).is_file() && of_dev.is_file()).then_some(of_dev)
}

/// An environment variable, where an empty one is none.
fn variable(name: &str) -> Option<String> {
    crate::environment::var(name)
}

/// Where clients of this machine reach a host that listens on `address`.
fn url_of(address: SocketAddr) -> String {
    format!("http://{}", reachable(address))
}

fn base_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|reason| format!("not a URL: {reason}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("a host is reached by http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("no user or password stands here: the key is in ${KEY_VARIABLE}"));
    }
    Ok(url)
}

/// An API key, and where it was found.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key.
    pub value: Secret,
    /// Where it was found.
    pub source: KeySource,
}

/// Where a key was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In [`KEY_VARIABLE`].
    Environment,
    /// In this file.
    File(PathBuf),
    /// Given to a worker to join the host with.
    Join,
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => write!(f, "${KEY_VARIABLE}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Join => f.write_str("--join, --join-file or $HILLOCK_JOIN_TOKEN"),
        }
    }
}

impl Key {
    fn new(text: &str, source: KeySource) -> anyhow::Result<Self> {
        let value = Secret::new(text.trim().as_bytes().to_vec());
        let value = value.with_context(|| format!("the API key in {source} is empty"))?;
        Ok(Self { value, source })
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => anyhow::anyhow!(
                "there is no API key: {} does not exist. A host writes it when it first starts; \
                 for another key, set {KEY_VARIABLE} or say --key-file FILE",
                path.display()
            ),
            _ => anyhow::Error::new(error)
                .context(format!("cannot read the API key in {}", path.display())),
        })?;
        Self::new(&text, KeySource::File(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globals(dir: &Path) -> Globals {
        Globals {
            config: None,
            data_dir: Some(dir.to_owned()),
            url: None,
            key_file: None,
            scope: Scope::Global,
            json: false,
        }
    }

    #[test]
    fn an_unspecified_address_is_reached_by_loopback() {
        for (listen, url) in [
            ("127.0.0.1:7878", "http://127.0.0.1:7878"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:7878", "http://[::1]:7878"),
            ("192.0.2.1:1", "http://192.0.2.1:1"),
        ] {
            assert_eq!(url_of(listen.parse().unwrap()), url);
        }
    }

    #[test]
    fn base_urls_are_http_without_credentials() {
        assert!(base_url("https://hillock.example/automation").is_ok());
        for bad in ["hillock.example", "ftp://hillock.example", "http://me:pw@hillock.example"] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_named_file_holds_the_key_or_the_error_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("my.key");
        let named = Globals { key_file: Some(file.clone()), ..globals(dir.path()) };
        let missing = named.key().unwrap_err().to_string();
        assert!(missing.contains("my.key does not exist"), "{missing}");

        std::fs::write(&file, "hlk_1\n").unwrap();
        let key = named.key().unwrap();
        assert_eq!(key.value.expose(), b"hlk_1");
        assert_eq!(key.source, KeySource::File(file.clone()));

        std::fs::write(&file, "\n").unwrap();
        assert!(named.key().unwrap_err().to_string().ends_with("is empty"));
    }

    #[test]
    fn a_dev_folder_is_found_where_there_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(dev_config(dir.path()), None);
        let of_dev = dir.path().join(DEV_DIR).join(FILE_NAME);
        std::fs::create_dir(of_dev.parent().unwrap()).unwrap();
        std::fs::write(&of_dev, "").unwrap();
        assert_eq!(dev_config(dir.path()), Some(of_dev));
        std::fs::write(dir.path().join(FILE_NAME), "").unwrap();
        assert_eq!(dev_config(dir.path()), None, "the folder's own file wins");
    }

    #[test]
    fn the_file_says_where_the_host_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hillock.toml");
        std::fs::write(&file, "[server]\nlisten = \"0.0.0.0:9000\"\n").unwrap();
        let here = Globals { config: Some(file), ..globals(dir.path()) };
        assert_eq!(here.host_url().unwrap().as_str(), "http://127.0.0.1:9000/");
        let elsewhere = Globals { url: Some("https://h".parse().unwrap()), ..here };
        assert_eq!(elsewhere.host_url().unwrap().as_str(), "https://h/");
    }
}
