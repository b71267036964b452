//! What files hold that somebody has named: configuration, components, certificates, secrets.
//!
//! A path may lead anywhere. A pipe without a writer would keep the host waiting, reading a device
//! does something, and a file without end fills the memory: only a regular file of a bounded length
//! is read, and what else it is is said.

use std::fs::{self, File, FileType};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// All of a file, when it is one and has no more than `bytes_max` bytes. Links are followed.
///
/// # Errors
/// When it cannot be read, or is no such file.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    // Opening a device may do something already.
    only_file(fs::metadata(path)?.file_type())?;
    // It may have become something else meanwhile. std closes it for programs that are started.
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    only_file(metadata.file_type())?;
    if metadata.len() > bytes_max {
        return Err(too_long(bytes_max));
    }
    let mut content = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > bytes_max { Err(too_long(bytes_max)) } else { Ok(content) }
}

/// The same, when it is text.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    String::from_utf8(read(path, bytes_max)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not text in UTF-8"))
}

/// What something is that is no file.
pub fn described(kind: FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a folder"),
        kind if kind.is_fifo() => Some("a pipe"),
        kind if kind.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

fn only_file(kind: FileType) -> io::Result<()> {
    let refused = |what| io::Error::other(format!("it is {what}, and not a file"));
    described(kind).map_or(Ok(()), |what| Err(refused(what)))
}

fn too_long(bytes_max: u64) -> io::Error {
    io::Error::other(format!("it has more than {bytes_max} bytes"))
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn only_a_file_that_is_short_enough_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "ten bytes.").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        fs::write(at("binary"), [0xff]).unwrap();
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(read_text(&at("file"), 10).unwrap(), "ten bytes.");
        assert_eq!(read_text(&at("link"), 10).unwrap(), "ten bytes.");
        for (name, wanted) in [
            ("file", "it has more than 9 bytes"),
            ("pipe", "it is a pipe, and not a file"),
            ("socket", "it is a socket, and not a file"),
            (".", "it is a folder, and not a file"),
            ("binary", "it is not text in UTF-8"),
            ("/dev/zero", "it is a device, and not a file"),
            ("/proc/self/environ", "it has more than 9 bytes"),
        ] {
            assert_eq!(read_text(&at(name), 9).unwrap_err().to_string(), wanted, "{name}");
        }
    }
}
