//! Keep idle units in a folder of the file system.

use super::UnitFiles;
use crate::idle::UnitPlace;
use rustix::fs::OFlags;
use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// The folder of idle units in a miner's data folder.
const FOLDER: &str = "idle";
/// End of the name of a file that is not finished.
const UNFINISHED: &str = ".new";
/// Alignment that direct writes need, of memory and length.
const ALIGNMENT: usize = 4096;

/// Idle units in `idle/<lot>/<unit>` of a folder, eight hexadecimal digits each.
#[derive(Debug)]
pub struct FileUnits {
    folder: PathBuf,
    /// Whether the file system may know direct writes.
    direct: AtomicBool,
}

impl FileUnits {
    /// Opens the idle units of a miner's data folder.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join(FOLDER);
        fs::create_dir_all(&folder)?;
        File::open(data)?.sync_all()?;
        Ok(Self { folder, direct: AtomicBool::new(true) })
    }

    fn lot(&self, lot: u32) -> PathBuf {
        self.folder.join(format!("{lot:08x}"))
    }

    fn path(&self, place: UnitPlace) -> PathBuf {
        self.lot(place.lot).join(format!("{:08x}", place.unit))
    }

    fn unfinished(&self, place: UnitPlace) -> PathBuf {
        self.lot(place.lot).join(format!("{:08x}{UNFINISHED}", place.unit))
    }

    /// Creates the unfinished file, and the lot's folder before the first one.
    fn create(&self, place: UnitPlace, flags: OFlags) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).custom_flags(flags.bits() as i32);
        match options.open(self.unfinished(place)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(self.lot(place.lot))?;
                File::open(&self.folder)?.sync_all()?;
                options.open(self.unfinished(place))
            }
            opened => opened,
        }
    }

    fn write_with(&self, place: UnitPlace, parts: &[&[u8]], flags: OFlags) -> io::Result<()> {
        let mut file = self.create(place, flags)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_data()
    }
}

/// Whether a part can be written past the page cache: content is read in rounds and never soon.
fn is_aligned(part: &&[u8]) -> bool {
    part.as_ptr().addr().is_multiple_of(ALIGNMENT) && part.len().is_multiple_of(ALIGNMENT)
}

impl UnitFiles for FileUnits {
    fn write(&self, place: UnitPlace, parts: &[&[u8]]) -> io::Result<()> {
        if parts.iter().all(is_aligned) && self.direct.load(Ordering::Relaxed) {
            match self.write_with(place, parts, OFlags::DIRECT) {
                Err(error) if error.kind() == ErrorKind::InvalidInput => self.direct.store(false, Ordering::Relaxed),
                written => return written,
            }
        }
        self.write_with(place, parts, OFlags::empty())
    }

    fn publish(&self, place: UnitPlace) -> io::Result<()> {
        fs::rename(self.unfinished(place), self.path(place))?;
        File::open(self.lot(place.lot))?.sync_all()
    }

    fn read(&self, place: UnitPlace, offset: u64, out: &mut [u8]) -> io::Result<()> {
        File::open(self.path(place))?.read_exact_at(out, offset)
    }

    fn truncate(&self, place: UnitPlace, bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path(place))?;
        if file.metadata()?.len() > bytes { file.set_len(bytes) } else { Ok(()) }
    }

    fn remove(&self, place: UnitPlace) -> io::Result<()> {
        match fs::remove_file(self.path(place)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The folder goes with its last file; that it has others is no failure.
        drop(fs::remove_dir(self.lot(place.lot)));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<(UnitPlace, u64)>> {
        let mut files = Vec::new();
        self.for_each_file(|lot, entry| {
            // Names that are not ours are left alone.
            if let Some(unit) = number(&entry.file_name()) {
                files.push((UnitPlace { lot, unit }, entry.metadata()?.len()));
            }
            Ok(())
        })?;
        Ok(files)
    }

    fn remove_unfinished(&self) -> io::Result<u64> {
        let mut count = 0;
        self.for_each_file(|_, entry| {
            let name = entry.file_name();
            if name
                .to_str()
                .and_then(|name| name.strip_suffix(UNFINISHED))
                .and_then(|name| number(OsStr::new(name)))
                .is_some()
            {
                fs::remove_file(entry.path())?;
                count += 1;
            }
            Ok(())
        })?;
        Ok(count)
    }
}

impl FileUnits {
    fn for_each_file(&self, mut each: impl FnMut(u32, fs::DirEntry) -> io::Result<()>) -> io::Result<()> {
        for lot in fs::read_dir(&self.folder)? {
            let lot = lot?;
            let Some(number) = number(&lot.file_name()) else { continue };
            if lot.file_type()?.is_dir() {
                for entry in fs::read_dir(lot.path())? {
                    each(number, entry?)?;
                }
            }
        }
        Ok(())
    }
}

/// The number that a name of eight hexadecimal digits stands for.
fn number(name: &OsStr) -> Option<u32> {
    let name = name.to_str().filter(|name| name.len() == 8)?;
    let number = u32::from_str_radix(name, 16).ok()?;
    (format!("{number:08x}") == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: UnitPlace = UnitPlace { lot: 0x1f, unit: 3 };

    /// Writes with and without alignment, as `content` happens to lie.
    fn put(files: &FileUnits, place: UnitPlace, content: &[u8]) {
        files.write(place, &content.chunks(8192).collect::<Vec<_>>()).unwrap();
        files.publish(place).unwrap();
    }

    #[test]
    fn a_unit_is_written_read_replaced_cut_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let files = FileUnits::open(folder.path()).unwrap();
        let mut aligned = memmap2::MmapMut::map_anon(32 << 10).unwrap();
        aligned.iter_mut().zip(0u8..=255).for_each(|(byte, number)| *byte = number);
        put(&files, PLACE, &aligned);
        put(&files, PLACE, &aligned[1..][..16384]);
        let mut out = [0; 4];
        files.read(PLACE, 8192, &mut out).unwrap();
        assert_eq!(out, aligned[8193..8197]);
        assert_eq!(FileUnits::open(folder.path()).unwrap().list().unwrap(), [(PLACE, 16384)]);
        files.truncate(PLACE, 8192).unwrap();
        files.truncate(PLACE, 1 << 20).unwrap();
        assert_eq!(files.read(PLACE, 8192, &mut out).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        files.remove(PLACE).unwrap();
        files.remove(PLACE).unwrap();
        assert_eq!(files.read(PLACE, 0, &mut out).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!((files.list().unwrap(), fs::read_dir(folder.path().join(FOLDER)).unwrap().count()), (vec![], 0));
        put(&files, PLACE, &aligned);
        assert_eq!(files.list().unwrap(), [(PLACE, 32 << 10)]);
    }

    #[test]
    fn unfinished_files_go_and_names_of_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let files = FileUnits::open(folder.path()).unwrap();
        put(&files, PLACE, &[1; 4096]);
        files.write(UnitPlace { unit: 4, ..PLACE }, &[&[2; 4096]]).unwrap();
        let lot = folder.path().join(FOLDER).join("0000001f");
        for name in ["0000000G", "3", "0000000A", "notes.new"] {
            fs::write(lot.join(name), "x").unwrap();
        }
        fs::write(folder.path().join(FOLDER).join("00000001"), "a file where lots are").unwrap();
        assert_eq!((files.remove_unfinished().unwrap(), files.remove_unfinished().unwrap()), (1, 0));
        assert_eq!(files.list().unwrap(), [(PLACE, 4096)]);
        assert_eq!(fs::read_dir(lot).unwrap().count(), 5);
    }
}
