//! `boi report`: shows what ended in a time, what needs the user, and what is to be reviewed.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::printing::{print_json, print_line, print_styled};
use super::report_input::{self, Collected};
use super::{CliError, ExitCode, FAILED, USAGE, block_on, report_since};
use crate::decide::report;
use crate::domain::escape;
use crate::domain::time::Timestamp;
use crate::system::paths::Home;
use crate::system::terminal;
use crate::ui;

/// What stands after the help of the command.
pub(super) const HELP: &str = "\
Examples:
  boi report                           The last night, as text
  boi report --since 22:30             What ended since the last 22:30
  boi report --html ~/report.html      One page with the diffs, to read in a browser or on a phone
  boi report --json | jq '.needs_you'";

#[derive(Debug, Args)]
pub(super) struct Report {
    /// The beginning of the reported time: a duration (12h, 7d), a time of day (22:30), or a date with or without a time
    #[arg(long, value_name = "TIME", value_parser = report_since::parse)]
    pub(super) since: Option<Timestamp>,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["html", "markdown"])]
    pub(super) json: bool,
    /// Write one page of HTML to this file, and replace the file if it exists; - prints the page
    #[arg(long, value_name = "FILE", conflicts_with = "markdown")]
    pub(super) html: Option<PathBuf>,
    /// Print Markdown
    #[arg(long)]
    pub(super) markdown: bool,
}

/// Carries out `boi report`.
pub(super) fn report(home: &Home, args: &Report) -> Result<ExitCode, CliError> {
    let Collected { input, branches } = block_on(report_input::collect(home, args.since))?;
    let report = report::report(&input);
    if args.json {
        print_json(&report)?;
    } else if args.markdown {
        super::printing::print(escape::escaped_lines(&ui::report::markdown::markdown(&report)).as_bytes())?;
    } else if let Some(file) = &args.html {
        let page = ui::report::html::html(&report, &report_input::diffs(&report, &branches));
        if file == Path::new("-") {
            super::printing::print(page.as_bytes())?;
        } else {
            replace(file, page.as_bytes())?;
            print_line(&format!("wrote {}", file.display()))?;
        }
    } else {
        print_styled(&ui::report::text::text(&report, terminal::size().map(|size| size.columns)))?;
    }
    Ok(0)
}

/// Writes a file. A reader sees all of the old content or all of the new content. An existing file keeps its mode; a new
/// one can be read by this user alone, since the page contains source code.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = |error: io::Error| CliError::new(FAILED, format!("cannot write {}: {error}", path.display()));
    // The file behind a link is replaced, not the link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let existing = std::fs::metadata(path).ok();
    if existing.as_ref().is_some_and(|metadata| !metadata.is_file()) {
        let message = format!("cannot write {}: it is not a regular file", path.display());
        return Err(CliError::new(USAGE, message).hint("name a new file, or - to print the page"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".boi-report-").tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    if let Some(metadata) = existing {
        std::fs::set_permissions(file.path(), metadata.permissions()).map_err(failed)?;
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_keeps_its_mode_and_its_links() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("report.html"), dir.path().join("link.html"));
        replace(&file, b"one").unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert!(link.is_symlink());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        assert_eq!(replace(dir.path(), b"x").unwrap_err().code(), USAGE);
        assert_eq!(replace(&dir.path().join("missing/x"), b"x").unwrap_err().code(), FAILED);
    }
}
