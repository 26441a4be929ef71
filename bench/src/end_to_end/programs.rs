//! What is measured on files: how each program stores one file, and brings it back.

use std::fs;
use std::path::{Path, PathBuf};

use selfenc::Suite;
use selfenc_bench::Result;

use super::child::Script;
use super::{Bench, MIB, bytes_below, name_of};
use crate::results::Run;

/// A program as a user would call it, with its defaults unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Selfenc {
        suite: Suite,
        /// `--memory`, in MiB.
        budget: Option<u64>,
    },
    Age,
    ZstdAge,
    Restic,
    Borg,
    Rclone,
}

impl Program {
    /// Ours.
    pub(crate) const fn selfenc(suite: Suite) -> Self {
        Self::Selfenc { suite, budget: None }
    }

    /// All, with their defaults.
    pub(crate) const ALL: [Self; 7] = [
        Self::selfenc(Suite::Sha3Aes256Cbc),
        Self::selfenc(Suite::Blake3ChaCha20Poly1305),
        Self::Age,
        Self::ZstdAge,
        Self::Restic,
        Self::Borg,
        Self::Rclone,
    ];

    /// As tables call it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Selfenc { suite, .. } => name_of(suite),
            Self::Age => "age".to_owned(),
            Self::ZstdAge => "zstd -3, age".to_owned(),
            Self::Restic => "restic".to_owned(),
            Self::Borg => "borg".to_owned(),
            Self::Rclone => "rclone crypt".to_owned(),
        }
    }

    /// What comes before the first use, and is not measured.
    fn prepare(self) -> &'static str {
        match self {
            // An input that fits into its map stores nothing, and makes the store.
            Self::Selfenc { .. } => {
                "echo | \"$SELFENC\" -q encrypt - --public --store file:stored -o first && rm first"
            }
            Self::Age | Self::ZstdAge => {
                "age-keygen -o key 2>keygen.log && age-keygen -y key >recipient && mkdir stored"
            }
            Self::Restic => "restic init -q",
            Self::Borg => "borg init -e repokey-blake2 2>init.log",
            Self::Rclone => {
                "mkdir stored && printf '[peer]\\ntype = crypt\\nremote = %s/stored\\npassword = %s\\n' \
                 \"$PWD\" \"$(rclone obscure selfenc-bench)\" >rclone.conf"
            }
        }
    }

    /// From `$INPUT` into the folder `stored`. Those that do not sync what they write are followed by a sync of the
    /// file system, which is theirs alone then: see [`Place::settle`].
    fn store(self) -> &'static str {
        match self {
            Self::Selfenc { .. } => {
                "exec \"$SELFENC\" -q encrypt \"$INPUT\" --public --store file:stored --suite \"$SUITE\" \
                 --memory \"$BUDGET\" -o map --force"
            }
            Self::Age => "age -e -R recipient -o stored/data \"$INPUT\" && sync -f stored",
            Self::ZstdAge => {
                "zstd -3 -q -c \"$INPUT\" | age -e -R recipient -o stored/data && sync -f stored"
            }
            Self::Restic => "exec restic backup -q \"$INPUT\"",
            Self::Borg => "cd \"${INPUT%/*}\" && exec borg create ::data \"${INPUT##*/}\"",
            Self::Rclone => "rclone copy \"$INPUT\" peer: && sync -f stored",
        }
    }

    /// From there into a file somewhere below `$BACK`.
    fn restore(self) -> &'static str {
        match self {
            Self::Selfenc { .. } => {
                "exec \"$SELFENC\" -q decrypt map --store file:stored --memory \"$BUDGET\" -o \"$BACK/data\""
            }
            Self::Age => "age -d -i key -o \"$BACK/data\" stored/data && sync -f \"$BACK\"",
            Self::ZstdAge => "age -d -i key stored/data | zstd -d -q -o \"$BACK/data\" && sync -f \"$BACK\"",
            Self::Restic => "restic restore latest -q --target \"$BACK\" && sync -f \"$BACK\"",
            Self::Borg => "cd \"$BACK\" && borg extract ::data && sync -f .",
            Self::Rclone => "rclone copy peer: \"$BACK\" && sync -f \"$BACK\"",
        }
    }
}

/// One program and one file, in a folder of their own.
pub(crate) struct Place<'a> {
    bench: &'a Bench,
    program: Program,
    input: &'a Path,
    folder: PathBuf,
    back: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Place<'a> {
    /// The folder is `number` among those of its kind.
    pub(crate) fn new(bench: &'a Bench, program: Program, input: &'a Path, number: usize) -> Self {
        let folder = bench.dir.join(format!("place-{number}"));
        let back = bench.dir.join(format!("back-{number}"));
        let (suite, budget) = match program {
            Program::Selfenc { suite, budget } => (suite, budget),
            _ => (Suite::default(), None),
        };
        let budget = budget.map_or("256M".to_owned(), |mib| format!("{mib}M"));
        let within = |name: &str| folder.join(name).display().to_string();
        // Of every program the variables that say where it keeps things.
        let variables = vec![
            ("INPUT", input.display().to_string()),
            ("BACK", back.display().to_string()),
            ("SELFENC", bench.selfenc.display().to_string()),
            ("SUITE", suite.name().to_owned()),
            ("BUDGET", budget),
            ("HOME", within("home")),
            ("XDG_DATA_HOME", within("home/data")),
            ("XDG_CONFIG_HOME", within("home/config")),
            ("XDG_CACHE_HOME", within("home/cache")),
            ("RESTIC_REPOSITORY", within("stored")),
            ("RESTIC_CACHE_DIR", within("home/restic")),
            ("RESTIC_PASSWORD", "selfenc-bench".to_owned()),
            ("BORG_REPO", within("stored")),
            ("BORG_BASE_DIR", within("home/borg")),
            ("BORG_PASSPHRASE", "selfenc-bench".to_owned()),
            ("RCLONE_CONFIG", within("rclone.conf")),
            ("LANG", "C.UTF-8".to_owned()),
        ];
        Self { bench, program, input, folder, back, variables }
    }

    /// Stores the file in an empty store.
    pub(crate) fn store_anew(&self) -> Result<Run> {
        self.remove()?;
        fs::create_dir_all(self.folder.join("home"))?;
        self.script(self.program.prepare()).run()?;
        self.store()
    }

    /// Stores it in what is there.
    pub(crate) fn store(&self) -> Result<Run> {
        self.settle()?;
        self.script(self.program.store()).measure(&self.bench.dir)
    }

    /// Brings it back, and compares it byte by byte, which is not measured.
    pub(crate) fn restore(&self) -> Result<Run> {
        fs::create_dir(&self.back)?;
        self.settle()?;
        let run = self.script(self.program.restore()).measure(&self.bench.dir)?;
        let script = self.script("cmp -s \"$INPUT\" \"$(find \"$BACK\" -type f)\"");
        script.run().map_err(|e| format!("{} brought other bytes back: {e}", self.program.name()))?;
        fs::remove_dir_all(&self.back)?;
        Ok(run)
    }

    /// The bytes in the store.
    pub(crate) fn stored(&self) -> Result<u64> {
        bytes_below(&self.folder.join("stored"))
    }

    /// Removes what it left.
    pub(crate) fn remove(&self) -> Result<()> {
        for folder in [&self.folder, &self.back] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        Ok(())
    }

    /// Writes out what others left in the file system's cache, so that nobody syncs it in the measured time.
    fn settle(&self) -> Result<()> {
        Script { lines: "sync -f .", folder: &self.bench.dir, variables: &[] }.run().map(drop)
    }

    fn script<'b>(&'b self, lines: &'b str) -> Script<'b> {
        Script { lines, folder: &self.folder, variables: &self.variables }
    }

    /// The bytes of the file.
    pub(crate) fn len(&self) -> Result<u64> {
        Ok(fs::metadata(self.input)?.len())
    }
}

/// The memory budget in bytes, where one is given.
pub(crate) fn budget_of(program: Program) -> Option<u64> {
    match program {
        Program::Selfenc { budget, .. } => budget.map(|mib| mib * MIB),
        _ => None,
    }
}
