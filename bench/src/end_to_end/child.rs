//! One run of a program, in a process of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use selfenc_bench::Result;

use crate::results::Run;

/// GNU time: seconds in user mode, seconds in the kernel, the peak of the resident memory in KiB.
const FORMAT: &str = "%U %S %M";

/// A few lines for `sh`, and where they run.
pub(crate) struct Script<'a> {
    pub(crate) lines: &'a str,
    pub(crate) folder: &'a Path,
    /// All that they find in the environment, besides PATH.
    pub(crate) variables: &'a [(&'static str, String)],
}

impl Script<'_> {
    /// Runs it, unmeasured; its standard output.
    pub(crate) fn run(&self) -> Result<String> {
        let output = self.output(&mut Command::new("sh"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs it under GNU time. The clock is ours, which sees more than hundredths of a second.
    pub(crate) fn measure(&self, scratch: &Path) -> Result<Run> {
        let usage = scratch.join("usage");
        let mut time = Command::new("/usr/bin/time");
        time.arg("-f").arg(FORMAT).arg("-o").arg(&usage).arg("sh");
        let start = Instant::now();
        self.output(&mut time)?;
        let seconds = start.elapsed().as_secs_f64();
        let (cpu_seconds, peak_rss) = parse_usage(&fs::read_to_string(&usage)?)?;
        Ok(Run { seconds, cpu_seconds: Some(cpu_seconds), peak_rss: Some(peak_rss) })
    }

    fn output(&self, command: &mut Command) -> Result<Output> {
        // Nothing of the user's own: no store, no repository, no cache.
        let kept = ["PATH", "SELFENC_KERNELS"].into_iter();
        let kept = kept.filter_map(|name| Some((name, std::env::var_os(name)?)));
        let program = command.get_program().to_owned();
        let output = command
            .arg("-c")
            .arg(self.lines)
            .current_dir(self.folder)
            .env_clear()
            .envs(kept)
            .envs(self.variables.iter().map(|(name, value)| (name, OsStr::new(value))))
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("cannot run {}: {e}", program.display()))?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("'{}' failed ({}): {}", self.lines.trim(), output.status, said.trim()).into())
    }
}

/// CPU seconds and bytes, of what GNU time writes.
fn parse_usage(text: &str) -> Result<(f64, u64)> {
    let wrong =
        || format!("/usr/bin/time wrote {:?}: this needs GNU time (Debian's package time)", text.trim());
    // A line before it says how a program failed.
    let fields: Vec<_> = match text.lines().collect::<Vec<_>>()[..] {
        [line] => line.split(' ').collect(),
        _ => return Err(wrong().into()),
    };
    let [user, system, peak] = fields[..] else { return Err(wrong().into()) };
    let seconds = |text: &str| text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    match (seconds(user), seconds(system), peak.parse::<u64>()) {
        (Some(user), Some(system), Ok(peak)) => Ok((user + system, peak << 10)),
        _ => Err(wrong().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gnu_time_writes_is_read() {
        assert_eq!(parse_usage("1.25 0.50 2048\n").unwrap(), (1.75, 2 << 20));
        assert_eq!(parse_usage("0.00 0.00 1512").unwrap(), (0.0, 1512 << 10));
    }

    #[test]
    fn what_is_anything_else_is_refused_with_the_remedy() {
        for text in [
            "",
            "Command exited with non-zero status 3\n0.00 0.00 1512\n",
            "Command terminated by signal 9\n0.00 0.00 1584\n",
            "1.0 2.0",
            "1.0 2.0 3 4",
            "nan 0.0 1",
            "0.00user 0.00system 0:00.00elapsed 1512maxresident\n",
        ] {
            let error = parse_usage(text).unwrap_err().to_string();
            assert!(error.contains("GNU time"), "{error}");
        }
    }

    #[test]
    fn a_script_sees_its_variables_and_nothing_of_the_users() {
        let dir = tempfile::tempdir().unwrap();
        let lines = "printf '%s,%s' \"$OURS\" \"${CARGO_MANIFEST_DIR-unset}\"";
        let script = Script { lines, folder: dir.path(), variables: &[("OURS", "a b".into())] };
        assert_eq!(script.run().unwrap(), "a b,unset");
        let failing = Script { lines: "echo why >&2; exit 3", folder: dir.path(), variables: &[] };
        let error = failing.run().unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
    }
}
