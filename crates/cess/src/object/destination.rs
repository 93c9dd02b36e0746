//! Write a file that is there whole or not at all.

use anyhow::{Context, Result, ensure};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};
use tempfile::{Builder, TempPath};
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};

/// Bytes that are collected for one write.
const BUFFER_BYTES: usize = 1 << 20;

/// Where an object goes.
pub struct Destination {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Under which name the file is written, and which it gets; absent for what is no file.
    file: Option<(TempPath, PathBuf)>,
}

impl Destination {
    /// Standard output for `-`; a new or replaced file; for a folder, a file of that name in it.
    pub fn open(path: &Path, name: &str) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { writer: Box::new(tokio::io::stdout()), file: None });
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                ensure!(
                    !name.is_empty() && name != "." && name != "..",
                    "name a file, not the folder {}",
                    path.display()
                );
                Self::create(&path.join(name))
            }
            // A device or a pipe is written, not replaced.
            Ok(metadata) if !metadata.is_file() => {
                let file = fs::File::options().write(true).open(path);
                let file = file.with_context(|| format!("{} cannot be written", path.display()))?;
                Ok(Self { writer: buffered(file), file: None })
            }
            _ => Self::create(path),
        }
    }

    /// A file, in folders that are created if needed. What was there stays until the new one is complete.
    pub fn create(path: &Path) -> Result<Self> {
        let context = || format!("{} cannot be written", path.display());
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(dir).with_context(context)?;
        // The mode that any program's new files have, as far as the user's mask allows.
        let draft = Builder::new().prefix(".cess-").permissions(Permissions::from_mode(0o666)).tempfile_in(dir);
        let (file, draft) = draft.with_context(context)?.into_parts();
        Ok(Self { writer: buffered(file), file: Some((draft, path.into())) })
    }

    /// What takes the bytes.
    pub fn writer(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        &mut *self.writer
    }

    /// Gives the complete file its name, which is returned. Without this, nothing is left.
    pub async fn keep(mut self) -> Result<Option<PathBuf>> {
        self.writer.shutdown().await.context("the destination cannot be written")?;
        let Some((draft, path)) = self.file else { return Ok(None) };
        draft.persist(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Some(path))
    }
}

fn buffered(file: fs::File) -> Box<dyn AsyncWrite + Send + Unpin> {
    Box::new(BufWriter::with_capacity(BUFFER_BYTES, tokio::fs::File::from_std(file)))
}

/// Where an object of a prefix goes below a folder; nothing if its key leads elsewhere.
pub fn path_below(folder: &Path, rest: &str) -> Option<PathBuf> {
    let relative = Path::new(rest);
    let stays = relative.components().all(|component| matches!(component, Component::Normal(_)));
    (stays && !rest.is_empty() && !rest.ends_with('/')).then(|| folder.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/file");
        let mut abandoned = Destination::create(&path).unwrap();
        abandoned.writer().write_all(b"half").await.unwrap();
        drop(abandoned);
        assert_eq!(fs::read_dir(dir.path().join("deep")).unwrap().count(), 0);
        let mut complete = Destination::open(&path, "").unwrap();
        complete.writer().write_all(b"whole").await.unwrap();
        assert_eq!(complete.keep().await.unwrap(), Some(path.clone()));
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_ne!(fs::metadata(&path).unwrap().permissions().mode() & 0o044, 0, "others cannot read it");
    }

    #[tokio::test]
    async fn a_folder_takes_the_objects_name_and_a_device_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Destination::open(dir.path(), "name").unwrap().keep().await.unwrap();
        assert_eq!(kept, Some(dir.path().join("name")));
        assert_eq!(Destination::open(Path::new("/dev/null"), "name").unwrap().keep().await.unwrap(), None);
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn no_key_leads_out_of_the_folder() {
        let folder = Path::new("/out");
        assert_eq!(path_below(folder, "a/b"), Some("/out/a/b".into()));
        for key in ["", "../a", "a/../../b", "/etc/passwd", "a/", "./a/.."] {
            assert_eq!(path_below(folder, key), None, "{key}");
        }
    }
}
