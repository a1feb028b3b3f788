//! The program: the supervisor's fast path, then the command line. The only place where the process exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before runtime and argument parser: a supervisor is started for every command and lives as long as it.
    match boi::supervisor::asked(std::env::args_os()) {
        Some(dir) => boi::supervisor::main(&dir),
        None => {
            boi::process::inherited::close_on_exec();
            ExitCode::from(boi::cli::main(std::env::args_os()))
        }
    }
}
